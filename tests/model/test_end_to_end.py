"""The whole method on the default pair's real weights."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from ssr_local import EngineCrashed, RunResult, Solver
from ssr_local.core.events import (
    AnyEvent,
    PathEnded,
    PathOpened,
    ProgramRan,
    RunEnded,
    SelectionScored,
    StepDelta,
    StepDrafted,
    StepRewritten,
    StepVerified,
)

pytestmark = pytest.mark.model

EASY = [
    ("What is 12 + 35?", "47"),
    ("Solve for x: 3x + 7 = 22.", "5"),
    ("A shop sells pens at 3 dollars each. How much do 14 pens cost, in dollars?", "42"),
]


def result_of(events: Sequence[AnyEvent]) -> RunResult:
    assert isinstance(events[-1], RunEnded)
    return events[-1].result


def check_event_log(events: Sequence[AnyEvent]) -> None:
    """Every drafted step has a verdict, every rejected one a rewrite or an end."""
    ended = {event.path for event in events if isinstance(event, PathEnded)}
    assert ended == {event.path for event in events if isinstance(event, PathOpened)}
    for path in ended:
        own = [event for event in events if getattr(event, "path", None) == path]
        steps = [event for event in own if not isinstance(event, StepDelta)]
        for event, following in pairwise(steps):
            if isinstance(event, StepDrafted):
                assert isinstance(following, StepVerified)
                assert following.step == event.step
            if isinstance(event, StepVerified) and not event.verdict.accepted:
                assert isinstance(following, StepRewritten | PathEnded)
        assert isinstance(steps[-1], PathEnded)


def check_result(result: RunResult) -> None:
    """The counts and shares agree with the paths they were taken from."""
    steps = [step for path in result.paths for step in path.steps]
    accepted = [step for step in steps if step.accepted]
    rewrites = [step for step in steps if step.author == "target"]
    assert len(accepted) == result.num_accepted
    assert len(rewrites) == result.num_rewrites
    assert result.acceptance_rate == result.num_accepted / result.num_drafted
    assert all(step.score == 9 for step in rewrites)
    assert all(step.score is not None and step.score >= 7 for step in accepted)
    phases = result.timing_s
    summed = phases.selection + phases.prefill + phases.draft + phases.verify + phases.rewrite
    assert 0.8 * phases.total < summed <= phases.total
    assert result.flops.total > result.flops.decode > 0
    for model in (result.models.draft, result.models.target):
        assert model is not None
        assert model.sha256 is not None


@pytest.mark.parametrize(("problem", "answer"), EASY)
def test_easy_problem_is_solved_by_ssr(solver: Solver, problem: str, answer: str) -> None:
    events = list(solver.stream(problem, method="ssr", seed=1, max_tokens=400))
    result = result_of(events)
    check_event_log(events)
    check_result(result)
    assert result.status == "answered"
    # Which path wins is the small models' luck; that none finds it would not be.
    assert answer in [path.answer for path in result.paths]
    assert result.answer in [path.answer for path in result.paths]
    (selection,) = [event for event in events if isinstance(event, SelectionScored)]
    assert sum(score.score or 0 for score in selection.scores) == pytest.approx(1)


def test_the_default_plan_solves_easy_problems(solver: Solver) -> None:
    right = 0
    for problem, answer in EASY:
        events = list(solver.stream(problem, seed=1))
        result = result_of(events)
        assert result.plan.startswith("greedy program:target + greedy brief:target; agree; ")
        assert any(result.plan in notice for notice in result.notices)
        (program, *_) = [event.program for event in events if isinstance(event, ProgramRan)]
        assert "def solution" in program.code
        assert {path.kind.writer for path in result.paths if path.kind} == {"target"}
        right += result.answer == answer
        if result.paths[0].answer == result.paths[1].answer is not None:
            assert (len(result.paths), result.stopped) == (2, "two paths agree")
    assert right >= 2  # the small model's luck, once


def test_a_program_is_drafted_and_verified(solver: Solver) -> None:
    result = solver.solve(EASY[2][0], plan="program:ssd", seed=1, max_tokens=300)
    (path,) = result.paths
    assert result.num_drafted > 0
    assert path.program is not None
    assert path.end_reason in ("answered", "program_failed", "end_of_generation")


def test_same_seed_gives_the_same_run(solver: Solver) -> None:
    runs = [
        solver.solve("What is 9 * 6?", method="ssr", seed=7, paths=2, max_tokens=60, max_steps=2)
        for _ in range(2)
    ]
    assert [path.text for path in runs[0].paths] == [path.text for path in runs[1].paths]
    assert [path.mean_score for path in runs[0].paths] == [
        path.mean_score for path in runs[1].paths
    ]


def test_prompt_is_prefilled_once(solver: Solver) -> None:
    """Five paths evaluate the shared problem once: less than two prompts in all."""
    one = solver.solve(EASY[2][0], method="draft", seed=1, max_tokens=1)
    five = solver.solve(
        EASY[2][0], method="parallel", paths=5, seed=1, max_tokens=1, selection="none"
    )
    assert five.usage.target.prefill_tokens < 2 * one.usage.draft.prefill_tokens


def test_killed_worker_is_an_error_and_the_next_problem_works(solver: Solver) -> None:
    stream = solver.stream(EASY[0][0], seed=1)
    next(event for event in stream if isinstance(event, StepDelta))
    assert solver.worker_pid is not None
    os.kill(solver.worker_pid, signal.SIGKILL)
    with pytest.raises(EngineCrashed, match="signal 9"):
        list(stream)
    again = solver.solve(EASY[0][0], method="target", seed=1, max_tokens=40)
    assert again.paths[0].steps


def test_interrupted_command_ends_in_time_with_what_there_was(
    default_pair: None, tmp_path: Path
) -> None:
    log = tmp_path / "events.jsonl"
    command = [sys.executable, "-m", "ssr_local", "solve", "--json", "--events", str(log)]
    with subprocess.Popen(
        [*command, EASY[2][0]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while "StepDrafted" not in (log.read_text() if log.exists() else ""):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
        assert time.monotonic() - started < 2
    assert process.returncode == 130
    result = json.loads(output)
    assert result["status"] == "cancelled"
    assert any(path["steps"] for path in result["paths"])


needs_ik = pytest.mark.skipif(
    importlib.util.find_spec("ik_llama_cpp") is None, reason="needs the extra ik"
)


@needs_ik
def test_the_faster_engine_runs_where_it_has_proved_itself(solver: Solver) -> None:
    result = solver.solve("What is 12 + 35?", method="draft", seed=1)
    assert result.models.draft is not None
    assert result.models.draft.engine.startswith("ik_llama.cpp")


@needs_ik
def test_a_broken_library_is_caught_and_the_run_goes_on_with_llama(
    default_pair: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IK_FLASH_ATTENTION_FOR_TESTS", "1")
    monkeypatch.setenv("SSR_LOCAL_CACHE_DIR", str(tmp_path))
    with Solver() as broken:
        result = broken.solve("What is 12 + 35?", method="draft", seed=1)
    assert any("failed its self-check" in notice for notice in result.notices)
    assert result.models.draft is not None
    assert result.models.draft.engine.startswith("llama.cpp")
    assert result.paths[0].steps
