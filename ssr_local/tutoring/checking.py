"""A student's worked solution, judged step by step.

The target reads the steps as it reads a draft's, after one shared prefix and with one probe
a step; algebra checks their equations without any model. Where the two disagree algebra
wins. The usual verifier looks at the numbers alone: a person's words are none that a model
would choose, and all others take them for mistakes (benchmarks/README.md). For the first bad
step the target says in a sentence what is wrong, and writes the step as it would continue from
the last good one. The final answer is compared with the vote of the method's own paths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import NamedTuple

import msgspec
from msgspec import Struct

from ssr_local.answers.compare import compare
from ssr_local.api import Solver
from ssr_local.core.display import one_line
from ssr_local.core.errors import EngineCrashed, Interrupted, ProblemError, UsageError
from ssr_local.core.events import RunEnded
from ssr_local.core.options import SolveOptions, with_changes
from ssr_local.core.records import Calibration, Comparison, RunResult, StepReading, Verdict
from ssr_local.mathtext.claims import Claim, claims_in
from ssr_local.mathtext.text import extract_answer
from ssr_local.method.steps import split_steps
from ssr_local.method.verification import Judge
from ssr_local.process.helper import Helper
from ssr_local.tutoring.algebra import HOLDS, Algebra, Says, StepFinding

WHY_WRONG = (
    "The last step is wrong. Say in one short sentence what is wrong with it."
    " Do not solve the problem."
)
MAX_REASON_TOKENS = 60
MAX_STEPS = 200
STUDENT_VERIFIER = "number-likelihood"
_CHECKING = frozenset(("check", "checking", "verify", "proof"))
STOPPED = "Stopped before it was done."


class CheckedStep(Struct, frozen=True, kw_only=True):
    """One of the student's steps and what was found.

    ``score`` is the verifier's, 0 to 9, None where it could not be read or had nothing to
    read: a step without numbers. ``model_accepted`` is what it says alone, ``algebra`` what
    the equations say. ``accepted`` is the outcome. ``reason`` is why it was not accepted, ""
    for a good step.
    """

    text: str
    accepted: bool
    score: float | None
    algebra: Says
    reason: str = ""
    model_accepted: bool = True

    @property
    def is_judged(self) -> bool:
        """Whether anything could be said of it; what could not is accepted."""
        return self.algebra != "undecided" or self.score is not None or not self.accepted


class CheckResult(Struct, frozen=True, kw_only=True):
    """The result of a check; ``ssr-local check --json`` prints exactly this.

    ``first_bad`` counts from 0. ``correction`` is the first bad step as the target would
    write it. ``answer`` is the student's, ``vote`` that of the method's paths, both None
    where there is none; ``answer_accepted`` is None when they cannot be compared.
    """

    problem: str
    steps: tuple[CheckedStep, ...]
    first_bad: int | None
    correction: str
    answer: str | None
    answer_accepted: bool | None
    vote: str | None
    verifier: str
    threshold: float
    notices: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether no step was refused, and the answer was not."""
        return self.first_bad is None and self.answer_accepted is not False

    @property
    def is_solved(self) -> bool | None:
        """Whether the problem counts as solved; None where too little could be judged."""
        if self.is_good and (self.answer is None or not any(s.is_judged for s in self.steps)):
            return None
        return self.is_good


def steps_of(text: str) -> list[str]:
    """A student's text as steps: a blank line stands between two. Raises ``ProblemError``."""
    steps = [step.strip() for step in split_steps(text.replace("\r\n", "\n"))]
    return _not_too_many([step for step in steps if step])


def _all_steps(steps: Sequence[str] | str) -> list[str]:
    if isinstance(steps, str):
        return steps_of(steps)
    if isinstance(steps, bytes) or not isinstance(steps, Sequence):
        raise UsageError("The steps are no text and no list of texts.", repr(type(steps)))
    for number, step in enumerate(steps, 1):
        if not isinstance(step, str):
            raise UsageError(f"Step {number} is no text.", repr(type(step)))
        if not step.strip():
            raise ProblemError(f"Step {number} is empty.", "", "Leave it out.")
    return _not_too_many([step.strip() for step in steps])


def _not_too_many(steps: list[str]) -> list[str]:
    if not steps:
        raise ProblemError("There are no steps.", "", "Write them with blank lines between.")
    if len(steps) > MAX_STEPS:
        raise ProblemError(
            f"There are {len(steps)} steps.",
            f"At most {MAX_STEPS} are accepted.",
            "Leave blank lines only between steps.",
        )
    return steps


