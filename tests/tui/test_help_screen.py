from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.pilot import Pilot
from textual.widgets import Input

from ssr_local_tui.app import SSRApp
from ssr_local_tui.screens.comparison import ComparisonScreen
from ssr_local_tui.screens.dialog import Dialog
from ssr_local_tui.screens.help import EVERYWHERE, HERE, HelpScreen, sections_of
from ssr_local_tui.screens.history import HistoryScreen
from ssr_local_tui.screens.main import MainScreen
from ssr_local_tui.screens.practice import PracticeScreen
from ssr_local_tui.screens.tutor import TutorScreen
from ssr_local_tui.widgets.problem import ProblemInput
from ssr_local_tui.widgets.run_tree import RunTree
from tests.tui.pilot import piloted

MOVE = Binding.Group("Moving")


class Sample(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r,f5", "run", "Run", tooltip="Solve the problem", id="run"),
        Binding("f1", "help", "Help"),
        Binding("f2", "missing", "No method does it"),
        Binding("f3", "wait", "Not now"),
        Binding("f4", "hidden", "Not here"),
        Binding("f6", "move", "Move", group=MOVE),
        Binding("f7", "app.move", "[red]Move on", show=False),
        Binding("f8", "move", ""),
        Binding("f9", "move", "Internal", system=True),
        Binding("x", "move", "A letter that would be typed"),
    ]

    def compose(self) -> ComposeResult:
        yield Input()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return {"wait": None, "hidden": False}.get(action, True)

    def action_run(self) -> None: ...

    action_help = action_wait = action_hidden = action_move = action_run


def sections(app: Sample) -> dict[str, Sequence[tuple[str, str]]]:
    async def script(pilot: Pilot[None]) -> dict[str, Sequence[tuple[str, str]]]:
        active = app.screen.active_bindings.values()
        return dict(sections_of(active, app.get_key_display))

    return piloted(app, script)


def test_it_lists_the_keys_that_do_something_by_group_widget_and_everywhere() -> None:
    """None that Textual would not run, has no method, or no words."""
    found = sections(Sample())
    assert list(found) == ["Input", "Moving", EVERYWHERE]
    assert found["Moving"] == (("f6", "Move"),)
    assert "Move cursor left" in dict(found["Input"]).values()
    listed = dict(found[EVERYWHERE])
    assert listed["^r f5"] == "Run: Solve the problem"
    assert listed["f7"] == "[red]Move on"
    assert not {"f2", "f3", "f4", "f8", "f9", "x"} & {
        key for rows in found.values() for key, _ in rows
    }


def test_the_users_keys_are_shown_and_a_widget_without_a_title_is_where_the_cursor_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Input, "BINDING_GROUP_TITLE", None)
    app = Sample()
    app.set_keymap({"run": "ctrl+g"})
    found = sections(app)
    assert list(found)[-1] == HERE
    assert "Move cursor left" in dict(found[HERE]).values()
    assert dict(found[EVERYWHERE])["^g"] == "Run: Solve the problem"
    assert "^r f5" not in dict(found[EVERYWHERE])


def test_every_binding_has_an_id_of_its_own_and_words() -> None:
    owners: tuple[type, ...] = (SSRApp, MainScreen, ProblemInput, RunTree)
    owners += (ComparisonScreen, Dialog, HelpScreen, HistoryScreen, PracticeScreen, TutorScreen)
    own = [vars(owner)["BINDINGS"] for owner in owners]
    bindings = [one for some in own for one in some]
    assert len({one.id for one in bindings}) == len(bindings) > 25
    assert all(one.id and one.description for one in bindings)
    assert all(one.tooltip for one in MainScreen.BINDINGS)  # type: ignore[union-attr]
