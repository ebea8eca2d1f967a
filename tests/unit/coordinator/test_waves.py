"""Runs of written plans: waves, forms and writers side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from ssr_local.coordinator.run import Run
from ssr_local.core.errors import UsageError
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
from ssr_local.method.prompts import PROGRAM_INSTRUCTION
from tests.unit.coordinator.scripted import ASSISTANT, Paths, Ticks, Turn, make_run, played


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
