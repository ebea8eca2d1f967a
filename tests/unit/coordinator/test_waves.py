"""Runs of written plans: waves, forms and writers side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from ssr_local.coordinator.run import Run
from ssr_local.core.commands import AddPath
from ssr_local.core.errors import ProblemError, UsageError
from ssr_local.core.events import (
    AnyEvent,
    PathEnded,
    PathOpened,
    ProgramRan,
    SelectionScored,
    StepDrafted,
    StepVerified,
    WaveOpened,
)
from ssr_local.core.records import PathKind, RunResult
from ssr_local.engine.base import StepJob
from ssr_local.method.pools import Example
from ssr_local.method.prompts import PROGRAM_INSTRUCTION
from tests.unit.coordinator.scripted import (
    ASSISTANT,
    POOL,
    Paths,
    Ticks,
    Turn,
    make_run,
    played,
    steered,
)
from tests.unit.coordinator.test_commands import LONG, once


def answer(number: int) -> list[Turn]:
    return [Turn("First think.\n\n"), Turn(f"So \\boxed{{{number}}}.\n\n")]


def program(*lines: str) -> str:
    body = "\n".join(f"    {line}" for line in lines)
    return f"```python\ndef solution():\n{body}\n```\n\nThat is all.\n\n"


class Forms(Paths):
    """Paths that are asked for a program write this one."""

    def __init__(self, code: str, **paths: list[Turn]) -> None:
        super().__init__([Turn("No.\n\n"), Turn("So \\boxed{0}.\n\n")], **paths)
        self.code = code

    def continuation(self, role: Any, text: str) -> str:
        prompt, _, written = text.rpartition(ASSISTANT)
        if PROGRAM_INSTRUCTION in prompt:
            return self.code[len(written) :] if self.code.startswith(written) else ""
        return super().continuation(role, text)


def solved(run: Run) -> tuple[list[AnyEvent], RunResult]:
    events = played(run)
    assert run.result is not None
    assert run.result.plan == run.plan.text
    return events, run.result


def of(kind: type[Any], events: list[AnyEvent]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_paths_that_agree_are_enough() -> None:
    run = make_run(
        Paths(A=answer(7), B=answer(7)),
        plan="prose:target@A + prose:target@B; agree; 3 x prose:target",
    )
    events, result = solved(run)
    assert (result.answer, result.stopped, len(result.paths)) == ("7", "two paths agree", 2)
    assert [event.wave for event in of(WaveOpened, events)] == [0]
    assert of(SelectionScored, events) == []


def test_paths_that_differ_open_another_wave() -> None:
    run = make_run(
        Paths(A=answer(7), B=answer(8), C=answer(8), D=answer(9)),
        plan="prose:target@A + prose:target@B; agree; prose:target@D + prose:target@C",
    )
    events, result = solved(run)
    waves = of(WaveOpened, events)
    assert [wave.why for wave in waves] == ["", "no two paths agree: 7, 8"]
    assert [(wave.text, wave.rule, wave.num_planned, wave.selects) for wave in waves] == [
        ("prose:target@A + prose:target@B", "agree", 2, False),
        ("prose:target@D + prose:target@C", "all", 2, False),
    ]
    assert [(path.wave, path.strategy) for path in result.paths] == [
        (0, "A"), (0, "B"), (1, "D"), (1, "C"),
    ]  # fmt: skip
    assert result.answer == "8"
    assert [group.paths for group in result.votes] == [(1, 3), (0,), (2,)]
    assert result.stopped == "all paths have ended"


def test_one_answer_alone_opens_another_wave() -> None:
    run = make_run(Paths(A=answer(7)), plan="prose:target@A; agree; prose:target@A")
    events, result = solved(run)
    assert of(WaveOpened, events)[1].why == "no other path agrees with 7"
    assert (result.answer, result.votes[0].paths) == ("7", (0, 1))


def test_the_first_answer_ends_the_others() -> None:
    long = [Turn(f"Thought {n}.\n\n") for n in range(20)]
    run = make_run(
        Paths(A=answer(7), B=long), plan="prose:target@A + prose:target@B; first; prose:target@B"
    )
    events, result = solved(run)
    assert [event.reason for event in of(PathEnded, events)] == ["answered", "early_exit"]
    assert (len(result.paths), result.stopped) == (2, "a path has an answer")


def test_a_decided_vote_ends_who_cannot_change_it() -> None:
    long = [Turn(f"Thought {n}.\n\n") for n in range(20)]
    three = "prose:target@A + prose:target@B + prose:target@C; decided"
    run = make_run(Paths(A=answer(7), B=answer(7), C=long), plan=three)
    events, result = solved(run)
    reasons = [event.reason for event in of(PathEnded, events)]
    assert reasons == ["answered", "answered", "early_exit"]
    assert (result.answer, result.stopped) == ("7", "the vote is decided")
    run = make_run(Paths(A=answer(7), B=answer(8), C=answer(9)), plan=f"{three}; prose:target@B")
    events, result = solved(run)
    assert of(WaveOpened, events)[1].why == "no two paths agree: 7, 8, 9"
    assert (result.answer, result.stopped) == ("8", "all paths have ended")
    tie = "2 x prose:target@A + 2 x prose:target@B; decided; prose:target@B"
    run = make_run(Paths(A=answer(7), B=answer(8)), plan=tie)
    events, result = solved(run)
    assert of(WaveOpened, events)[1].why == "as many paths say 7 as 8"
    assert result.answer == "8"


def test_a_program_and_prose_agree() -> None:
    run = make_run(
        Forms(program("price = 6", "return price * 7"), A=answer(42)),
        plan="program:target + prose:target@A; agree; 3 x prose:target",
    )
    events, result = solved(run)
    (ran,) = of(ProgramRan, events)
    assert ran.program.value == "42"
    assert "price * 7" in ran.program.code
    first, second = result.paths
    assert first.kind is not None
    assert (first.kind.form, first.strategy_name, first.answer) == ("program", "program", "42")
    assert first.program == ran.program
    assert first.end_reason == "answered"
    assert second.program is None
    assert "That is all" not in first.text, "nothing is written after the program"
    assert result.stopped == "two paths agree"


@pytest.mark.parametrize(
    ("lines", "failure"),
    [
        (["while True:", "    pass"], "it takes too long"),
        (["return open('/etc/passwd').read()"], "Permission denied"),
        (["return None"], "returns nothing"),
        (["return 1 / 0"], "ZeroDivisionError"),
    ],
)
def test_a_program_that_fails_costs_its_path_alone(lines: list[str], failure: str) -> None:
    run = make_run(Forms(program(*lines), A=answer(7)), plan="program:target + prose:target@A")
    started = time.monotonic()
    _, result = solved(run)
    assert time.monotonic() - started < 15  # of which two are the program's; workers start
    path, other = result.paths
    assert (path.end_reason, path.answer) == ("program_failed", None)
    assert path.program is not None
    assert failure in path.program.failure
    assert (other.answer, result.answer) == ("7", "7")


def test_a_program_that_was_cut_off_is_not_run() -> None:
    code = program(*(f"value_{n} = {n}" for n in range(60)), "return 12345")
    run = make_run(Forms(code), plan="program:target", max_tokens=40)
    events, result = solved(run)
    assert of(ProgramRan, events) == []
    assert result.paths[0].end_reason == "token_budget"


def test_a_programs_steps_are_drafted_and_verified() -> None:
    code = "```python\ndef solution():\n    a = 6\n\n    return a * 7\n```\n\n"
    run = make_run(Forms(code), plan="program:ssd")
    events, result = solved(run)
    assert [event.author for event in of(StepDrafted, events)] == ["draft", "draft"]
    assert len(of(StepVerified, events)) == 2
    assert (result.answer, result.num_accepted) == ("42", 2)


def test_writers_side_by_side() -> None:
    run = make_run(
        Paths(A=answer(1), B=answer(2), C=answer(3)),
        plan="prose:draft@A + prose:target@B + prose:ssd@C",
    )
    events, result = solved(run)
    authors = {event.path: event.author for event in of(StepDrafted, events)}
    assert authors == {0: "draft", 1: "target", 2: "draft"}
    assert {event.path for event in of(StepVerified, events)} == {2}
    assert [path.answer for path in result.paths] == ["1", "2", "3"]
    assert [path.mean_score is None for path in result.paths] == [True, True, False]


def test_a_model_that_only_a_later_wave_needs_prefills_nothing_before() -> None:
    script = Paths(A=answer(7), B=answer(7), C=answer(8))
    plan = "prose:target@A + prose:target@{}; agree; prose:ssd"
    run = make_run(script, plan=plan.format("B"))
    _, result = solved(run)
    assert result.usage.draft.prefill_tokens == 0
    _, result = solved(make_run(script, plan=plan.format("C")))
    assert result.usage.draft.prefill_tokens > 0


def test_waves_follow_what_was_selected_in_turn() -> None:
    run = make_run(
        Paths(A=answer(1), B=answer(2), C=answer(3)),
        plan="prose:target@selected; agree; 2 x prose:target@selected",
    )
    events, result = solved(run)
    assert [path.strategy for path in result.paths] == ["A", "B", "C"]
    assert len(of(SelectionScored, events)) == 1
    assert [wave.selects for wave in of(WaveOpened, events)] == [True, False]


def test_no_wave_is_opened_when_the_time_is_up() -> None:
    run = make_run(
        Paths(A=answer(7)),
        plan="prose:target@A; agree; prose:target@A",
        clock=Ticks(1.0),
        time_limit=5,
    )
    events, result = solved(run)
    assert (len(of(WaveOpened, events)), result.stopped) == (1, "the time is up")


def test_an_unknown_letter_is_an_error() -> None:
    with pytest.raises(UsageError, match="no strategy 'Z'"):
        played(make_run(Paths(), plan="prose:target@Z"))


def test_opened_paths_say_what_they_are() -> None:
    run = make_run(
        Forms(program("return 1"), A=answer(1)), plan="program:target; agree; prose:ssd@A"
    )
    events, _ = solved(run)
    kinds = [(event.wave, event.kind) for event in of(PathOpened, events)]
    assert [(wave, kind.form, kind.verified) for wave, kind in kinds] == [
        (0, "program", False), (1, "prose", True),
    ]  # fmt: skip


def test_a_greedy_path_takes_the_likeliest_tokens_beside_others_that_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(Paths(answer(7)), plan="greedy prose:target + prose:target", temperature=0.8)
    asked: list[float] = []
    engine = run.engines["target"]
    start = engine.start_steps

    def start_steps(jobs: Sequence[StepJob]) -> None:
        asked.extend(job.sampling.temperature for job in jobs)
        start(jobs)

    monkeypatch.setattr(engine, "start_steps", start_steps)
    events, result = solved(run)
    assert asked == [0.0, 0.8, 0.0, 0.8]
    drafted = of(StepDrafted, events)
    assert [step.log_prob for step in result.paths[0].steps] == [
        event.log_prob for event in drafted if event.path == 0
    ]
    assert all(event.log_prob < 0 for event in drafted)
    assert 0 < result.paths[0].confidence < 1
    assert [path.kind for path in result.paths] == [
        PathKind("target", greedy=True),
        PathKind("target"),
    ]


def test_a_program_after_prefix_steps_is_what_the_path_itself_wrote() -> None:
    given = ("Let x be the price.\n\n", "x = 5\n\n")
    for own, value in (("```python\nx = 12\n```\n\n", "12"), ("So \\boxed{12}.\n\n", None)):
        script = Forms("".join(given) + own)
        _, result = solved(make_run(script, plan="program:target", prefix_steps=given))
        assert result.answer == value, "5 is not what it says"
    whole = Forms("```python\nx = 5\n\n" + "y = 2 * x\n```\n\n")
    _, result = solved(
        make_run(whole, plan="program:target", prefix_steps=("```python\nx = 5\n\n",))
    )
    assert result.answer == "10", "it goes on with what was given"


def test_a_program_that_was_thought_of_is_not_the_one_that_was_written() -> None:
    text = "<think>\n```python\nprint(7)\n```\nNo, wrong.\n</think>\n\n```python\nx = 12\n```\n\n"
    _, result = solved(make_run(Forms(text), plan="program:target"))
    assert result.answer == "12"


def test_a_path_added_in_an_early_wave_is_of_a_kind_that_is_open() -> None:
    run = make_run(
        Paths(LONG, A=answer(7)),
        plan="prose:target; first; prose:ssd@selected",
        clock=Ticks(step_s=0.3),  # so that the KV cache is measured with it
    )
    events = list(steered(run, once(lambda event: isinstance(event, PathOpened), AddPath("A"))))
    added = of(PathOpened, events)[1]
    assert (added.strategy.letter, added.wave, added.kind) == ("A", 0, PathKind())
    assert run.result is not None
    assert run.result.answer == "7"


def test_without_a_selection_a_model_that_writes_nothing_needs_no_prompt() -> None:
    run = make_run(Paths(answer(7)), plan="prose:draft@selected", selection="none")
    assert solved(run)[1].answer == "7"


def test_a_cache_that_cannot_hold_what_both_forms_begin_with_is_refused_before() -> None:
    problem = "How many? " * 20
    pool = replace(POOL, examples=(Example("How many? " * 9, "So \\boxed{1}."),))
    script = Forms(program("return 7"), A=answer(7))

    def solve_with(num_cells: int, plan: str) -> str | None:
        cells = {"num_cells": num_cells}
        return solved(make_run(script, plan=plan, problem=problem, pool=pool, target=cells))[
            1
        ].answer

    both, alone = "program:target + prose:target@A", "prose:target@A"
    fits = next(n for n in range(50, 900, 10) if _answers(solve_with, n, alone))
    with pytest.raises(ProblemError, match="room for"):
        solve_with(fits, both)


def _answers(solve_with: Any, num_cells: int, plan: str) -> bool:
    try:
        return solve_with(num_cells, plan) == "7"
    except ProblemError:
        return False
