"""What becomes of steps, votes and waves where algebra refutes an equation."""

from __future__ import annotations

from typing import Any

import click
import pytest

from ssr_local.cli.view import LineView
from ssr_local.coordinator.run import Run
from ssr_local.core.commands import OverrideVerdict
from ssr_local.core.events import (
    AnyEvent,
    PathEnded,
    StepDrafted,
    StepRewritten,
    StepVerified,
    WaveOpened,
)
from ssr_local.core.records import RunResult
from ssr_local.core.tree import Tree
from ssr_local.pages.run_report import as_markdown
from tests.unit.coordinator.scripted import Paths, Turn, engine_of, make_run, played, steered

WRONG = "So there are 70 + 420 = 480.\n\n"
RIGHT = "So there are 70 + 420 = 490.\n\n"
CLAIM = "70 + 420 = 480"


def boxed(answer: int, *texts: str) -> list[Turn]:
    return [*(Turn(text) for text in texts), Turn(f"So \\boxed{{{answer}}}.\n\n")]


def of(kind: type[Any], events: list[AnyEvent]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def solved(run: Run) -> tuple[list[AnyEvent], RunResult]:
    events = played(run)
    assert run.result is not None
    return events, run.result


def drafting(*turns: Turn, **options: Any) -> Run:
    return make_run(Paths([*turns, Turn("So \\boxed{490}.\n\n")]), method="specreason", **options)


def test_a_refuted_draft_is_rejected_without_the_target() -> None:
    asked, unasked = (
        drafting(Turn("I think.\n\n"), Turn(text, yes, RIGHT))
        for text, yes in ((RIGHT, 0.2), (WRONG, 0.9))
    )
    kinds = [[type(event).__name__ for event in played(run)] for run in (asked, unasked)]
    assert kinds[0] == kinds[1]
    calls = [[call for call, _ in engine_of(run, "target").history] for run in (asked, unasked)]
    assert calls[0].count("extend") == calls[1].count("extend") + 1
    assert asked.prefilled["target"] - unasked.prefilled["target"] >= len(RIGHT.split())
    assert [path.text for path in unasked.paths] == [path.text for path in asked.paths]


def test_the_verdict_says_what_was_refuted() -> None:
    events, result = solved(drafting(Turn("I think.\n\n"), Turn(WRONG, 0.9, RIGHT)))
    verdicts = [event.verdict for event in of(StepVerified, events)]
    assert [verdict.verifier for verdict in verdicts] == ["digit", "algebra", "digit"]
    assert (verdicts[1].score, verdicts[1].accepted) == (0.0, False)
    assert verdicts[1].reason == f"algebra refutes: {CLAIM}"
    step = result.paths[0].steps[1]
    assert (step.text, step.author, step.draft_text, step.draft_score) == (
        RIGHT,
        "target",
        WRONG,
        0,
    )
    assert (result.num_drafted, result.num_accepted, result.num_rewrites) == (3, 2, 1)
    assert result.paths[0].refuted == ""
    tree = Tree()
    tree.apply_all(events)
    assert tree.counts.acceptance_rate == result.acceptance_rate
    assert f"algebra refutes: {CLAIM}" in as_markdown(tree)


def test_the_user_may_keep_a_refuted_draft() -> None:
    def react(event: AnyEvent, desk: Any) -> None:
        is_algebra = isinstance(event, StepVerified) and event.verdict.verifier == "algebra"
        if is_algebra and not event.overridden:
            desk.put(OverrideVerdict(0, accept=True))

    run = drafting(Turn(WRONG, 0.9, RIGHT))
    events = list(steered(run, react))
    assert of(StepRewritten, events) == []
    assert run.result is not None
    assert [step.author for step in run.result.paths[0].steps] == ["draft", "draft"]
    assert of(PathEnded, events)[0].refuted == run.result.paths[0].refuted == CLAIM


def test_what_the_target_writes_wrongly_is_said_and_stands() -> None:
    events, result = solved(drafting(Turn(RIGHT, 0.2, WRONG)))
    assert len(of(StepVerified, events)) == len(of(StepDrafted, events))
    assert result.paths[0].refuted == CLAIM
    assert (result.answer, result.votes[0].refuted) == ("490", (0,))
    tree = Tree()
    tree.apply_all(events)
    assert tree.paths[0].refuted == CLAIM
    for said in ("**Algebra refutes:** `70 + 420 = 480`", "refuted by algebra: 1"):
        assert said in as_markdown(tree)
    lines: list[str] = []
    view = LineView(lines.append)
    for event in events:
        view.show(event)
    assert result is not None
    view.result(result)
    shown = click.unstyle("\n".join(lines))
    assert f"algebra refutes: {CLAIM}" in shown
    assert "refuted by algebra: 1" in shown


def test_refuted_paths_lose_their_vote_and_open_a_wave() -> None:
    run = make_run(
        Paths(A=boxed(480, WRONG), B=boxed(480, WRONG), C=boxed(490, RIGHT)),
        plan="prose:target@A + prose:target@B; agree; prose:target@C",
    )
    events, result = solved(run)
    assert of(WaveOpened, events)[1].why == "algebra refutes a step of each path with an answer"
    assert result.answer == "490"
    assert [(group.paths, group.refuted) for group in result.votes] == [
        ((2,), ()),
        ((0, 1), (0, 1)),
    ]


@pytest.mark.parametrize(
    ("paths", "rule", "num_paths"),
    [
        ({"A": boxed(480, WRONG), "B": boxed(480, RIGHT)}, "agree", 3),
        ({"A": boxed(480, RIGHT), "B": boxed(480, RIGHT)}, "agree", 2),
        ({"A": boxed(480, WRONG), "B": boxed(480, "Hm.\n\n", WRONG)}, "first", 3),
    ],
)
def test_a_rule_counts_paths_without_refuted_steps(
    paths: dict[str, list[Turn]], rule: str, num_paths: int
) -> None:
    plan = f"prose:target@A + prose:target@B; {rule}; prose:target@C"
    _, result = solved(make_run(Paths(boxed(480, RIGHT), **paths), plan=plan))
    assert len(result.paths) == num_paths
    assert result.answer == "480"


def test_an_answer_with_refuted_steps_is_better_than_none() -> None:
    _, result = solved(make_run(Paths(boxed(480, WRONG)), method="target"))
    assert (result.answer, result.status, result.paths[0].refuted) == ("480", "answered", CLAIM)


def test_code_is_not_judged() -> None:
    code = "```python\ndef solution():\n    # 70 + 420 = 480\n    return 490\n```\n\n"
    run = make_run(Paths([Turn(code)]), plan="program:ssd")
    events, result = solved(run)
    assert [event.verdict.verifier for event in of(StepVerified, events)] == ["digit"]
    assert (result.answer, result.paths[0].refuted) == ("490", "")
