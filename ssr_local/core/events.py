"""Everything that happens in a run, as frozen events, and their JSONL form.

The coordinator yields them; the command line, the app, the evaluation and the history
read them. An event log is one JSON object a line: the loading of models that were not
loaded yet, then a ``RunStarted``, last a ``RunEnded`` unless the run was cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO

import msgspec

from ssr_local.core.errors import EventLogError
from ssr_local.core.records import (
    EndReason,
    ModelInfo,
    ModelRole,
    Models,
    OptionValues,
    PathKind,
    ProgramRun,
    Rule,
    RunResult,
    StepReading,
    Strategy,
    StrategyScore,
    Timing,
    Usage,
    Verdict,
    VoteGroup,
)

MAX_LOG_LINE_BYTES = 16 * 1024 * 1024
_GIVE_A_LOG = "Give a file that 'ssr-local solve --events FILE' wrote."


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of all events; ``at_s`` is seconds since the run began."""

    at_s: float = 0.0


class ModelLoading(Event, frozen=True, kw_only=True, tag=True):
    """A model is being loaded into memory."""

    role: ModelRole
    name: str


class ModelLoaded(Event, frozen=True, kw_only=True, tag=True):
    """A model is ready."""

    role: ModelRole
    info: ModelInfo
    elapsed_s: float


class RunStarted(Event, frozen=True, kw_only=True, tag=True):
    """A run begins: the problem, everything in force, and the models."""

    problem: str
    options: OptionValues
    models: Models
    pool: tuple[Strategy, ...]
    version: str
    given: tuple[str, ...] = ()


class Notice(Event, frozen=True, kw_only=True, tag=True):
    """Something the user should know: a fallback taken, a limit met."""

    message: str


class SelectionScored(Event, frozen=True, kw_only=True, tag=True):
    """The target has judged the pool (docs/method.md, section 1)."""

    mode: str
    scores: tuple[StrategyScore, ...]
    chosen: tuple[str, ...]


class WaveOpened(Event, frozen=True, kw_only=True, tag=True):
    """A plan's paths are opened, counted from 0; ``why`` says why those before were not enough.

    ``text`` is them as the plan has them; ``selects``: the target chooses strategies for them now.
    """

    wave: int
    paths: tuple[PathKind, ...]
    why: str = ""
    text: str = ""
    rule: Rule = "all"
    num_planned: int = 1
    selects: bool = False

    @property
    def title(self) -> str:
        """Which wave it is, and why it was opened or how many paths it has."""
        num = len(self.paths)
        return f"Wave {self.wave + 1}: {self.why or f'{num} path' + 's' * (num != 1)}"


class PathOpened(Event, frozen=True, kw_only=True, tag=True):
    """A path begins to follow a strategy; ``kind`` is None in logs of versions before 0.2."""

    path: int
    strategy: Strategy
    selection_score: float | None
    kind: PathKind | None = None
    wave: int = 0


class StepDelta(Event, frozen=True, kw_only=True, tag=True):
    """New text of the step being written on a path."""

    path: int
    step: int
    author: ModelRole
    text: str


class StepDrafted(Event, frozen=True, kw_only=True, tag=True):
    """A step is complete; in SSD methods it now waits for its verdict."""

    path: int
    step: int
    author: ModelRole
    text: str
    num_tokens: int
    elapsed_s: float = 0.0
    log_prob: float | None = None


class StepVerified(Event, frozen=True, kw_only=True, tag=True):
    """The target, or algebra in its place, has judged a drafted step."""

    path: int
    step: int
    verdict: Verdict
    overridden: bool = False


class StepRewritten(Event, frozen=True, kw_only=True, tag=True):
    """The target's own step has replaced a rejected one."""

    path: int
    step: int
    text: str
    num_tokens: int
    elapsed_s: float = 0.0
    log_prob: float | None = None


class PathEnded(Event, frozen=True, kw_only=True, tag=True):
    """A path has ended, with or without an answer."""

    path: int
    reason: EndReason
    answer: str | None
    mean_score: float | None
    refuted: str = ""


class ProgramRan(Event, frozen=True, kw_only=True, tag=True):
    """The program that a path has written was run."""

    path: int
    program: ProgramRun


class VotesCounted(Event, frozen=True, kw_only=True, tag=True):
    """The answers so far, grouped by equivalence."""

    groups: tuple[VoteGroup, ...]


class RunMeasured(Event, frozen=True, kw_only=True, tag=True):
    """What the run has cost so far, about once a second; ``RunEnded`` has the whole.

    ``kv_cells`` is how many cells of each model's KV cache are taken, shared ones counted once;
    ``num_threads`` how many CPU threads the last call took, 0 where that is not known.
    """

    usage: Usage
    timing_s: Timing
    kv_cells: dict[ModelRole, int]
    num_threads: int = 0


class StepRead(Event, frozen=True, kw_only=True, tag=True):
    """The target has read one of somebody's steps; ``step`` counts from 0."""

    step: int
    reading: StepReading


class Replied(Event, frozen=True, kw_only=True, tag=True):
    """The target has answered a question about steps; ``text`` is all it said."""

    text: str


class RunPaused(Event, frozen=True, kw_only=True, tag=True):
    """The run stands still between two rounds."""


class RunResumed(Event, frozen=True, kw_only=True, tag=True):
    """The run continues after a pause."""


class RunEnded(Event, frozen=True, kw_only=True, tag=True):
    """The run is over; the result holds all of it."""

    result: RunResult


AnyEvent = (
    ModelLoading
    | ModelLoaded
    | RunStarted
    | Notice
    | SelectionScored
    | WaveOpened
    | PathOpened
    | StepDelta
    | StepDrafted
    | StepVerified
    | StepRewritten
    | ProgramRan
    | PathEnded
    | VotesCounted
    | RunMeasured
    | StepRead
    | Replied
    | RunPaused
    | RunResumed
    | RunEnded
)

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)

encode_event = msgspec.json.Encoder().encode
"""One event as one line of JSON, without the newline."""

decode_event = _decoder.decode
"""The event a line of JSON stands for; raises ``msgspec.DecodeError``."""


def write_events(events: Iterable[AnyEvent], file: IO[bytes]) -> Iterator[AnyEvent]:
    """Pass events on, each written and flushed to ``file`` first: a killed run keeps them."""
    for event in events:
        file.write(encode_event(event) + b"\n")
        file.flush()
        yield event


def read_events(file: IO[bytes], name: str) -> Iterator[AnyEvent]:
    """The events of a log, in order.

    A half-written last line, as a killed run leaves it, ends the log quietly; any other
    line that is not an event raises ``EventLogError`` naming ``name`` and the line.
    """
    number = 0
    while line := file.readline(MAX_LOG_LINE_BYTES):
        number += 1
        if not line.strip():
            continue
        try:
            yield decode_event(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if number > 1 and not line.endswith(b"\n") and len(line) < MAX_LOG_LINE_BYTES:
                return
            what = f"{name}, line {number}: not an event."
            raise EventLogError(what, f"{error}.", _GIVE_A_LOG) from error
    if number == 0:
        raise EventLogError(f"{name}: the event log is empty.", "", _GIVE_A_LOG)
