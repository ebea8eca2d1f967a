"""From events to the tree of a run, for whoever shows one. Pure: no clock, no input or output.

``Tree.apply`` takes one event in and says which nodes have changed, so that whoever draws
can gather the changes of many events and redraw each node once. Any prefix of a run's
events gives a valid tree, also one cut off in the middle of a step.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Literal, NamedTuple

from ssr_local.core.events import (
    AnyEvent,
    ModelLoaded,
    ModelLoading,
    Notice,
    PathEnded,
    PathOpened,
    ProgramRan,
    Replied,
    RunEnded,
    RunMeasured,
    RunPaused,
    RunResumed,
    RunStarted,
    SelectionScored,
    StepDelta,
    StepDrafted,
    StepRead,
    StepRewritten,
    StepVerified,
    VotesCounted,
    WaveOpened,
)
from ssr_local.core.options import VERIFIED_METHODS
from ssr_local.core.records import (
    ModelRole,
    PathKind,
    ReasoningPath,
    RunResult,
    Strategy,
    StrategyScore,
    VoteGroup,
)
from ssr_local.core.views import Counts, ModelView, PathView, StepView

Phase = Literal["idle", "loading", "reading", "selecting", "running", "paused", "ended", "cut off"]
Kind = Literal["run", "strategies", "waves", "path", "step", "votes", "notices"]


class Node(NamedTuple):
    """A part of the tree that can be redrawn alone; -1 where path or step do not apply."""

    kind: Kind
    path: int = -1
    step: int = -1


class Tree:
    """Everything there is to show of one run.

    ``problem`` is shown until the run itself says what it is about; ``revision`` grows with
    every event that changed something.
    """

    def __init__(self, problem: str = "") -> None:
        self.revision = 0
        self.phase: Phase = "idle"
        self.problem = problem
        self.options: dict[str, str | int | float | bool | None] = {}
        self.given: tuple[str, ...] = ()
        self.models: dict[ModelRole, ModelView] = {}
        self.pool: tuple[Strategy, ...] = ()
        self.scores: tuple[StrategyScore, ...] = ()
        self.chosen: tuple[str, ...] = ()
        self.waves: dict[int, WaveOpened] = {}
        self.paths: dict[int, PathView] = {}
        self.groups: tuple[VoteGroup, ...] = ()
        self.notices: list[str] = []
        self.counts = Counts()
        self.at_s = 0.0
        self.measured: RunMeasured | None = None
        self.result: RunResult | None = None

    def apply(self, event: AnyEvent) -> frozenset[Node]:
        """Take one event in; the nodes that have to be drawn again.

        An event about a path or step that was never opened, as a log cut at its beginning
        has them, changes nothing.
        """
        self.at_s = max(self.at_s, event.at_s)
        changed = frozenset(self._apply(event))
        self.revision += bool(changed)
        return changed

    def apply_all(self, events: Iterable[AnyEvent]) -> frozenset[Node]:
        """Take many events in; all the nodes that have to be drawn again, each once."""
        return frozenset().union(*map(self.apply, events))

    @property
    def live_paths(self) -> list[PathView]:
        """The paths that have not ended, in order."""
        return [path for path in self.paths.values() if path.end_reason is None]

    @property
    def shown_waves(self) -> dict[int, WaveOpened]:
        """The waves so far, none where the plan has but one."""
        return self.waves if any(wave.num_planned > 1 for wave in self.waves.values()) else {}

    def by_wave(self) -> list[tuple[WaveOpened | None, list[PathView]]]:
        """The paths with the wave each is shown below, None where it is none."""
        shown = self.shown_waves
        below: dict[int | None, list[PathView]] = {number: [] for number in (None, *shown)}
        for path in self.paths.values():
            below[path.wave if path.wave in shown else None].append(path)
        return [
            (None if number is None else shown[number], paths) for number, paths in below.items()
        ]

    @property
    def stopped(self) -> str:
        """Why no more was needed, "" until the run has ended."""
        return self.result.stopped if self.result else ""

    @property
    def ranked_strategies(self) -> tuple[StrategyScore, ...]:
        """The pool with its scores, the best first; in its own order before there are any."""
        return self.scores or tuple(
            StrategyScore(one.letter, one.name, None, 0) for one in self.pool
        )

    @property
    def winner(self) -> VoteGroup | None:
        """The group that leads, or has won once the run has ended."""
        return next((group for group in self.groups if group.winner), None)

    def settled(self, path: PathView) -> list[StepView]:
        """A path's steps before the first that is not whole, or not judged yet."""

        def stands(step: StepView) -> bool:
            is_whole = step.state == "unverified" and step.num_tokens > 0
            return step.state in ("accepted", "rewritten") or (is_whole and not path.kind.verified)

        return list(takewhile(stands, path.steps))

    def cut_off(self) -> None:
        """No more events come, and the run has not ended: a crash, a stopped replay."""
        if self.phase not in ("idle", "ended"):
            self.phase = "cut off"
            self.revision += 1

    def _apply(self, event: AnyEvent) -> Iterable[Node]:
        match event:
            case StepDelta():
                return self._wrote(event)
            case StepDrafted() | StepVerified() | StepRewritten():
                return self._step_event(event)
            case PathOpened() | PathEnded():
                return self._path_event(event)
            case ProgramRan():
                if event.path not in self.paths:
                    return ()
                self.paths[event.path].program = event.program
                return (Node("path", event.path),)
            case StepRead() | Replied():  # no part of a run
                return ()
            case Notice():
                if event.message in self.notices:
                    return ()
                self.notices.append(event.message)
                return (Node("notices"),)
            case SelectionScored():
                self.scores, self.chosen = event.scores, event.chosen
                self.phase = "running"
                return (Node("strategies"), Node("run"))
            case WaveOpened():
                self.waves[event.wave] = event
                if self.phase != "paused":
                    self.phase = "selecting" if event.selects else "reading"
                return (Node("waves"), Node("run"))
            case VotesCounted():
                self.groups = event.groups
                return (Node("votes"),)
            case RunEnded():
                return self._ended(event)
            case RunStarted():
                self._started(event)
            case ModelLoading():
                self.phase = "loading"
                self.models[event.role] = ModelView(event.name)
            case ModelLoaded():
                self.models[event.role] = ModelView(event.info.name, event.info)
            case RunMeasured():
                self.measured = event
            case RunPaused() | RunResumed():
                self.phase = "paused" if isinstance(event, RunPaused) else "running"
        return (Node("run"),)

    # The run as a whole ----------------------------------------------------

    def _started(self, event: RunStarted) -> None:
        self.phase = "reading"
        self.problem, self.options, self.given = event.problem, event.options, event.given
        self.pool = event.pool
        roles: tuple[ModelRole, ModelRole] = ("draft", "target")
        for role in roles:
            if info := getattr(event.models, role):
                self.models[role] = ModelView(info.name, info)

    def _ended(self, event: RunEnded) -> Iterable[Node]:
        self.phase = "ended"
        result = self.result = event.result
        self.problem, self.options, self.given = result.problem, result.options, result.given
        self.groups = result.votes
        changed = [Node("run"), Node("votes"), Node("strategies")]
        for path in self.paths.values():
            changed += self._close_steps(path)
        for whole in result.paths:
            if whole.index in self.paths:
                changed += self._completed(self.paths[whole.index], whole)
        return changed

    # Paths -----------------------------------------------------------------

    def _path_event(self, event: PathOpened | PathEnded) -> Iterable[Node]:
        if isinstance(event, PathOpened):
            if self.phase != "paused":  # paths can be added meanwhile
                self.phase = "running"
            kind = event.kind or PathKind(verified=self.options.get("method") in VERIFIED_METHODS)
            self.paths[event.path] = PathView(
                event.path, event.strategy, event.selection_score, kind=kind, wave=event.wave
            )
            return (Node("path", event.path), Node("strategies"))
        path = self.paths.get(event.path)
        if path is None:
            return ()
        path.end_reason, path.answer = event.reason, event.answer
        path.mean_score, path.refuted = event.mean_score, event.refuted
        return [Node("path", event.path), *self._close_steps(path)]

    def _close_steps(self, path: PathView) -> list[Node]:
        """What a path was in the middle of when it ended stays, unverified."""
        changed = []
        if path.steps and path.steps[-1].is_open:
            last = path.steps[-1]
            last.state = "unverified"
            changed.append(Node("step", path.index, len(path.steps) - 1))
            if not last.text.strip() and last.rejected is None:
                path.steps.pop()  # nothing of it was written
                changed.append(Node("path", path.index))
        return changed

    @staticmethod
    def _completed(path: PathView, whole: ReasoningPath) -> list[Node]:
        """How far a step was when its path was stopped: without deltas nothing else says."""
        changed = []
        for index, step in enumerate(whole.steps):
            if index == len(path.steps):
                path.steps.append(StepView(step.author))
            shown = path.steps[index]
            if not shown.text.strip():
                shown.text, shown.author, shown.state = step.text, step.author, "unverified"
                shown.num_tokens = step.num_tokens
                changed.append(Node("step", path.index, index))
        return changed

    # Steps -----------------------------------------------------------------

    def _wrote(self, event: StepDelta) -> Iterable[Node]:
        path = self.paths.get(event.path)
        if path is None:
            return ()
        step = self._step_at(path, event.step, event.author)
        if step is None:
            return ()
        if not step.is_open:  # the step is written again, after a verdict was changed
            step.text, step.state = "", "writing"
        step.text += event.text
        return (Node("step", event.path, event.step),)

    def _step_event(self, event: StepDrafted | StepVerified | StepRewritten) -> Iterable[Node]:
        path = self.paths.get(event.path)
        if path is None or not 0 <= event.step <= len(path.steps):
            return ()
        if isinstance(event, StepVerified):
            return self._verified(path, event)
        author: ModelRole = "target" if isinstance(event, StepRewritten) else event.author
        step = self._step_at(path, event.step, author)
        if step is None:
            return ()
        step.text, step.num_tokens, step.elapsed_s = event.text, event.num_tokens, event.elapsed_s
        step.log_prob = event.log_prob
        if isinstance(event, StepRewritten):
            step.state, step.author = "rewritten", "target"
            self.counts.rewritten += 1
        else:
            step.state = "waiting" if path.kind.verified else "unverified"
        if author == "draft":
            self.counts.draft_tokens += event.num_tokens
        else:
            self.counts.target_tokens += event.num_tokens
        return (Node("step", event.path, event.step), Node("run"))

    def _verified(self, path: PathView, event: StepVerified) -> Iterable[Node]:
        if event.step >= len(path.steps):
            return ()
        # A changed verdict takes the path back to that step: what came after is gone.
        dropped = len(path.steps) - event.step - 1
        del path.steps[event.step + 1 :]
        step = path.steps[event.step]
        drafted = step.rejected if step.rejected is not None else step.text
        if event.overridden:
            self._uncount(step)
        else:
            self.counts.drafted += 1
        step.verdict, step.overridden = event.verdict, event.overridden
        if event.verdict.accepted:
            step.text, step.rejected, step.state, step.author = drafted, None, "accepted", "draft"
            self.counts.accepted += 1
        else:
            step.text, step.rejected, step.state, step.author = "", drafted, "rewriting", "target"
        changed = [Node("step", path.index, event.step), Node("run")]
        return [*changed, Node("path", path.index)] if dropped else changed

    def _uncount(self, step: StepView) -> None:
        if step.verdict is not None and step.verdict.accepted:
            self.counts.accepted -= 1
        if step.state == "rewritten":
            self.counts.rewritten -= 1

    @staticmethod
    def _step_at(path: PathView, index: int, author: ModelRole) -> StepView | None:
        """The step with that index, new if it is the next one; None where there is a gap."""
        if index == len(path.steps):
            path.steps.append(StepView(author))
        return path.steps[index] if 0 <= index < len(path.steps) else None
