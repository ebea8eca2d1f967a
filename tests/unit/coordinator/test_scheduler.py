"""Several runs over the same engines: each comes out as it does alone, in fewer batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from ssr_local.coordinator.commands import Mailbox
from ssr_local.coordinator.run import Run
from ssr_local.coordinator.scheduler import solve_together
from ssr_local.core.commands import AnyCommand, Cancel, Pause, Resume
from ssr_local.core.errors import DecodeError, ProblemError, SSRError
from ssr_local.core.events import RunEnded, RunStarted
from ssr_local.core.options import with_changes
from ssr_local.core.records import ModelRole, ReasoningPath, Verdict
from ssr_local.engine.base import Delta, Engine, Extended, ExtendJob
from ssr_local.engine.fake import FakeEngine, Script
from ssr_local.method.verification import Reading
from tests.unit.coordinator.scripted import Desk, Paths, Turn, make_run, solve

ROLES: tuple[ModelRole, ...] = ("draft", "target")


class ByProblem(Script):
    """A script for each problem; a prompt holds its problem's name."""

    def __init__(self, scripts: Mapping[str, Paths]) -> None:
        self._scripts = scripts

    def _of(self, text: str) -> Paths:
        found = (script for name, script in self._scripts.items() if name in text)
        return next(found, Paths([]))  # of a problem that says nothing

    def continuation(self, role: ModelRole, text: str) -> str:
        return self._of(text).continuation(role, text)

    def probe(self, text: str) -> Mapping[str, float]:
        return self._of(text).probe(text)


def turns(name: str, count: int) -> list[Turn]:
    """Steps of unlike lengths, every third of them rejected."""
    steps = [
        Turn(
            " ".join([name, str(number)] + ["word"] * (number * 3 % 5)) + ".\n\n",
            0.5 if number % 3 == 2 else 0.9,
            f"{name} rewritten {number}.\n\n",
        )
        for number in range(count)
    ]
    return [*steps, Turn(f"So \\boxed{{{name}}}.")]


SCRIPTS = {f"Problem{i}": Paths(turns(f"p{i}", i + 1)) for i in range(5)}


def shared_engines(
    kind: type[FakeEngine] = FakeEngine, **options: int
) -> dict[ModelRole, FakeEngine]:
    script = ByProblem(SCRIPTS)
    return {role: kind(script, role=role, max_sequences=32, **options) for role in ROLES}


def run_on(engines: Mapping[ModelRole, Engine], problem: str, method: str = "ssr") -> Run:
    """A run of the problem on these engines."""
    return make_run(SCRIPTS[problem[:8]], problem=problem, method=method, engines=engines)


def paths_of(run: Run) -> tuple[ReasoningPath, ...]:
    return tuple(path.record() for path in run.paths)


def alone(problem: str, method: str = "ssr") -> Run:
    run = run_on(shared_engines(), problem, method)
    for _ in solve(run):
        pass
    return run


def together(runs: Sequence[Run]) -> None:
    for _ in solve_together(runs):
        pass
    unexpected = [run.failure for run in runs if not isinstance(run.failure, SSRError | None)]
    assert unexpected == []
    for engine in {engine for run in runs for engine in run.engines.values()}:
        assert isinstance(engine, FakeEngine)
        assert engine._cache.seq_ids == ()


def rounds(engine: FakeEngine) -> list[int]:
    """How many sequences each decode round had."""
    return [len(ids) for name, ids in engine.history if name == "decode_round"]


@pytest.mark.parametrize("method", ["ssr", "specreason", "parallel", "parallel-spm", "target"])
def test_every_run_comes_out_as_it_does_alone(method: str) -> None:
    engines = shared_engines()
    runs = [run_on(engines, problem, method) for problem in SCRIPTS]
    together(runs)
    for problem, run in zip(SCRIPTS, runs, strict=True):
        by_itself = alone(problem, method)
        assert paths_of(run) == paths_of(by_itself)
        assert run.usage == by_itself.usage
        assert run.groups == by_itself.groups
        assert run.groups[0].answer == problem.replace("Problem", "p")


