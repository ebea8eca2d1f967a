"""Two lines on top: what is being done how, and what the models are doing."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from ssr_local.display import one_line
from ssr_local.options import SolveOptions
from ssr_local.records import Author
from ssr_local_tui import looks
from ssr_local_tui.state import Tree

_MANY = ("ssr", "parallel", "parallel-spm")
_VERIFIED = ("ssr", "specreason")


class StatusHeader(Static):
    """The app's name, pair and preset, phase and time; below, both models."""

    DEFAULT_CSS = """
    StatusHeader {
        height: 2;
        padding: 0 1;
        background: $panel;
        color: $foreground;
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }
    """

    def show(
        self,
        *,
        pair: str,
        options: SolveOptions,
        tree: Tree,
        elapsed_s: float,
        extra: str,
        busy: str,
        models: str,
    ) -> None:
        """Show the run's state.

        ``extra`` is the replay's, ``busy`` what goes on before a run; ``models`` is what
        became of models that were loaded.
        """
        phase = busy or looks.PHASES[tree.phase]
        at = f" {looks.clock_text(elapsed_s)}" if elapsed_s else ""
        live = len(tree.live_paths)
        paths = f", {live} of {len(tree.paths)} paths go on" if live and not busy else ""
        first = Text.assemble(
            ("ssr-local", "bold"),
            "  ",
            (f"{phase}{at}{paths}", "bold"),
            f"  {extra}" if extra else "",
            f"  {one_line(pair)} · {preset_of(options)}",
        )
        text = Text("\n").join([first, _models(tree, models)])
        self.update(text, layout=False)  # always as high


def preset_of(options: SolveOptions) -> str:
    """What matters most of the options, in a few words."""
    words: list[str] = [options.method]
    if options.method in _MANY:
        words.append(f"{options.paths} path{'s' if options.paths > 1 else ''}")
        words.append(options.mode)
    if options.method in _VERIFIED:
        words.append(f"{options.verifier} ≥ {options.threshold:g}")
    return one_line(" · ".join(words))


def _models(tree: Tree, state: str) -> Text:
    roles: tuple[Author, Author] = ("draft", "target")
    known = [Text(_model(tree, role, state)) for role in roles if role in tree.models]
    return Text("  │  ").join(known) if known else Text("models are loaded with the first problem")


def _model(tree: Tree, role: Author, state: str) -> str:
    view = tree.models[role]
    if view.info is None:
        return f"{role} {one_line(view.name, 40)}: loading"
    speed = looks.speed_of(tree, role)
    speed_text = "" if speed is None else f" {speed:.0f} tokens/s"
    place = looks.place_of(view.info)
    return f"{role} {one_line(view.name, 40)}: {state}{speed_text}, {place}"
