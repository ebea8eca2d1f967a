"""What the main screen's keys do to a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from textual import on
from textual.screen import Screen

from ssr_local import AddPath, DropPath, Interrupted, OverrideVerdict, Pause, Resume, SSRError
from ssr_local.core.display import clean, one_line
from ssr_local.core.options import SolveOptions
from ssr_local.core.tree import Node, PathView, StepView, Tree
from ssr_local.models.download import ToFetch
from ssr_local_tui.background import in_background
from ssr_local_tui.feed import Feed, unexpected
from ssr_local_tui.host import Host, host_of
from ssr_local_tui.runs import Asked
from ssr_local_tui.widgets.detail import text_of
from ssr_local_tui.widgets.problem import ProblemInput
from ssr_local_tui.widgets.run_tree import Item, RunTree

if TYPE_CHECKING:
    from ssr_local_tui.screens.history import Wish

LOOKING = "looking for the models"
STARTING = "starting"
"""What goes on between asking for a run and its first event."""

# Actions that need a run that goes on, or one that is shown, or a path of it.
_LIVE = frozenset(("stop", "pause", "drop", "add", "keep", "reject", "follow"))
_REPLAY = frozenset(("replay_step", "faster", "slower"))
_STEERED = frozenset(("drop", "add", "keep", "reject"))


class Steering(Screen[None]):
    """Starts, stops and steers runs; ``MainScreen`` shows them."""

    tree_state: Tree
    error: SSRError | None
    busy: str
    following: bool
    source: bool

    running = False
    pausing = False
    _request = 0
    _pair_shown = ""

    if TYPE_CHECKING:

        @property
        def run_tree(self) -> RunTree: ...
        def draw(self) -> None: ...
        def follow(self, changed: frozenset[Node]) -> None: ...
        def draw_all(self) -> None: ...
        def draw_figures(self) -> None: ...
        def draw_detail(self) -> None: ...
        def show_new(self, tree: Tree) -> None: ...

    @property
    def host(self) -> Host:
        """The app."""
        return host_of(self)

    # Beginning -------------------------------------------------------------------

    @on(ProblemInput.Submitted)
    def _submitted(self, event: ProblemInput.Submitted) -> None:
        self.begin(event.text)

    def begin(
        self, problem: str, options: SolveOptions | None = None, given: Sequence[str] = ()
    ) -> None:
        """Solve a problem, after what is missing has been fetched."""
        if self.running or self.busy:
            self._say_busy()
            return
        self.query_one(ProblemInput).remember(problem)
        runs = self.host.runs
        runs.leave_replay()
        runs.forget()
        tree = Tree(problem)
        if runs.has_models and self._pair_shown == self.host.pair_name:
            tree.models = dict(self.tree_state.models)
        self._pair_shown = self.host.pair_name
        self.busy = LOOKING
        self.pausing = False
        self._request += 1
        self.show_new(tree)
        self.run_tree.focus()
        request = self._request
        asked = Asked(problem, options or self.host.settings.solve, tuple(given))

        def look() -> Callable[[], None]:
            return partial(self._looked, request, self._look_for_models(asked))

        in_background(self.app, look)

    def _look_for_models(self, asked: Asked) -> Callable[[], None]:
        try:
            missing = self.host.runs.missing(asked.options)
        except SSRError as error:
            return partial(self.failed, error)
        except Exception as error:  # noqa: BLE001 - it would end the thread unseen
            return partial(self.failed, unexpected(error))
        return partial(self._found, asked, missing)

    def _looked(self, request: int, outcome: Callable[[], None]) -> None:
        """Go on with what was found, unless it was called off meanwhile."""
        if request == self._request and self.busy == LOOKING:
            outcome()

    def _found(self, asked: Asked, missing: ToFetch) -> None:
        if not missing:
            self._start(asked)
            return
        from ssr_local_tui.screens.download import DownloadScreen

        self.busy = "models are missing"
        self.draw_figures()
        self.app.push_screen(
            DownloadScreen(self.host, asked.options, missing), partial(self._fetched, asked)
        )

    def _fetched(self, asked: Asked, done: bool | None) -> None:
        if done:
            self._start(asked)
        else:
            self.busy = ""
            self.notify("Nothing was started. What was downloaded is kept.")
            self.draw_all()

    def _start(self, asked: Asked) -> None:
        self.busy = STARTING
        try:
            self.host.runs.start(asked)
        except SSRError as error:
            self.failed(error)
            return
        self.running = True
        self.draw_all()
        self.draw()

    def play(self, file: Path, speed: float) -> None:
        """Show a run from its log."""
        if self.running or self.busy:
            self._say_busy()
            return
        try:
            self.host.runs.replay(file, speed)
        except SSRError as error:
            self.notify(clean(str(error)), severity="error", markup=False)
            return
        self.running = True
        self.show_new(Tree())
        self.run_tree.focus()
        self.draw()

    def _say_busy(self) -> None:
        key = self.host.key_of("stop")
        self.notify(f"A run goes on. Stop it first ({key} in the tree).", severity="warning")

    def failed(self, error: SSRError) -> None:
        """Show an error; what is shown of the run stays."""
        self.busy = ""
        self.running = False
        self.tree_state.cut_off()
        if not isinstance(error, Interrupted):
            self.error = error
        self.draw_all()

    def ended(self, feed: Feed) -> None:
        """A run's events have come to an end."""
        self.running = self.pausing = False
        self.busy = ""
        self.tree_state.cut_off()
        if feed.log_error:
            self.notify(clean(feed.log_error), severity="warning", markup=False)
        if feed.error is not None:
            self.failed(feed.error)
        elif self.following:
            groups = self.tree_state.groups
            best = next((n for n, group in enumerate(groups) if group.winner), 0)
            self.run_tree.reveal(Item("vote", best))
        self.draw_all()

    def error_hint(self) -> str:
        """What can be done about the error that is shown."""
        if self.error is None or not self.tree_state.problem:
            return ""
        key = self.host.key_of("again")
        return f"Press {key} to start again. What there is stays until then."

    # Keys ------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that can do nothing now are not offered."""
        live = self.running or bool(self.busy)
        replay = self.host.runs.pace is not None
        if action == "tree":
            return self.focused is not None and not isinstance(self.focused, RunTree)
        if action in _REPLAY:
            return live and replay
        if action in _STEERED and replay:
            return False
        if action in _LIVE and not live:
            return False
        if action == "pause" and not self.running:
            return False
        if action in ("drop", "add") and self.tree_state.phase not in ("running", "paused"):
            return False
        if action == "add" and not self.tree_state.scores:
            return False
        if action == "drop":
            return self._live_path() is not None
        if action in ("keep", "reject"):
            step = self._last_judged()
            return (
                step is not None
                and step.verdict is not None
                and (step.verdict.accepted == (action == "reject"))
            )
        if action in ("again", "settings", "open", "history", "tutor", "practice"):
            return not live and (action != "again" or bool(self.tree_state.problem))
        if action == "compare":
            return len(self.tree_state.paths) > 1
        if action in ("copy", "export"):
            return bool(self.tree_state.problem)
        return True

    def action_edit(self) -> None:
        """Type a problem."""
        self.query_one(ProblemInput).focus()

    def action_tree(self) -> None:
        """Leave the input."""
        self.run_tree.focus()

    def action_stop(self) -> None:
        """Stop the run; what there is stays."""
        if self.busy == LOOKING:
            self.busy = ""
        else:
            self.busy = "stopping" if self.running else self.busy
            self.host.runs.cancel()
        self.draw_figures()

    def action_pause(self) -> None:
        """Stand still between rounds, or go on."""
        pace = self.host.runs.pace
        if pace is not None:
            pace.toggle()
        else:
            # A pause begins between two rounds; asked for twice before that, it is called off.
            self.pausing = self.tree_state.phase != "paused" and not self.pausing
            self.host.runs.tell(Pause() if self.pausing else Resume())
        self.draw_figures()

    def action_again(self) -> None:
        """The same problem with another seed."""
        if self.tree_state.problem:
            options = msgspec.structs.replace(self.host.settings.solve, seed=None)
            self.begin(self.tree_state.problem, options)

    def action_drop(self) -> None:
        """End the path the cursor is on; it has no vote."""
        path = self._live_path()
        if path is not None:
            self.host.runs.tell(DropPath(path.index))

    def action_keep(self) -> None:
        """Keep the step judged last, whatever the target said."""
        self._override(accept=True)

    def action_reject(self) -> None:
        """Reject the step judged last; the target writes its own."""
        self._override(accept=False)

    def _override(self, *, accept: bool) -> None:
        path = self._live_path()
        if path is not None:
            self.host.runs.tell(OverrideVerdict(path.index, accept))

    def action_add(self) -> None:
        """One more path, with a strategy that is chosen."""
        from ssr_local_tui.screens.strategies import StrategyScreen

        self.app.push_screen(StrategyScreen(self.tree_state), self._added)

    def _added(self, letter: str | None) -> None:
        if letter is not None:
            self.host.runs.tell(AddPath(letter))

    def action_compare(self) -> None:
        """Two paths side by side."""
        from ssr_local_tui.screens.comparison import ComparisonScreen

        path = self._path()
        self.app.push_screen(ComparisonScreen(self.tree_state, path.index if path else None))

    def action_source(self) -> None:
        """Formulas as they were written, or as plain signs."""
        self.source = not self.source
        self.draw_detail()

    def action_follow(self) -> None:
        """Keep the cursor on what is being written, or let it be."""
        self.following = not self.following
        if self.following:
            paths = self.tree_state.live_paths
            last = (Node("step", path.index, len(path.steps) - 1) for path in paths if path.steps)
            self.follow(frozenset(last))
        self.notify("Following what is written." if self.following else "Not following.")

    def action_copy(self) -> None:
        """Copy what the cursor is on."""
        text = text_of(self.tree_state, self.run_tree.selected_item)
        self.app.copy_to_clipboard(clean(text))
        self.notify(f"Copied: {one_line(text, 60)}", markup=False)

    def action_export(self) -> None:
        """Write the run to a file."""
        from ssr_local_tui.screens.files import ExportScreen

        feed = self.host.runs.feed
        self.app.push_screen(ExportScreen(self.tree_state, feed.kept_in if feed else None))

    def action_open(self) -> None:
        """Open an event log."""
        from ssr_local_tui.screens.files import OpenScreen

        self.app.push_screen(OpenScreen(), self._opened)

    def _opened(self, chosen: tuple[Path, float] | None) -> None:
        if chosen is not None:
            self.play(*chosen)

    def action_tutor(self) -> None:
        """One's own steps, checked as they are written."""
        self._open_tutor(self.tree_state.problem)

    def _open_tutor(self, problem: str, steps: str = "") -> None:
        from ssr_local_tui.screens.tutor import TutorScreen

        self.app.push_screen(TutorScreen(problem, steps), self._tutored)

    def _tutored(self, problem: str | None) -> None:
        if problem is not None:
            self.begin(problem)

    def action_practice(self) -> None:
        """A problem that went wrong once, taken to the tutor."""
        from ssr_local_tui.screens.practice import PracticeScreen

        self.app.push_screen(PracticeScreen(), self._practised)

    def _practised(self, problem: str | None) -> None:
        if problem is not None:
            self._open_tutor(problem)

    def action_history(self) -> None:
        """What was done before."""
        from ssr_local_tui.screens.history import HistoryScreen

        self.app.push_screen(HistoryScreen(), self._remembered)

    def _remembered(self, wish: Wish | None) -> None:
        if wish is None:
            return
        problem = wish.entry.problem
        if wish.what == "again":
            field = self.query_one(ProblemInput)
            field.load_text(problem)
            field.focus()
        elif wish.entry.kind != "run":
            self._open_tutor(problem, "\n\n".join(wish.steps))
        elif wish.log is not None:
            self.play(wish.log, 0.0)
        else:
            self.begin(problem, given=wish.steps)

    def action_settings(self) -> None:
        """Every setting, for this session or for good."""
        self.host.open_settings()

    def action_replay_step(self) -> None:
        """One event further in a replay."""
        if (pace := self.host.runs.pace) is not None:
            pace.step()
            self.draw_figures()

    def action_faster(self) -> None:
        """Play faster."""
        self._speed(1)

    def action_slower(self) -> None:
        """Play slower."""
        self._speed(-1)

    def _speed(self, steps: int) -> None:
        if (pace := self.host.runs.pace) is not None:
            pace.faster(steps)
            self.draw_figures()

    def replay_text(self) -> str:
        """How a log is being played; empty for a live run."""
        pace = self.host.runs.pace
        if pace is None:
            waits = self.pausing and self.running and self.tree_state.phase != "paused"
            return "[will pause]" if waits else ""
        speed = f"{pace.speed:g} × as fast" if pace.speed else "at once"
        state = ", stands still" if pace.paused and self.running else ""
        return f"[replay, {speed}{state}]"

    def action_help(self) -> None:
        """What every key does."""
        self.host.open_help()

    # What the cursor is on ----------------------------------------------------------

    def _path(self) -> PathView | None:
        item: Item = self.run_tree.selected_item
        if item.kind not in ("path", "step", "rejected"):
            return None
        return self.tree_state.paths.get(item.place)

    def _live_path(self) -> PathView | None:
        path = self._path()
        return path if path is not None and path.end_reason is None else None

    def _last_judged(self) -> StepView | None:
        path = self._live_path()
        steps = path.steps if path is not None else []
        return next((step for step in reversed(steps) if step.verdict is not None), None)
