"""Going on from steps somebody else wrote, and reading them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from ssr_local.coordinator.prompter import Prompter, shared_prefix
from ssr_local.coordinator.reading import read_steps
from ssr_local.core.errors import DecodeError, ProblemError
from ssr_local.engine.base import Extended, ExtendJob
from ssr_local.engine.fake import FakeEngine, Script
from ssr_local.method.prompts import DIGIT

from .scripted import POOL, InThisProcess, Paths, Turn, engine_of, make_run, played

PREFIX = ("One.\n\n", "Two.\n\n")
TURNS = [Turn(PREFIX[0]), Turn(PREFIX[1]), Turn("Three.\n\n"), Turn("So \\boxed{3}.")]


@pytest.mark.parametrize("method", ["ssr", "specreason", "parallel", "target", "draft"])
def test_every_path_goes_on_after_the_prefix_steps(method: str) -> None:
    run = make_run(Paths(TURNS), prefix_steps=PREFIX, method=method)
    played(run)
    for path in run.paths:
        assert [step.text for step in path.steps] == [turn.draft for turn in TURNS[2:]]
        assert (path.end_reason, path.answer) == ("answered", "3")
        assert path.text == "".join(turn.draft for turn in TURNS)


def test_prefix_steps_are_judged_along_but_not_judged_themselves() -> None:
    script = Paths(TURNS)
    played(make_run(script, prefix_steps=PREFIX, method="specreason"))
    assert [written for _, written in script.probed] == [
        "One.\n\nTwo.\n\nThree.\n\n",
        "One.\n\nTwo.\n\nThree.\n\nSo \\boxed{3}.",
    ]


def test_prefix_steps_use_no_budget_and_count_as_repeated() -> None:
    run = make_run(Paths(TURNS), prefix_steps=PREFIX, method="draft", max_steps=2, max_tokens=20)
    played(run)
    assert run.paths[0].end_reason == "answered"
    again = make_run(
        Paths([*TURNS[:2], Turn(PREFIX[0]), *TURNS[2:]]), prefix_steps=PREFIX, method="draft"
    )
    played(again)
    assert again.paths[0].end_reason == "repetition"


def test_all_paths_share_the_prefix_steps() -> None:
    run = make_run(Paths(TURNS), prefix_steps=PREFIX, method="parallel", paths=4)
    played(run)
    engine = engine_of(run, "target")
    prompt = sum(count for name, count in engine.history if name == "open")
    assert run.usage.target.prefill_tokens == prompt


def test_what_prompts_share_is_prefilled_once() -> None:
    run = make_run(Paths(TURNS), paths=5, verifier="likelihood", calibrations={})
    played(run)
    pool, prompter = run.pool, run.prompters["draft"]
    prompts = prompter.paths(
        "How many?", [(one, "prose") for one in (*pool.strategies, pool.by_letter("M"))]
    )
    shared = shared_prefix(prompts)
    (opened,) = (count for name, count in engine_of(run, "draft").history if name == "open")
    advice = sum(len(prompt) - shared for prompt in prompts[:5])
    assert "How many?" in "".join(map(engine_of(run, "draft")._word, prompts[0][:shared]))
    assert (opened, run.usage.draft.prefill_tokens) == (shared, shared + advice)
    assert run.usage.target.decode_tokens == 0, "verification decodes nothing"


class Reader(FakeEngine):
    """Likelihoods that can be told apart: a token's is minus its index in the sequence."""

    broken = False

    def extend(self, jobs: Any) -> list[Extended]:
        starts = {job.seq_id: self.num_tokens(job.seq_id) for job in jobs}
        return [
            self._told(job, starts[job.seq_id], one)
            for job, one in zip(jobs, super().extend(jobs), strict=True)
        ]

    def _told(self, job: ExtendJob, start: int, one: Extended) -> Extended:
        if not job.log_probs:
            return one
        values = [-float(start + index) for index in range(len(job.tokens))]
        if self.broken:
            values[-1] = math.nan
        return Extended(seq_id=one.seq_id, log_probs=tuple(values))


class Says(Script):
    """Answers questions by what stands before them."""

    def continuation(self, role: str, text: str) -> str:
        return ""

    def probe(self, text: str) -> Mapping[str, float]:
        return {"7": 0.75, "2": 0.25} if "Two" not in text else {"7": 1.0}


def read(engine: FakeEngine, *questions: tuple[str, str]) -> list[Any]:
    prompter = Prompter(engine, POOL, InThisProcess())
    return list(read_steps(engine, prompter, prompter.path("How many?", ()), PREFIX, questions))


def test_steps_are_read_in_order_each_after_those_before_it() -> None:
    engine = Reader(Says(), role="target")
    first, second = read(engine, DIGIT)
    assert (first.text, second.text) == PREFIX
    assert len(first.log_probs) == len(engine.tokenize(PREFIX[0]))
    assert second.log_probs[0] == first.log_probs[-1] - 1
    said = dict(enumerate(first.probes["digit/rate"]))
    assert (said.pop(7), said.pop(2)) == pytest.approx((math.log(0.75), math.log(0.25)))
    assert set(said.values()) == {-1000.0}
    assert second.probes["digit/rate"][7] == 0.0
    assert engine._cache.seq_ids == ()


def test_what_is_no_number_or_does_not_fit_is_an_error() -> None:
    broken = Reader(Says(), role="target")
    broken.broken = True
    with pytest.raises(DecodeError, match="not a number"):
        read(broken)
    assert broken._cache.seq_ids == ()
    with pytest.raises(ProblemError, match="too long"):
        read(Reader(Says(), role="target", num_cells=100))