def test_runs_of_several_methods_share_the_engines() -> None:
    engines = shared_engines()
    methods = ["ssr", "target", "draft", "specreason", "parallel"]
    pairs = list(zip(SCRIPTS, methods, strict=True))
    runs = [run_on(engines, problem, method) for problem, method in pairs]
    together(runs)
    for run, (problem, method) in zip(runs, pairs, strict=True):
        assert paths_of(run) == paths_of(alone(problem, method))


def test_each_runs_events_are_the_ones_it_has_alone() -> None:
    engines = shared_engines()
    runs = [run_on(engines, problem) for problem in SCRIPTS]
    events: dict[int, list[str]] = {id(run): [] for run in runs}
    for run, event in solve_together(runs):
        events[id(run)].append(type(event).__name__)
    for problem, run in zip(SCRIPTS, runs, strict=True):
        own = [type(event).__name__ for event in solve(run_on(shared_engines(), problem))]
        assert sorted(events[id(run)]) == sorted(own)
        assert events[id(run)][0] == "RunStarted"
        assert events[id(run)][-1] == "RunEnded"


def test_a_run_that_is_done_ends_before_the_others() -> None:
    engines = shared_engines()
    runs = [run_on(engines, problem, "target") for problem in SCRIPTS]
    ended = [run.problem for run, event in solve_together(runs) if isinstance(event, RunEnded)]
    assert ended == list(SCRIPTS)  # each has a step more than the one before


def test_paths_of_all_runs_go_in_the_same_batches() -> None:
    engines = shared_engines()
    together([run_on(engines, problem, "parallel") for problem in SCRIPTS])
    widths = rounds(engines["target"])
    longest = 0
    for problem in SCRIPTS:
        engine = alone(problem, "parallel").engines["target"]
        assert isinstance(engine, FakeEngine)
        longest = max(longest, len(rounds(engine)))
    assert max(widths) == 3 * len(SCRIPTS)
    assert len(widths) == longest


def test_steps_of_all_runs_are_verified_in_the_same_calls() -> None:
    engines = shared_engines()
    together([run_on(engines, "Problem1"), run_on(engines, "Problem1 again")])
    jobs = [ids for name, ids in engines["target"].history if name == "extend"]
    assert max(len(ids) for ids in jobs) == 6


def test_room_is_made_for_all_before_any_begins() -> None:
    sizes = []
    for problems in (["Problem0"], ["Problem1"], ["Problem0", "Problem1"]):
        engines = shared_engines()
        together([run_on(engines, problem) for problem in problems])
        sizes.append([n for name, n in engines["target"].history if name == "reserve"])
    (first,), (second,), (both,) = sizes
    assert both == first + second


def test_a_run_whose_problem_is_too_long_leaves_the_others_alone() -> None:
    engines = shared_engines(num_cells=400)
    runs = [run_on(engines, "Problem0"), run_on(engines, "Problem1 " + "word " * 500)]
    together(runs)
    assert isinstance(runs[1].failure, ProblemError)
    assert runs[1].result is None
    assert runs[0].result is not None
    assert runs[0].result.answer == "p0"


class FailsFor(FakeEngine):
    """Cannot open another sequence of ``Problem1``."""

    def open(self, tokens: Sequence[int]) -> int:
        if b"Problem1" in b"".join(self.pieces(tokens)):
            raise DecodeError("broken")
        return super().open(tokens)


def test_one_run_that_fails_leaves_the_others_alone() -> None:
    engines = shared_engines(FailsFor)
    runs = [run_on(engines, problem) for problem in list(SCRIPTS)[:3]]
    together(runs)
    assert [isinstance(run.failure, DecodeError) for run in runs] == [False, True, False]
    assert [run.groups[0].answer for run in runs if run.groups] == ["p0", "p2"]


class FailsAtFifth(FakeEngine):
    """Fails at the fifth round, for everybody who takes part in it."""

    count = 0

    def decode_round(self) -> list[Delta]:
        self.count += 1
        if self.count == 5:
            raise DecodeError("The decode failed.")
        return super().decode_round()


