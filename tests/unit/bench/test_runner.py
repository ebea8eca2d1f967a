"""The order of a bench, its rows, and going on after a kill, on the scripted pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local import Solver
from ssr_local.bench.methods import parse_method, parse_methods
from ssr_local.bench.records import Problem, Row
from ssr_local.bench.runner import Bench, latest, run_bench, schedule, seed_of
from ssr_local.bench.scoring import Scorer
from ssr_local.bench.store import ROWS, open_for_writing
from ssr_local.core.errors import (
    DecodeError,
    EngineCrashed,
    EngineError,
    Interrupted,
    SSRError,
    UsageError,
)
from ssr_local.core.line_file import read_lines
from ssr_local.core.options import SolveOptions
from ssr_local.core.records import RunResult, Status

PROBLEMS = tuple(Problem(id=f"p{number}", problem="Farm?", answer="18") for number in range(3))
METHODS = parse_methods("target,draft,ssr-m3")


@pytest.fixture(autouse=True)
def at_full_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSR_LOCAL_DEMO_SPEED", "0")


def bench(problems: tuple[Problem, ...] = PROBLEMS, repeats: int = 1, at_once: int = 1) -> Bench:
    return Bench("farm", problems, METHODS, repeats, seed=7, at_once=at_once)


def run(folder: Path, solver: Solver, scorer: Scorer, what: Bench, limit: int = 99) -> list[Row]:
    """The rows made now, at most ``limit``."""
    rows: list[Row] = []
    with open_for_writing(folder, ROWS, Row, {}) as file:
        for row in run_bench(what, solver, scorer, SolveOptions(), file):
            rows.append(row)
            if len(rows) == limit:
                break
    return rows


@given(st.integers(1, 7), st.integers(1, 4), st.integers(1, 4))
def test_everything_is_done_once_and_places_are_shared_fairly(
    num_problems: int, num_methods: int, repeats: int
) -> None:
    problems = tuple(Problem(id=str(i), problem="P", answer="1") for i in range(num_problems))
    methods = tuple(parse_method(f"ssr-m{i + 1}") for i in range(num_methods))
    jobs = [job for (job,) in schedule(problems, methods, repeats)]
    keys = Counter((job.problem.id, job.method.name, job.repeat) for job in jobs)
    assert set(keys.values()) == {1}
    assert len(keys) == num_problems * num_methods * repeats
    firsts = Counter(job.method.name for job in jobs[::num_methods])
    assert (
        num_problems * repeats < num_methods
        or max(firsts.values()) <= -(-num_problems // num_methods) * repeats
    )
    assert all(a.repeat <= b.repeat for a, b in pairwise(jobs))


def test_rows_say_what_was_done_and_what_came_of_it(
    tmp_path: Path, solver: Solver, scorer: Scorer
) -> None:
    rows = run(tmp_path, solver, scorer, bench(PROBLEMS[:1]))
    assert [row.method for row in rows] == ["target", "draft", "ssr-m3"]
    for row in rows:
        assert row.result is not None
        assert row.seed == row.result.options["seed"] == seed_of(7, "p0", 0)
        assert row.outcome == "right"
        assert len(row.path_outcomes) == len(row.result.paths)
        assert row.elapsed_s == row.result.timing_s.total
        assert (row.task, row.reference, row.concurrency, row.repeat) == ("farm", "18", 1, 0)
        assert len(row.prompt_hash) == 12
        assert "cores" in row.machine
        assert row.predicted_s is None  # of a script
    assert rows[2].result is not None
    assert rows[2].result.options["paths"] == 3


@pytest.mark.parametrize(("stop", "at_once"), [(1, 1), (5, 1), (2, 2), (3, 2)])
def test_what_was_stopped_anywhere_goes_on_and_counts_nothing_twice(
    tmp_path: Path, scorer: Scorer, stop: int, at_once: int
) -> None:
    what = bench(at_once=at_once)
    with Solver(pair="demo", at_once=at_once, in_process=True) as solver:
        first = run(tmp_path, solver, scorer, what, stop)
        second = run(tmp_path, solver, scorer, what)
    assert len(first) == stop
    assert [row.key for row in first + second] == [
        ("farm", job.problem.id, job.method.name, job.repeat)
        for wave in schedule(PROBLEMS, METHODS, 1, at_once=at_once)
        for job in wave
    ]
    # Three problems, two at once: the third is no measurement of one after another.
    assert {row.concurrency for row in first + second} == {at_once}


def test_problems_at_once_are_whole_waves_of_one_method() -> None:
    waves = [
        (wave[0].method.name, [job.problem.id for job in wave])
        for wave in schedule(PROBLEMS, METHODS[:2], 1, at_once=2)
    ]
    assert waves == [
        ("target", ["p0", "p1"]),
        ("draft", ["p0", "p1"]),
        ("draft", ["p2"]),
        ("target", ["p2"]),
    ]


def test_problems_at_once_share_the_time_and_an_unfit_one_costs_its_own_row(
    tmp_path: Path, scorer: Scorer
) -> None:
    odd = Problem(id="odd", problem="  ", answer="1")
    with Solver(pair="demo", at_once=3, in_process=True) as solver:
        rows = run(tmp_path, solver, scorer, bench((PROBLEMS[0], odd, PROBLEMS[1]), at_once=3))
    assert [row.outcome for row in rows] == ["right", "failed", "right"] * 3
    assert all("empty" in row.error for row in rows if row.problem == "odd")
    for method in METHODS:
        own = [row for row in rows if row.method == method.name]
        totals = [row.result.timing_s.total for row in own if row.result]
        assert {row.elapsed_s for row in own} == {max(totals) / 3}


def test_what_was_never_tried_comes_before_what_failed(
    tmp_path: Path, solver: Solver, scorer: Scorer
) -> None:
    odd = Problem(id="odd", problem="x" * 300_000, answer="1")
    rows = run(tmp_path, solver, scorer, bench((odd, PROBLEMS[0])))
    assert [row.outcome for row in rows if row.problem == "odd"] == ["failed"] * 3
    again = run(tmp_path, solver, scorer, bench((odd, *PROBLEMS[:2]), repeats=2))
    made = [(row.problem, row.repeat) for row in again]
    assert (len(made), made[:3], made[-3:]) == (15, [("p1", 0)] * 3, [("odd", 0)] * 3)


@pytest.mark.parametrize("changed", [{"answer": "19"}, {"problem": "Another farm?"}])
def test_rows_of_another_problem_of_that_name_are_refused(
    tmp_path: Path, solver: Solver, scorer: Scorer, changed: dict[str, str]
) -> None:
    run(tmp_path, solver, scorer, bench(PROBLEMS[:1]))
    other = msgspec.structs.replace(PROBLEMS[0], **changed)
    with pytest.raises(UsageError, match="not what it was"):
        run(tmp_path, solver, scorer, bench((other,)))


def test_seeds_differ_by_problem_and_repeat_alone() -> None:
    seeds = {(p, r): seed_of(7, p, r) for p in ("a", "b") for r in range(3)}
    assert len({*seeds.values(), seed_of(8, "a", 0)}) == 7
    assert all(0 <= seed <= 2**32 - 2 for seed in seeds.values())


class Failing(Solver):
    """A solver whose engine fails in the calls named."""

    fails: frozenset[int] = frozenset()
    calls = -1
    status: Status | None = None

    def solve(self, *args: object, **kwargs: object) -> RunResult:
        self.calls += 1
        if self.calls in self.fails:
            raise DecodeError("The decode failed.", "No reason.")
        result = super().solve(*args, **kwargs)  # type: ignore[arg-type]
        return msgspec.structs.replace(result, status=self.status or result.status)

    def solve_together(self, *args: object) -> list[RunResult | SSRError]:
        raise EngineCrashed("It crashed.")


@pytest.fixture
def failing() -> Iterator[Failing]:
    with Failing(pair="demo", at_once=3, in_process=True) as one:
        yield one


def test_a_run_that_was_cancelled_is_no_row(
    tmp_path: Path, failing: Failing, scorer: Scorer
) -> None:
    failing.status = "cancelled"
    with pytest.raises(Interrupted):
        run(tmp_path, failing, scorer, bench())
    assert list(read_lines(tmp_path / ROWS, Row)) == []


def test_one_failure_of_several_at_once_is_one_failure(
    tmp_path: Path, failing: Failing, scorer: Scorer
) -> None:
    rows = run(tmp_path, failing, scorer, bench(at_once=3))
    assert [row.outcome for row in rows] == ["failed"] * 9


def test_an_engine_that_fails_costs_one_row(
    tmp_path: Path, failing: Failing, scorer: Scorer
) -> None:
    failing.fails = frozenset((1, 2, 5, 6))
    rows = run(tmp_path, failing, scorer, bench())
    assert [row.outcome == "failed" for row in rows] == [i in failing.fails for i in range(9)]
    assert rows[1].error.startswith("The decode failed.")
    assert (rows[1].result, rows[1].path_outcomes) == (None, ())
    failing.fails = frozenset()
    again = run(tmp_path, failing, scorer, bench())
    assert [row.key for row in again] == [rows[i].key for i in (1, 2, 5, 6)]
    everything = latest([*rows, *again])
    assert len(everything) == 9
    assert all(row.outcome == "right" for row in everything)


def test_failures_on_three_problems_in_a_row_end_the_bench(
    tmp_path: Path, failing: Failing, scorer: Scorer
) -> None:
    failing.fails = frozenset((2, 3, 4, 5, 6))
    with pytest.raises(EngineError):
        run(tmp_path, failing, scorer, bench())
    failing.fails = frozenset()
    assert len(run(tmp_path, failing, scorer, bench())) == 7
