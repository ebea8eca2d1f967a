"""What the main screen's keys do to a run: begins, steers and ends it. No widgets.

A screen calls the methods, draws ``tree`` whenever ``take_in`` has news of it, and hears by
messages of everything else. All of it is for the thread that draws.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
from textual.message import Message

from ssr_local import AddPath, DropPath, Interrupted, OverrideVerdict, Pause, Resume, SSRError
from ssr_local.core.commands import AnyCommand
from ssr_local.core.options import SolveOptions
from ssr_local.core.tree import Node, Tree
from ssr_local.core.views import PathView, StepView
from ssr_local.models.download import ToFetch
from ssr_local_tui.feed import Feed, Pace
from ssr_local_tui.host import Host

LOOKING = "looking for the models"
STARTING = "starting"
"""What goes on between asking for a run and its first event."""

# Actions that need a run that goes on, one played from a log, a live one, or none.
_GOING = frozenset(("stop", "pause", "drop", "add", "keep", "reject", "follow"))
_REPLAY = frozenset(("replay_step", "faster", "slower"))
_STEERING = frozenset(("drop", "add", "keep", "reject"))
_BETWEEN_RUNS = frozenset(("again", "settings", "open", "history", "tutor", "practice"))


class RunController:
    """One run at a time, live or from a log.

    ``error`` is what ended the last one; ``busy`` is what goes on before a run's first event
    or while it stops; ``pausing`` says that it was told to pause.
    """

    class Began(Message):
        """Another run is to be shown from its beginning."""

    class Changed(Message):
        """Something besides the tree has changed."""

    class Ended(Message):
        """A run's events are over."""

    @dataclass
    class Trouble(Message):
        """Something went wrong that ends no run."""

        text: str
        severity: Literal["warning", "error"]

    @dataclass
    class ModelsMissing(Message):
        """These are to be downloaded first; ``go_on`` hears whether they were."""

        options: SolveOptions
        missing: ToFetch

    def __init__(self, host: Host, post: Callable[[Message], object]) -> None:
        self._host, self._post = host, post
        self.tree = Tree()
        self.error: SSRError | None = None
        self.busy = ""
        self.pausing = False
        self._feed: Feed | None = None
        self._start: Callable[[], None] | None = None
        self._request = 0
        self._pair_shown = ""
        self._began_s = self._event_s = 0.0

    # State ---------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether events of a run are still to be taken in."""
        return self._feed is not None

    @property
    def is_live(self) -> bool:
        """Whether what is shown was not played from a log."""
        return self._host.runs.pace is None

    @property
    def is_going(self) -> bool:
        """Whether a run goes on, or is about to."""
        return self.running or bool(self.busy)

    @property
    def models_on_cpu(self) -> bool:
        """Whether a live run's models have but the CPU that draws."""
        infos = [one.info for one in self.tree.models.values() if one.info is not None]
        return self.is_live and any(info.device == "cpu" for info in infos)

    @property
    def playing(self) -> str:
        """How a log is being played; empty for a live run, unless it is about to pause."""
        pace = self._host.runs.pace
        if pace is None:
            waits = self.pausing and self.running and self.tree.phase != "paused"
            return "[will pause]" if waits else ""
        speed = f"{pace.speed:g} × as fast" if pace.speed else "at once"
        return f"[replay, {speed}{', stands still' if pace.paused and self.running else ''}]"

    @property
    def models_state(self) -> str:
        """What became of models that were loaded."""
        if not self.is_live:
            return "recorded"
        return "ready" if self._host.runs.has_models else "unloaded"

    @property
    def elapsed_s(self) -> float:
        """Seconds of a run by its own events; until they come, since it was asked for."""
        if self.is_live and self.is_going and self.tree.phase in ("idle", "loading"):
            return time.monotonic() - self._began_s
        if self.is_live and self.running and self.tree.phase != "paused":
            return self.tree.at_s + time.monotonic() - self._event_s
        return self.tree.at_s

    def can(self, action: str, path: PathView | None) -> bool:
        """Whether an action can do something now; ``path`` is the one the cursor is on."""
        tree = self.tree
        path = path if path is not None and path.end_reason is None else None
        if action in _REPLAY:
            return self.is_going and not self.is_live
        if action in _BETWEEN_RUNS:
            return not self.is_going and (action != "again" or bool(tree.problem))
        if action in _GOING and not self.is_going:
            return False
        if action in _STEERING and not self.is_live:
            return False
        if action in ("drop", "add") and tree.phase not in ("running", "paused"):
            return False
        if action in ("keep", "reject"):
            step = last_judged(path) if path is not None else None
            accepted = step.verdict.accepted if step is not None and step.verdict else None
            return accepted is (action == "reject")
        return {
            "pause": self.running,
            "add": bool(tree.scores),
            "drop": path is not None,
            "compare": len(tree.paths) > 1,
            "copy": bool(tree.problem),
            "export": bool(tree.problem),
        }.get(action, True)

    # Beginning -----------------------------------------------------------------------

    def begin(
        self, problem: str, options: SolveOptions | None = None, prefix_steps: Sequence[str] = ()
    ) -> None:
        """Solve a problem, after what is missing has been fetched."""
        if self._is_in_the_way():
            return
        runs, options = self._host.runs, options or self._host.settings.solve
        runs.make_room()
        tree = Tree(problem)
        if runs.has_models and self._pair_shown == self._host.pair_name:
            tree.models = dict(self.tree.models)
        self._pair_shown = self._host.pair_name
        self._start = partial(self._started, problem, options, tuple(prefix_steps))
        self._request += 1
        self._show(tree, busy=LOOKING)
        self._host.in_background(
            lambda: runs.solver.to_fetch(options),
            partial(self._found, self._request, options),
            partial(self._not_found, self._request),
        )

    def again(self) -> None:
        """The same problem with another seed."""
        if self.tree.problem:
            options = msgspec.structs.replace(self._host.settings.solve, seed=None)
            self.begin(self.tree.problem, options)

    def play(self, file: Path, speed: float) -> None:
        """Show a run from its log."""
        if self._is_in_the_way():
            return
        try:
            feed = self._host.runs.replay(file, speed)
        except SSRError as error:
            self._post(self.Trouble(str(error), "error"))
            return
        self.watch(feed)

    def _is_in_the_way(self) -> bool:
        if self.is_going:
            how = f"Stop it first ({self._host.key_of('stop')} in the tree)."
            self._post(self.Trouble(f"A run goes on. {how}", "warning"))
        return self.is_going

    def watch(self, feed: Feed) -> None:
        """Show the run whose events these are."""
        self._feed = feed
        self._show(Tree())

    def _show(self, tree: Tree, busy: str = "") -> None:
        self.tree, self.busy = tree, busy
        self.error, self.pausing = None, False
        self._began_s = self._event_s = time.monotonic()
        self._post(self.Began())

    def _found(self, request: int, options: SolveOptions, missing: ToFetch) -> None:
        if request != self._request:
            return  # it was called off
        if missing:
            self.busy = "models are missing"
            self._post(self.ModelsMissing(options, missing))
        else:
            self.go_on(True)

    def _not_found(self, request: int, error: SSRError) -> None:
        if request == self._request:
            self.fail(error)

    def go_on(self, fetched: bool | None) -> None:
        """Start what was asked for, if what it needs is there."""
        self.busy = ""
        start, self._start = self._start, None
        if fetched and start is not None:
            start()
        self._post(self.Changed())

    def _started(self, problem: str, options: SolveOptions, prefix_steps: tuple[str, ...]) -> None:
        try:
            self._feed = self._host.runs.start(problem, options, prefix_steps)
        except SSRError as error:
            self.fail(error)
        else:
            self.busy = STARTING

    # Taking in and ending --------------------------------------------------------------

    def take_in(self) -> frozenset[Node]:
        """Take in what has come since the last time; the nodes that have changed."""
        feed = self._feed
        if feed is None:
            return frozenset()
        is_over = feed.is_over  # before the last of it is taken
        events = feed.drain()
        changed = self.tree.apply_all(events)
        if events:
            self._event_s = time.monotonic()
            self.busy = "" if self.busy == STARTING else self.busy
        if is_over:
            self._end(feed)
        return changed

    def _end(self, feed: Feed) -> None:
        self._feed, self.busy, self.pausing = None, "", False
        self.tree.cut_off()
        if feed.log_error:
            self._post(self.Trouble(feed.log_error, "warning"))
        if feed.error is not None:
            self.fail(feed.error)
        self._post(self.Ended())

    def fail(self, error: SSRError) -> None:
        """Keep an error to be shown; what is shown of the run stays."""
        self._feed, self.busy = None, ""
        if not isinstance(error, Interrupted):
            self.error = error
        self._post(self.Changed())

    # Steering --------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop the run; what there is stays."""
        if self.busy == LOOKING:
            self.busy = ""
            self._request += 1
        else:
            self.busy = "stopping" if self.running else self.busy
            self._host.runs.cancel()
        self._post(self.Changed())

    def pause(self) -> None:
        """Stand still between rounds, or go on."""
        if (pace := self._host.runs.pace) is not None:
            pace.toggle()
            self._post(self.Changed())
        else:
            # A pause begins between two rounds; asked for twice before that, it is called off.
            self.pausing = self.tree.phase != "paused" and not self.pausing
            self._tell(Pause() if self.pausing else Resume())

    def drop(self, path: PathView) -> None:
        """End a path; it has no vote."""
        self._tell(DropPath(path.index))

    def add(self, letter: str) -> None:
        """One more path, with this strategy."""
        self._tell(AddPath(letter))

    def override(self, path: PathView, *, accept: bool) -> None:
        """Keep the step judged last, whatever the target said, or have it rewritten."""
        self._tell(OverrideVerdict(path.index, accept))

    def change_pace(self, change: Callable[[Pace], object]) -> None:
        """Play a replay in another way: faster, or an event further."""
        if (pace := self._host.runs.pace) is not None:
            change(pace)
            self._post(self.Changed())

    def _tell(self, command: AnyCommand) -> None:
        self._host.runs.tell(command)
        self._post(self.Changed())


def last_judged(path: PathView) -> StepView | None:
    """The last step of a path that has a verdict."""
    return next((step for step in reversed(path.steps) if step.verdict is not None), None)
