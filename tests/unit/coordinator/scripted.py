"""Runs of the coordinator on scripted engines: paths written out, and everything observed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

from ssr_local.answers.arithmetic import refuted_claim
from ssr_local.answers.program import run_written_program
from ssr_local.coordinator.commands import Mailbox
from ssr_local.coordinator.prompter import Prompter
from ssr_local.coordinator.run import Run
from ssr_local.coordinator.scheduler import solve_together
from ssr_local.coordinator.templates import RenderRequest, render_with_jinja
from ssr_local.core.commands import AnyCommand, Resume
from ssr_local.core.events import AnyEvent
from ssr_local.core.options import SolveOptions, validate
from ssr_local.core.records import Calibration, ModelRole, Strategy
from ssr_local.engine.base import Engine
from ssr_local.engine.demo import is_typical
from ssr_local.engine.fake import FakeEngine, Script
from ssr_local.method.plans import plan_for
from ssr_local.method.pools import Pool
from ssr_local.method.verification import Judge
from ssr_local.process.helper import Helper

POOL = Pool(
    name="test",
    description="",
    answer="boxed",
    instruction="Box the answer.",
    strategies=tuple(Strategy(x, f"name {x}", f"advice{x} please") for x in "ABCDE"),
)
ASSISTANT = "<|im_start|>assistant\n"
QUESTION = "<|im_end|>\n<|im_start|>user\n"
NOT_YET = "Do not solve this yet."
CALIBRATIONS = {"digit": Calibration(knots=((0.0, 0.0), (9.0, 9.0)))}
LETTERS = {"A": 0.4, "B": 0.3, "C": 0.2, "D": 0.06, "E": 0.04}


class Turn(NamedTuple):
    """A step: the draft's text, how good the target finds it, and the target's own text.

    0.8 gets the digit 7, which is kept at the default threshold; 0.7 gets 6, which is not.
    """

    draft: str
    yes: float = 0.9
    target: str = ""


def letter_of(prompt: str) -> str:
    """Whose advice a path's prompt holds; M for none. More than one is a mixture."""
    found = [s.letter for s in POOL.strategies if s.advice in prompt]
    assert len(found) <= 1, f"one prompt with the advice of {found}"
    return found[0] if found else "M"


class Paths(Script):
    """A script with the turns of each strategy written out; ``default`` for the others."""

    def __init__(
        self,
        default: Sequence[Turn] = (),
        letters: Mapping[str, float] = LETTERS,
        generated: str = "",
        **paths: Sequence[Turn],
    ) -> None:
        self.default, self.paths = default, paths
        self.letters, self.generated = letters, generated
        self.probed: list[tuple[str, str]] = []

    def turns(self, letter: str) -> Sequence[Turn]:
        return self.paths.get(letter, self.default)

    def continuation(self, role: ModelRole, text: str) -> str:
        prompt, _, written = text.rpartition(ASSISTANT)
        if NOT_YET in prompt:
            return self.generated.removeprefix(written)
        for turn in self.turns(letter_of(prompt)):
            own = turn.target if role == "target" and turn.target else turn.draft
            versions = sorted({turn.draft, turn.target} - {""}, key=len, reverse=True)
            done = next((v for v in versions if written.startswith(v)), None)
            if done is None:
                return own[len(written) :] if own.startswith(written) else ""
            written = written[len(done) :]
        return ""

    def probe(self, text: str) -> Mapping[str, float]:
        partial, asked, _ = text.rpartition(QUESTION)
        prompt, _, written = partial.rpartition(ASSISTANT)
        if not asked or not prompt:
            return {} if is_typical(text) else self.letters
        letter = letter_of(prompt)
        self.probed.append((letter, written))
        # A step cut short by its token limit is no turn's whole text.
        yes = next((t.yes for t in self.turns(letter) if written.endswith(t.draft)), 0.9)
        return digit_of(yes)


def digit_of(share: float) -> dict[str, float]:
    """The one digit the target says of a step, 0.9 being 8; none for NaN."""
    return {"0": share} if math.isnan(share) else {str(int(9 * share)): 1.0}


