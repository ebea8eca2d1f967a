"""What the app runs: one solver, one run at a time, live or from a log. No widgets."""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from ssr_local import Solver
from ssr_local.core.commands import AnyCommand
from ssr_local.core.errors import EventLogError
from ssr_local.core.events import (
    AnyEvent,
    PathEnded,
    RunEnded,
    SelectionScored,
    StepDrafted,
    StepRewritten,
    StepVerified,
    encode_event,
    read_events,
)
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.core.tree import Tree
from ssr_local.history.saving import Saver, is_kept, saving
from ssr_local.history.store import Kind
from ssr_local.models.download import Progress
from ssr_local_tui.feed import Feed, Pace, new_log

_STEPS = (SelectionScored, StepDrafted, StepVerified, StepRewritten, PathEnded, RunEnded)
_CLOSE_WAIT_S = 3.0


class Runs:
    """Starts runs and steers the one that goes on.

    ``on_progress`` and ``on_notice`` hear of downloads, from another thread. Runs are saved
    in the history unless ``keep`` or the settings file says otherwise.
    """

    def __init__(
        self,
        engine: EngineOptions,
        on_progress: Callable[[Progress], None],
        on_notice: Callable[[str], None],
        *,
        keep: bool = True,
    ) -> None:
        self.keep = keep
        self._engine = engine
        self._on_progress, self._on_notice = on_progress, on_notice
        self._solver: Solver | None = None
        self._passing: tempfile.TemporaryDirectory[str] | None = None
        self._making = threading.Lock()
        self.feed: Feed | None = None
        self.pace: Pace | None = None

    @property
    def solver(self) -> Solver:
        """The solver of the engine options in force. Raises ``SSRError`` for an unknown pair."""
        if self._solver is None:
            self._solver = Solver(
                engine=self._engine, on_progress=self._on_progress, on_notice=self._on_notice
            )
        return self._solver

    def use_engine(self, engine: EngineOptions) -> None:
        """Other engine options from the next run on; the models are unloaded."""
        if engine == self._engine:
            return
        self._engine = engine
        self._let_go()

    def start(
        self, problem: str, options: SolveOptions, prefix_steps: tuple[str, ...] = ()
    ) -> Feed:
        """Begin to solve a problem; every path begins with the prefix steps."""
        solver = self.solver

        def events() -> Iterator[AnyEvent]:
            with self.saving("run", problem, options) as saver:
                for event in saver.watch(solver.stream(problem, options, given=prefix_steps)):
                    if feed.stopping:  # asked for before there was a run to tell
                        feed.stopping = False
                        solver.cancel()
                    yield event

        log = new_log() if self.keep and is_kept() else self._passing_file()
        feed = self.feed = Feed(events, log)
        feed.start()
        return feed

    def saving(
        self, kind: Kind, problem: str, options: SolveOptions
    ) -> AbstractContextManager[Saver]:
        """A new entry of the history, unless nothing is to be kept."""
        return saving(
            kind,
            problem,
            pair=self._engine.pair,
            method=options.method,
            say=self._on_notice,
            keep=self.keep,
        )

    def _passing_file(self) -> Path:
        """A name for an event log that goes away with the app."""
        with self._making:  # dialogs ask for one in their threads
            if self._passing is None:
                self._passing = tempfile.TemporaryDirectory(
                    prefix="ssr-local-", ignore_cleanup_errors=True
                )
        return Path(self._passing.name) / f"run-{uuid.uuid4().hex}.jsonl"

    def make_room(self) -> None:
        """A live run is to begin: what was shown before, a log perhaps, is not its events."""
        if self.pace is not None:
            self.pace.stop()
        self.pace = self.feed = None

    @property
    def has_models(self) -> bool:
        """Whether a worker lives that has, or is about to have, the models."""
        return self._solver is not None and self._solver.worker_pid is not None

    @property
    def is_busy(self) -> bool:
        """Whether the models work on something, or are being downloaded."""
        return self._solver is not None and self._solver.is_busy

    def unproven_engine(self) -> str:
        """What ``Solver.unproven_engine`` says of the models in use."""
        solver = self._solver
        return solver.unproven_engine if solver is not None else ""

    def prove_engine(self) -> str:
        """``Solver.prove_engine``, which a run that begins ends."""
        solver = self._solver
        return solver.prove_engine() if solver is not None else ""

    def replay(self, file: Path, speed: float) -> Feed:
        """Begin to play a log. Raises ``EventLogError`` when it cannot be read."""
        try:
            file.open("rb").close()
        except OSError as error:
            raise EventLogError(
                f"{file} cannot be opened.", error.strerror or "", "Give the path of an event log."
            ) from error
        pace = self.pace = Pace(speed)

        def events() -> Iterator[AnyEvent]:
            with file.open("rb") as handle:
                yield from pace.play(
                    read_events(handle, str(file)), lambda event: isinstance(event, _STEPS)
                )

        feed = self.feed = Feed(events, recorded=file)
        feed.start()
        return feed

    def log_of(self, events: Iterable[AnyEvent]) -> Path:
        """A file with these events, there while the app is open. Raises ``SSRError``."""
        data = b"".join(encode_event(event) + b"\n" for event in events)
        file = self._passing_file()
        try:
            file.write_bytes(data)
        except OSError as error:
            raise EventLogError(f"{file} cannot be written.", error.strerror or "") from error
        return file

    def tell(self, command: AnyCommand) -> None:
        """Steer the live run; a replay takes no commands."""
        if self._solver is not None and self.pace is None:
            self._solver.tell(command)

    def cancel(self) -> None:
        """Stop what goes on: a run, a download or a replay."""
        if self.pace is not None:
            self.pace.stop()
        elif self._solver is not None:
            if self.feed is not None:
                self.feed.stopping = True
            self._solver.cancel()

    def cancel_work(self) -> None:
        """Stop what the solver does beside runs, whatever is shown."""
        if self._solver is not None:
            self._solver.cancel()

    def close(self) -> None:
        """End everything at once."""
        if self.pace is not None:
            self.pace.stop()
        self._let_go()
        if self._passing is not None:
            self._passing.cleanup()

    def _let_go(self) -> None:
        """Give the models back, in a thread where a run has still to notice."""
        solver, self._solver = self._solver, None
        if solver is None:
            return
        solver.cancel()  # what has no process yet: a download, or a run about to begin
        solver.kill()
        feed = self.feed
        if feed is not None and not feed.is_over and self.pace is None:
            feed.wait(_CLOSE_WAIT_S)
        threading.Thread(target=solver.close, name="close", daemon=True).start()


def steps_to_continue(events: Iterable[AnyEvent]) -> tuple[str, ...]:
    """The steps that stand on a run's longest path that has no answer yet; maybe none."""
    tree = Tree()
    tree.apply_all(events)
    paths = [path for path in tree.paths.values() if path.end_reason != "answered"]
    longest = max(map(tree.settled, paths), key=len, default=[])
    return (*tree.given, *(step.text for step in longest))