class EvaluatesTwice(FakeEngine):
    """Evaluates everything it prefills once more, as recurrent memory makes an engine do."""

    def extend(self, jobs: Sequence[ExtendJob]) -> list[Extended]:
        before = self._prefilled
        results = super().extend(jobs)
        self._prefilled += self._prefilled - before
        return results


class FailsToVerify(FakeEngine):
    """Fails at the first call with steps of two runs."""

    def extend(self, jobs: Sequence[ExtendJob]) -> list[Extended]:
        if len(jobs) > 3:
            raise DecodeError("The prefill failed.")
        return super().extend(jobs)


@pytest.mark.parametrize(("kind", "method"), [(FailsAtFifth, "target"), (FailsToVerify, "ssr")])
def test_a_call_that_fails_fails_for_all_who_took_part(kind: type[FakeEngine], method: str) -> None:
    engines = shared_engines(kind)
    runs = [run_on(engines, problem, method) for problem in list(SCRIPTS)[:3]]
    together(runs)
    assert all(isinstance(run.failure, DecodeError) for run in runs)


def test_a_call_that_fails_leaves_those_alone_who_took_no_part() -> None:
    """Its paths have all ended in the round before; its answer stays."""
    engines = shared_engines(FailsAtFifth)
    runs = [run_on(engines, problem, "target") for problem in ("Problem0", "Problem4")]
    runs[0].options = with_changes(runs[0].options, max_tokens=4)
    together(runs)
    assert runs[0].result is not None
    assert isinstance(runs[1].failure, DecodeError)


def test_what_a_run_does_with_its_part_of_a_call_is_its_own_affair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engines = shared_engines()
    runs = [run_on(engines, problem) for problem in ("Problem2", "Problem3")]

    def broken(reading: Reading) -> Verdict:
        raise DecodeError("no verdict")

    monkeypatch.setattr(runs[0].judge, "verdict", broken)
    together(runs)
    assert isinstance(runs[0].failure, DecodeError)
    assert runs[1].groups[0].answer == "p3"


def test_no_command_is_applied_to_a_run_that_was_cancelled_before_its_paths() -> None:
    stopped = FakeEngine(Paths(), role="target", should_stop=lambda: True)
    run = run_on({"target": stopped}, "Problem0", "target")
    run.commands = Desk()
    run.commands.put(Pause())
    kinds = [type(event).__name__ for event in solve(run)]
    assert kinds == ["RunStarted", "WaveOpened", "VotesCounted", "RunEnded"]


def test_tokens_evaluated_again_are_counted() -> None:
    """The engine counts what it evaluates; the runs' counts add up to that."""
    engines = shared_engines(EvaluatesTwice)
    runs = [run_on(engines, problem) for problem in ("Problem1", "Problem2")]
    before = dict.fromkeys(ROLES, 0)
    for _ in solve_together(runs):
        for role, engine in engines.items():
            before[role] = max(before[role], engine.usage().prefill_tokens)
    counted = {role: sum(getattr(run.usage, role).prefill_tokens for run in runs) for role in ROLES}
    assert counted == before
    alone_count = alone("Problem1").usage.target.prefill_tokens
    assert alone_count < runs[0].usage.target.prefill_tokens


class CancelAt(Mailbox):
    """Cancels at the fifth look."""

    looks = 0

    def poll(self) -> Sequence[AnyCommand]:
        self.looks += 1
        return [Cancel()] if self.looks == 5 else []

    def wait(self) -> Sequence[AnyCommand]:
        return [Resume()]


def test_a_command_is_for_its_run_alone() -> None:
    engines = shared_engines()
    runs = [run_on(engines, problem) for problem in ("Problem3", "Problem4")]
    runs[0].commands = CancelAt()
    together(runs)
    assert [run.status for run in runs] == ["cancelled", "answered"]


def test_a_run_starts_with_what_is_in_force() -> None:
    (started, *_) = solve(run_on(shared_engines(), "Problem2"))
    assert isinstance(started, RunStarted)
    assert started.problem == "Problem2"
    assert started.models.target is not None
