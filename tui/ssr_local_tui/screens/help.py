"""The help: what every key does here, made from the bindings that are active."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual.actions import ActionError, parse
from textual.app import App, ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Grid, VerticalScroll
from textual.screen import Screen
from textual.widgets import Label

from ssr_local_tui.screens.dialog import Dialog

Section = tuple[str, Sequence[tuple[str, str]]]
"""A heading and its rows of keys and what they do."""

EVERYWHERE = "Everywhere"
"""Heading of the app's and the screen's own keys."""
HERE = "Where the cursor is"
"""Heading of the keys of whatever has the focus."""
_MOST_KEY_CELLS = 18


def sections_of(
    active: Iterable[ActiveBinding], display: Callable[[Binding], str]
) -> tuple[Section, ...]:
    """The bindings as sections of a help.

    ``active`` is ``screen.active_bindings.values()``, ``display`` is
    ``app.get_key_display``. A binding stands under its group's title, its widget's
    ``BINDING_GROUP_TITLE``, ``EVERYWHERE`` or ``HERE``, which come last. Keys that do
    nothing now, and those the app keeps to itself, are left out.
    """
    sections: dict[str, dict[tuple[str, str], list[str]]] = {}
    for one in active:
        if one.enabled and one.binding.description and not one.binding.system and _acts(one):
            rows = sections.setdefault(_title(one), {})
            keys = rows.setdefault((one.binding.action, _meaning(one)), [])
            keys.append(display(one.binding))
    for title in (EVERYWHERE, HERE):
        sections[title] = sections.pop(title, {})
    return tuple(
        (title, tuple((" ".join(dict.fromkeys(keys)), text) for (_, text), keys in rows.items()))
        for title, rows in sections.items()
        if rows
    )


def _title(active: ActiveBinding) -> str:
    group = active.binding.group
    fallback = EVERYWHERE if isinstance(active.node, App | Screen) else HERE
    return (group and group.description) or active.node.BINDING_GROUP_TITLE or fallback


def _meaning(active: ActiveBinding) -> str:
    binding = active.binding
    more = "" if binding.tooltip == binding.description else binding.tooltip
    return f"{binding.description}: {more}" if more else binding.description


def _acts(active: ActiveBinding) -> bool:
    """Whether a method does the binding's action."""
    try:
        namespace, name, _ = parse(active.binding.action)
    except ActionError:
        return False
    node = active.node
    nodes = {"": node, "app": node.app, "screen": node.screen, "focused": node.app.focused}
    target = nodes.get(namespace)
    return any(hasattr(target, f"{prefix}{name}") for prefix in ("action_", "_action_"))


class HelpScreen(Dialog[None]):
    """Sections of keys and what they do; gives nothing back."""

    DEFAULT_CSS = """
    HelpScreen {
        #box { border-subtitle-color: $text-muted; color: $foreground; }
        .section {
            text-style: bold;
            color: $text-primary;
        }
        Grid {
            grid-size: 2;
            grid-gutter: 0 2;
            grid-rows: auto;
            height: auto;
            margin-bottom: 1;
        }
        .keys {
            width: 100%;
            text-style: bold;
            color: $text-accent;
        }
        .meaning {
            width: 100%;
        }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "leave", "Close the help", id="help-close"),
    ]
    BOX = VerticalScroll
    HEADING = "Keys"

    def __init__(self, sections: Sequence[Section]) -> None:
        super().__init__()
        self._sections = sections

    def content(self) -> ComposeResult:
        for title, rows in self._sections:
            yield Label(title, classes="section", markup=False)
            with Grid():
                for keys, meaning in rows:
                    yield Label(keys, classes="keys", markup=False)
                    yield Label(meaning, classes="meaning", markup=False)

    def on_mount(self) -> None:
        closing = (a.binding for a in self.active_bindings.values() if a.binding.action == "leave")
        keys = " ".join(map(self.app.get_key_display, closing))
        self.query_one("#box").border_subtitle = f"Close: {keys}"
        widest = max((len(keys) for _, rows in self._sections for keys, _ in rows), default=1)
        for grid in self.query(Grid):
            grid.styles.grid_columns = f"{min(widest, _MOST_KEY_CELLS)} 1fr"
