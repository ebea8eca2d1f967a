"""Labelled steps on scripted models: every label is known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from ssr_local import Solver
from ssr_local.bench.labels.rollouts import Labeller, RolloutOptions, collect
from ssr_local.bench.records import LabelledStep, Problem, Rate, Walk
from ssr_local.bench.scoring import Scorer
from ssr_local.bench.store import WALKS, open_for_writing
from ssr_local.core.errors import DecodeError, SSRError
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.core.records import ModelRole
from ssr_local.engine.base import Engine
from ssr_local.engine.fake import FakeEngine, Script
from ssr_local.method.prompts import QUESTIONS
from ssr_local.transport.session import Session
from ssr_local.transport.setup import ModelFile, Setup
from tests.unit.bench.labels import made_walks

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

        self._transport = Session(setup, loader=load)
        self._roles = {"draft", "target"}


def walked(story: Story, scorer: Scorer) -> Walk:
    with Scripted(story) as solver:
        labeller = Labeller(
            solver,
            scorer,
            SolveOptions(),
            RolloutOptions(samples=3, max_drafted=8, seed=1),
        )
        return labeller.walk("task", PROBLEM)


Told = tuple[str, str, float, float]


def told(steps: tuple[LabelledStep, ...]) -> list[Told]:
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
    for step in walk.steps:
        assert set(step.probes) == set(map("/".join, QUESTIONS))
        assert len(step.log_probs) > 2


UNSURE = "\\boxed{as many as days}."
"""The reference is the number 7; whether some words equal it nobody can say."""


@pytest.mark.parametrize(
    ("drafts", "targets", "start", "steps"),
    [
        # The target's own step replaces one that did harm.
        (
            ["D one.", "D HARM.", "D so \\boxed{7}."],
            GOOD,
            Rate(3, 3),
            [
                ("draft", "D one.", 1.0, 1.0),
                ("draft", "D HARM.", 1.0, 0.0),
                ("target", "T two.", 1.0, 1.0),
                ("draft", "D so \\boxed{7}.", 1.0, 1.0),
            ],
        ),
        # A wrong answer is harm; a rewrite that answers ends the walk.
        (
            ["D one.", "D so \\boxed{8}."],
            ["T one.\n\n", "T \\boxed{7}."],
            Rate(3, 3),
            [
                ("draft", "D one.", 1.0, 1.0),
                ("draft", "D so \\boxed{8}.", 1.0, 0.0),
                ("target", "T \\boxed{7}.", 1.0, 1.0),
            ],
        ),
        # So is an end without an answer.
        (
            ["D ends here."],
            ["T one.\n\n", "T \\boxed{7}."],
            Rate(3, 3),
            [
                ("draft", "D ends here.", 1.0, 0.0),
                ("target", "T one.", 1.0, 1.0),
            ],
        ),
        # Long paths are cut.
        (
            [f"D {number}." for number in range(20)],
            [f"T {number}.\n\n" for number in range(20)] + ["T \\boxed{7}."],
            Rate(3, 3),
            [("draft", f"D {number}.", 1.0, 1.0) for number in range(8)],
        ),
        (["D one."], ["T \\boxed{9}."], Rate(0, 3), []),
        (["D one."], [f"T {UNSURE}"], Rate(0, 0), []),
        (["D one.", f"D {UNSURE}"], GOOD, Rate(3, 3), [("draft", "D one.", 1.0, 1.0)]),
    ],
)
def test_walks(
    scorer: Scorer, drafts: list[str], targets: list[str], start: Rate, steps: list[Told]
) -> None:
    *others, last = drafts
    walk = walked(Story([*(f"{text}\n\n" for text in others), last], targets), scorer)
    assert (walk.start, told(walk.steps)) == (start, steps)
    for before, step in pairwise(walk.steps):
        # A rewrite stands in the place of the step before it.
        prefix = before.given if step.author == "target" else (*before.given, before.text)
        assert step.given == prefix


class Failing(Labeller):
    """Labels one step of every problem but those on which its engine fails."""

    def __init__(self, *fails: str) -> None:
        self.fails = fails

    def walk(self, task: str, problem: Problem) -> Walk:
        if problem.id in self.fails:
            raise DecodeError("The decode failed.")
        return made_walks.walk(problem.id, [made_walks.step()], task=task)

    def failed(self, task: str, problem: Problem, error: SSRError) -> Walk:
        return made_walks.walk(problem.id, [], task=task, error=str(error))


def test_an_engine_that_fails_costs_a_walk_and_three_in_a_row_the_rest(tmp_path: Path) -> None:
    problems = [Problem(id=name, problem="What?", answer="7") for name in "abcdef"]
    with open_for_writing(tmp_path, WALKS, Walk, {}) as file:
        first = list(collect(Failing("b"), file, "t", problems, 2))
        assert [(walk.problem, bool(walk.error)) for walk in first] == [
            ("a", False),
            ("b", True),
            ("c", False),
        ]
        with pytest.raises(DecodeError):
            list(collect(Failing("b", "d", "e"), file, "t", problems, 9))
        assert "".join(walk.problem for walk in file.lines) == "abcbde"