def check(
    problem: str,
    steps: Sequence[str] | str,
    *,
    solver: Solver | None = None,
    options: SolveOptions | None = None,
    with_vote: bool = True,
    explain: bool = True,
    verifier: str = STUDENT_VERIFIER,
    helper: Helper | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    on_step: Callable[[int, CheckedStep], None] = lambda number, step: None,
    on_judged: Callable[[CheckResult], None] = lambda result: None,
) -> CheckResult:
    """Judge a worked solution; ``steps`` may be one text with blank lines between them.

    ``options`` are those of solving: the threshold, and what the paths' vote takes.
    ``verifier`` is what judges the steps, one of ``verification.VERIFIERS``.
    ``with_vote`` False leaves the vote out, which takes most of the time; ``explain`` False
    leaves out what is wrong with the first bad step and how it could go. ``on_step`` hears of
    every step in order, ``on_judged`` of what there is of the result, each time it grows.
    Without a ``solver`` the default pair's is used and closed; so is a process for algebra
    without a ``helper``. ``should_stop`` is asked between the parts of the work and at every
    event of a run. Raises ``UsageError`` for an unknown verifier and for steps that are no
    texts, ``Interrupted`` when it was stopped, ``SSRError`` like ``Solver.solve``.
    """
    steps = _all_steps(steps)
    options = options or SolveOptions()
    with_changes(options, verifier=verifier)  # raises for a name that is none
    with ExitStack() as own:
        solver = solver or own.enter_context(Solver())
        helper = helper or own.enter_context(Helper())
        if with_vote:
            solver.expect(options)
        judge = StudentJudge(verifier, options.threshold, solver.calibrations, solver.to_calibrate)
        helper.warm(HOLDS)
        work = _Check(problem, tuple(steps), solver, options, helper, should_stop)
        unjudged = work.unjudged(judge)
        on_judged(unjudged)
        judged = work.judged(unjudged, judge)
        on_judged(judged)
        judged = work.told(judged, on_step, explain=explain)
        if explain and judged.first_bad is not None:
            on_judged(judged)
            judged = work.corrected(judged)
            on_judged(judged)
        return work.voted(judged) if with_vote else judged


class StudentJudge:
    """Judges a person's steps by one of ``verification.VERIFIERS``.

    Pairs are calibrated on drafts, which are likelier altogether than what people write; how
    likely a number is needs no calibration.
    """

    def __init__(
        self,
        verifier: str,
        threshold: float,
        calibrations: Mapping[str, Calibration],
        to_calibrate: str = "",
    ) -> None:
        by_number = verifier == STUDENT_VERIFIER
        known = {} if by_number else calibrations
        self._judge = Judge(verifier, threshold, known, to_calibrate)
        self.name, self.notice = self._judge.verifier.name, self._judge.notice
        asked = self._judge.verifier.question
        self.questions = () if asked is None else (asked,)

    def verdict(self, step: StepReading) -> Verdict | None:
        """The verdict; None where the step has nothing this verifier looks at."""
        if self._judge.verifier.needs_digits and not step.digits:
            return None
        return self._judge.verdict_on(step)