class Ticks:
    """A clock that moves by ``step_s`` at every look and by hand."""

    def __init__(self, step_s: float = 0.001) -> None:
        self.now, self.step_s = 100.0, step_s

    def __call__(self) -> float:
        self.now += self.step_s
        return self.now


class Desk(Mailbox):
    """Commands put down by the test while it reads the events."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[AnyCommand] = []
        self.after_pause: list[AnyCommand] = []

    def put(self, command: AnyCommand) -> None:
        self.waiting.append(command)

    def poll(self) -> Sequence[AnyCommand]:
        taken, self.waiting = self.waiting, []
        return taken

    def wait(self) -> Sequence[AnyCommand]:
        return [self.after_pause.pop(0) if self.after_pause else Resume()]


class InThisProcess(Helper):
    """Renders templates without the helper process, which has tests of its own."""

    def call(self, name: str, argument: Any, **_: Any) -> Any:
        assert isinstance(argument, RenderRequest)
        return render_with_jinja(argument)


def make_run(
    script: Script,
    *,
    problem: str = "How many?",
    clock: Callable[[], float] | None = None,
    calibrations: Mapping[str, Calibration] = CALIBRATIONS,
    engine: Mapping[str, Any] | None = None,
    target: Mapping[str, Any] | None = None,
    engines: Mapping[ModelRole, Engine] | None = None,
    pool: Pool = POOL,
    prefix_steps: Sequence[str] = (),
    commands: Mailbox | None = None,
    **options: Any,
) -> Run:
    """A run on engines that follow one script; ``target`` holds what is different there.

    ``engines`` are taken instead where they are given.
    """
    chosen = validate(SolveOptions, {"verifier": "digit", "seed": 1, **options})
    plan = plan_for(chosen)
    own: dict[ModelRole, Engine] = {}
    for role in plan.roles:
        more = dict(engine or {}) | (dict(target or {}) if role == "target" else {})
        own[role] = engines[role] if engines else FakeEngine(script, role=role, **more)
    return Run(
        problem=problem,
        options=chosen,
        plan=plan,
        pool=pool,
        engines=own,
        prompters={role: Prompter(one, pool, InThisProcess()) for role, one in own.items()},
        judge=Judge(chosen.verifier, chosen.threshold, calibrations),
        compare=lambda a, b: "equal" if a == b else "different",
        run_program=run_written_program,
        refute=partial(refuted_claim, problem=problem),
        prefix_steps=tuple(prefix_steps),
        commands=commands or Mailbox(),
        clock=clock or Ticks(),
    )


def engine_of(run: Run, role: ModelRole) -> FakeEngine:
    """The scripted engine of that role."""
    engine = run.engines[role]
    assert isinstance(engine, FakeEngine)
    return engine


def nothing_left(run: Run) -> bool:
    """Whether all sequences and cells were given back on every engine."""
    return all(
        engine_of(run, role)._cache.seq_ids == () and engine_of(run, role)._cache.used_cells == 0
        for role in run.engines
    )


def solve(run: Run) -> Iterator[AnyEvent]:
    """The events of a run alone; raises what it failed with."""
    with closing(solve_together([run])) as events:
        for _, event in events:
            yield event
    if run.failure is not None:
        raise run.failure


def played(run: Run, desk: Desk | None = None) -> list[AnyEvent]:
    """All the run's events; afterwards no engine holds anything."""
    run.commands = desk or run.commands
    events = list(solve(run))
    assert nothing_left(run)
    return events


def steered(
    run: Run, react: Callable[[AnyEvent, Desk], None], after_pause: Sequence[AnyCommand] = ()
) -> Iterator[AnyEvent]:
    """The run's events, each shown to ``react`` first, which may put commands down."""
    desk = Desk()
    desk.after_pause = list(after_pause)
    run.commands = desk
    for event in solve(run):
        react(event, desk)
        yield event
    assert nothing_left(run)
