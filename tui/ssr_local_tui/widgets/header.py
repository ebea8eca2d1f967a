"""Two lines on top: what is being done how, and what the models are doing."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from ssr_local.core.display import one_line
from ssr_local.core.options import VERIFIED_METHODS, SolveOptions
from ssr_local.core.records import ModelRole
from ssr_local.core.tree import Tree
from ssr_local_tui import looks

_WIDE = 110
_MANY = ("ssr", "parallel", "parallel-spm")


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

        ``extra`` is the replay's or a check's, ``busy`` what goes on before a run; ``models`` is
        what became of models that were loaded.
        """
        phase = busy or looks.PHASES[tree.phase]
        at = f" {looks.clock_text(elapsed_s)}" if elapsed_s else ""
        live = 0 if tree.phase == "cut off" else len(tree.live_paths)
        paths = f", {live} of {len(tree.paths)} paths go on" if live and not busy else ""
        what = f"{one_line(pair)} · {preset_of(options)}"
        narrow = self.app.size.width < _WIDE
        first = Text.assemble(
            ("ssr-local", "bold"),
            "  ",
            (f"{phase}{at}{paths}", "bold"),
            f"  {extra}" if extra else "",
            "" if narrow else f"  {what}",
        )
        lines = [first, Text(what)] if narrow else [first]
        text = Text("\n").join([*lines, _models(tree, models, narrow=narrow)])
        self.update(text, layout=False)  # always as high


def preset_of(options: SolveOptions) -> str:
    """What matters most of the options, in a few words."""
    if options.plan:
        return one_line(options.plan)
    words: list[str] = (
        [options.method, options.effort] if options.method == "auto" else [options.method]
    )
    if options.method in _MANY:
        words.append(f"{options.paths} path{'s' if options.paths > 1 else ''}")
        words.append(options.mode)
    if options.method in VERIFIED_METHODS:
        words.append(f"{options.verifier} ≥ {options.threshold:g}")
    return one_line(" · ".join(words))


def _models(tree: Tree, state: str, *, narrow: bool) -> Text:
    roles: tuple[ModelRole, ModelRole] = ("draft", "target")
    known = [Text(_model(tree, role, state, narrow)) for role in roles if role in tree.models]
    if not known:
        return Text("models are loaded with the first problem")
    num_threads = tree.measured.num_threads if tree.measured else 0
    if num_threads:
        known.append(Text(f"{num_threads} thread{'s' if num_threads > 1 else ''}"))
    return Text("  │  ").join(known)


def _model(tree: Tree, role: ModelRole, state: str, narrow: bool) -> str:
    """What a model is doing; where there is little room the pair stands for its name."""
    view = tree.models[role]
    name = role if narrow else f"{role} {one_line(view.name, 40)}:"
    if view.info is None:
        return f"{name} loading"
    speed = looks.speed_of(tree, role)
    speed_text = "" if speed is None else f" {speed:.0f} tokens/s"
    library = f", {view.info.engine}" if view.info.engine and not narrow else ""
    device = one_line(f"{view.info.device}{library}", 12 if narrow else 60)
    return f"{name} {state}{speed_text}, {device}"