class _Check(NamedTuple):
    problem: str
    steps: tuple[str, ...]
    solver: Solver
    options: SolveOptions
    helper: Helper
    should_stop: Callable[[], bool]

    def unjudged(self, judge: StudentJudge) -> CheckResult:
        """The steps as they were written."""
        return CheckResult(
            problem=self.problem,
            steps=tuple(_judged(text, None, StepFinding("undecided")) for text in self.steps),
            first_bad=None,
            correction="",
            answer=answer_of(self.steps),
            answer_accepted=None,
            vote=None,
            verifier=judge.name,
            threshold=self.options.threshold,
            notices=(judge.notice,) if judge.notice else (),
        )

    def judged(self, unjudged: CheckResult, judge: StudentJudge) -> CheckResult:
        """The same with their verdicts."""
        verdicts = self._verdicts(judge)
        algebra = Algebra(self.problem, self.helper, self.should_stop)
        findings = []
        for text in self.steps:
            go_on(self.should_stop)
            findings.append(algebra.step(text))
        judged = tuple(
            _judged(text, verdict, finding)
            for text, verdict, finding in zip(self.steps, verdicts, findings, strict=True)
        )
        first_bad = next((n for n, step in enumerate(judged) if not step.accepted), None)
        return msgspec.structs.replace(unjudged, steps=judged, first_bad=first_bad)

    def told(
        self, judged: CheckResult, on_step: Callable[[int, CheckedStep], None], *, explain: bool
    ) -> CheckResult:
        steps = list(judged.steps)
        for number, step in enumerate(steps):
            if explain and number == judged.first_bad:
                go_on(self.should_stop)
                step = steps[number] = self._explained(number, step)
            on_step(number, step)
        return msgspec.structs.replace(judged, steps=tuple(steps))

    def corrected(self, judged: CheckResult) -> CheckResult:
        """The first bad step as the target would write it after the last good one."""
        number = judged.first_bad or 0
        options = with_changes(self.options, method="target", plan="", max_steps=1, temperature=0.0)
        run = self._solved(options, self._prefix(number))
        correction = "".join(path.text for path in run.paths[:1]).strip()
        return msgspec.structs.replace(judged, correction=correction)

    def voted(self, judged: CheckResult) -> CheckResult:
        run = self._solved(self.options)
        return msgspec.structs.replace(
            judged, answer_accepted=self._accepted(judged.answer, run), vote=run.answer
        )

    def _verdicts(self, judge: StudentJudge) -> list[Verdict | None]:
        readings = self.solver.read_steps(
            self.problem,
            [f"{step}\n\n" for step in self.steps],
            strategies=self.options.strategies,
            questions=judge.questions,
        )
        return [judge.verdict(one) for one in readings]

    def _explained(self, number: int, step: CheckedStep) -> CheckedStep:
        """The first bad step with a reason: algebra's own, else a sentence of the target's."""
        said = self.solver.reply(
            self.problem,
            WHY_WRONG,
            given=self._prefix(number + 1),
            strategies=self.options.strategies,
            max_tokens=MAX_REASON_TOKENS,
        )
        reasons = [step.reason, one_line(said, 300)]
        return msgspec.structs.replace(step, reason=" ".join(one for one in reasons if one))

    def _solved(self, options: SolveOptions, given: Sequence[str] = ()) -> RunResult:
        return whole_run(self.solver, self.problem, options, given, self.should_stop)

    def _prefix(self, number: int) -> tuple[str, ...]:
        return tuple(f"{step}\n\n" for step in self.steps[:number])

    def _accepted(self, answer: str | None, run: RunResult) -> bool | None:
        if answer is None or run.answer is None:
            return None
        verdict: Comparison = compare(answer, run.answer, helper=self.helper)
        if verdict == "different" and stated_answer(self.steps) is None:
            return None  # it was only taken from the last equations
        return None if verdict == "undecided" else verdict == "equal"


def go_on(should_stop: Callable[[], bool]) -> None:
    """Raise ``Interrupted`` when the work is to stop."""
    if should_stop():
        raise Interrupted(STOPPED)


def whole_run(
    solver: Solver,
    problem: str,
    options: SolveOptions,
    given: Sequence[str],
    should_stop: Callable[[], bool],
) -> RunResult:
    """A run's result; raises ``Interrupted`` when it was stopped before its end.

    Whoever stops may do so between two runs, when there is none to cancel: so this looks
    at every event of the run itself.
    """
    result: RunResult | None = None
    go_on(should_stop)
    with closing(solver.stream(problem, options, given=given)) as events:
        for event in events:
            go_on(should_stop)
            if isinstance(event, RunEnded):
                result = event.result
    if result is None:
        raise EngineCrashed("The run ended without a result.")
    if result.status == "cancelled":
        raise Interrupted(STOPPED)
    return result


def stated_answer(steps: Sequence[str]) -> str | None:
    """The answer that a worked solution gives as such, in a box or in words."""
    return extract_answer("\n\n".join(steps), at_end=True)


def answer_of(steps: Sequence[str]) -> str | None:
    """The answer that a worked solution states: in a box, in words, else its last results.

    What stands after "check" is none; several values of one letter are one answer.
    """
    answer = stated_answer(steps)
    if answer is not None:
        return answer
    claims = [one for one in claims_in(steps[-1]) if _CHECKING.isdisjoint(one.lead)]
    if not claims:
        return None
    letter, values = claims[-1].first.text, [_result(claims[-1])]
    if claims[-1].first.symbols and not claims[-1].first.has_operator:
        values = [_result(one) for one in claims if one.first.text == letter]
    return ", ".join(dict.fromkeys(values))


def _result(claim: Claim) -> str:
    return claim.second.shown if claim.second.percent else claim.second.text


def _judged(text: str, verdict: Verdict | None, finding: StepFinding) -> CheckedStep:
    model_accepted = accepted = verdict is None or verdict.accepted
    if finding.says != "undecided":
        accepted = finding.says == "holds"
    return CheckedStep(
        text=text,
        accepted=accepted,
        score=None if verdict is None else verdict.score,
        algebra=finding.says,
        reason=finding.reason,
        model_accepted=model_accepted,
    )
