"""Labelled steps on scripted models: every label is known beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ssr_local import Solver
from ssr_local.bench.labels.rollouts import Labeller, RolloutOptions
from ssr_local.bench.records import LabelledStep, Problem, Rate, Walk
from ssr_local.bench.scoring import Scorer
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.core.records import ModelRole
from ssr_local.engine.base import Engine
from ssr_local.engine.fake import FakeEngine, Script
from ssr_local.method.prompts import QUESTIONS
from ssr_local.transport.in_process import InProcess
from ssr_local.transport.setup import ModelFile, Setup

ASSISTANT = "<|im_start|>assistant\n"
PROBLEM = Problem(id="p", problem="What?", answer="7", subject="s", level=2)


class Story(Script):
    """The draft writes ``drafts`` in order, the target ``targets``, whatever the other wrote.

    Once ``harm`` stands in a path the target ends it with a wrong answer.
    """

    def __init__(self, drafts: list[str], targets: list[str], harm: str = "HARM") -> None:
        self.texts: Mapping[ModelRole, list[str]] = {"draft": drafts, "target": targets}
        self.harm = harm

    def continuation(self, role: ModelRole, text: str) -> str:
        written = text.rpartition(ASSISTANT)[2]
        done, begun = written.count("\n\n"), written.rpartition("\n\n")[2]
        steps = self.texts[role][done:]
        if role == "target" and self.harm in written:
            steps = ["So \\boxed{8}."]
        whole = "".join(steps)
        return whole[len(begun) :] if whole.startswith(begun) else ""

    def probe(self, text: str) -> Mapping[str, float]:
        return {str(digit): 0.1 for digit in range(10)}


class Scripted(Solver):
    """A solver whose models follow a story."""

    def __init__(self, story: Story) -> None:
        super().__init__(pair="demo", in_process=True)
        files: dict[ModelRole, ModelFile] = {
            role: ModelFile(name=role, path="") for role in ("draft", "target")
        }
        setup = Setup(models=files, engine=EngineOptions(pair="demo"), backend="fake")

        def load(role: ModelRole, *_: object) -> Engine:
            return FakeEngine(story, role=role)

        self._transport = InProcess(setup, loader=load)
        self._roles = {"draft", "target"}


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    with Scorer() as one:
        yield one


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"SSR_LOCAL_{name}_DIR", str(tmp_path / name.lower()))


def walked(story: Story, scorer: Scorer, max_drafted: int = 8) -> Walk:
    with Scripted(story) as solver:
        labeller = Labeller(
            solver,
            scorer,
            SolveOptions(),
            RolloutOptions(samples=3, max_drafted=max_drafted, seed=1),
        )
        return labeller.walk("task", PROBLEM)


def told(steps: tuple[LabelledStep, ...]) -> list[tuple[str, str, float, float]]:
    return [(s.author, s.text.strip(), s.before.share, s.after.share) for s in steps]


GOOD = ["T one.\n\n", "T two.\n\n", "T so \\boxed{7}."]


def test_good_steps_leave_the_rate_as_it_was(scorer: Scorer) -> None:
    walk = walked(Story(["D one.\n\n", "D two.\n\n", "D so \\boxed{7}."], GOOD), scorer)
    assert told(walk.steps) == [
        ("draft", "D one.", 1.0, 1.0),
        ("draft", "D two.", 1.0, 1.0),
        ("draft", "D so \\boxed{7}.", 1.0, 1.0),
    ]
    assert [step.given for step in walk.steps] == [
        (),
        ("D one.\n\n",),
        ("D one.\n\n", "D two.\n\n"),
    ]
    assert [step.after for step in walk.steps] == [Rate(3, 3), Rate(3, 3), Rate(1, 1)]
    assert [step.states_answer for step in walk.steps] == [False, False, True]
    assert (walk.task, walk.problem, walk.reference, walk.samples) == ("task", "p", "7", 3)
    assert (walk.subject, walk.level, walk.start) == ("s", 2, Rate(3, 3))


def test_a_step_that_does_harm_is_replaced_by_the_targets_own(scorer: Scorer) -> None:
    walk = walked(Story(["D one.\n\n", "D HARM.\n\n", "D so \\boxed{7}."], GOOD), scorer)
    assert told(walk.steps) == [
        ("draft", "D one.", 1.0, 1.0),
        ("draft", "D HARM.", 1.0, 0.0),
        ("target", "T two.", 1.0, 1.0),
        ("draft", "D so \\boxed{7}.", 1.0, 1.0),
    ]
    assert walk.steps[2].given == walk.steps[1].given == ("D one.\n\n",)
    assert walk.steps[3].given == ("D one.\n\n", "T two.\n\n")
    assert walk.steps[1].effect == -1.0


def test_a_wrong_answer_is_harm_and_a_rewrite_that_answers_ends_the_walk(scorer: Scorer) -> None:
    walk = walked(
        Story(["D one.\n\n", "D so \\boxed{8}."], ["T one.\n\n", "T \\boxed{7}."]), scorer
    )
    assert told(walk.steps) == [
        ("draft", "D one.", 1.0, 1.0),
        ("draft", "D so \\boxed{8}.", 1.0, 0.0),
        ("target", "T \\boxed{7}.", 1.0, 1.0),
    ]


def test_a_draft_that_ends_without_an_answer_has_done_harm(scorer: Scorer) -> None:
    walk = walked(Story(["D ends here."], GOOD), scorer)
    assert told(walk.steps)[:2] == [
        ("draft", "D ends here.", 1.0, 0.0),
        ("target", "T one.", 1.0, 1.0),
    ]
    assert not walk.steps[0].states_answer


def test_a_problem_the_target_cannot_solve_has_no_steps(scorer: Scorer) -> None:
    walk = walked(Story(["D one.\n\n"], ["T \\boxed{9}."]), scorer)
    assert (walk.start, walk.steps) == (Rate(0, 3), ())


def test_long_paths_are_cut(scorer: Scorer) -> None:
    drafts = [f"D number {number}.\n\n" for number in range(20)]
    targets = [f"T number {number}.\n\n" for number in range(20)] + ["T \\boxed{7}."]
    walk = walked(Story(drafts, targets), scorer, max_drafted=4)
    assert [step.author for step in walk.steps] == ["draft"] * 4


def test_every_question_is_read_for_every_step(scorer: Scorer) -> None:
    walk = walked(Story(["D one.\n\n", "D so \\boxed{7}."], GOOD[1:]), scorer)
    for step in walk.steps:
        assert set(step.probes) == set(map("/".join, QUESTIONS))
        assert len(step.log_probs) > 2


@pytest.mark.parametrize(
    ("draft", "target", "steps"),
    [
        # The reference is the number 7; whether some words equal it nobody can say.
        (["D one.\n\n", "D \\boxed{as many as days}."], GOOD, 1),
        (["D one.\n\n"], ["T \\boxed{as many as days}."], 0),
    ],
)
def test_what_cannot_be_judged_is_no_label(
    scorer: Scorer, draft: list[str], target: list[str], steps: int
) -> None:
    walk = walked(Story(draft, target), scorer)
    assert len(walk.steps) == steps
    assert walk.start == (Rate(3, 3) if steps else Rate(0, 0))


def test_the_same_seed_walks_the_same_way(scorer: Scorer) -> None:
    story = Story(["D one.\n\n", "D HARM.\n\n", "D so \\boxed{7}."], GOOD)
    first, second = walked(story, scorer), walked(story, scorer)
    assert first.steps == second.steps
