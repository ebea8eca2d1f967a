"""Whole runs of the method on tiny models: session, coordinator and engine together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ssr_local.core.errors import DecodeError, ProblemError
from ssr_local.core.events import (
    AnyEvent,
    PathEnded,
    RunEnded,
)
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.core.records import ModelRole, RunResult
from ssr_local.engine import prefixes
from ssr_local.engine.native import NativeEngine
from ssr_local.method.pools import LETTERS
from ssr_local.transport.requests import SolveRequest
from ssr_local.transport.session import Session
from ssr_local.transport.setup import ModelFile, Setup
from tests.engine.conftest import Tiny
from tests.engine.harness import LIBRARIES, Watch, check_cache, exact_attention, watched
from tests.tiny_gguf import TURN_END, ids, token_id

PROBLEM = "A farm has 30 heads and 84 legs. How many hens are there?"
CONTEXT = 8192
CHAINS = ((*ids("\\boxed{18}."), token_id(TURN_END)),)


POOL = """
name = "short"
description = "For models whose tokens are bytes"
answer = "boxed"
instruction = 'Put the answer within \\boxed{}.'
""" + "".join(
    f'[[strategies]]\nletter = "{letter}"\nname = "way {letter}"\nadvice = "Go {letter}."\n'
    for letter in LETTERS
)


class Pair:
    """A session over two watched engines, which stay in reach."""

    def __init__(self, draft: Path, target: Path, pool: Path, ctx: int, library: str) -> None:
        self.library = library
        self.pool = str(pool)
        self.stop: Callable[[], bool] = lambda: False
        self.engines: dict[ModelRole, NativeEngine] = {}
        self.bindings: dict[ModelRole, Watch] = {}
        files: dict[ModelRole, ModelFile] = {
            "draft": ModelFile(f"{draft.stem}-draft", str(draft)),
            "target": ModelFile(f"{target.stem}-target", str(target)),
        }
        setup = Setup(models=files, engine=EngineOptions(ctx=ctx, threads=1))
        self.session = Session(setup, loader=self.load)

    def load(
        self, role: ModelRole, file: ModelFile, setup: Setup, should_stop: Callable[[], bool]
    ) -> NativeEngine:
        ctx = setup.engine.ctx
        self.engines[role], self.bindings[role] = watched(
            Path(file.path),
            lambda: self.stop() or should_stop(),
            self.library,
            name=file.name,
            num_cells=ctx or 1024,
            max_cells=ctx or None,
        )
        return self.engines[role]

    def events(self, problem: str = PROBLEM, **options: Any) -> Iterator[AnyEvent]:
        usual = {"paths": 3, "max_tokens": 60, "max_step_tokens": 20, "seed": 1}
        chosen = SolveOptions(**(usual | {"strategies": self.pool} | options))
        for event in self.session.handle(SolveRequest(problem, chosen)):
            for engine in self.engines.values():
                check_cache(engine)
            yield event

    def solve(self, **options: Any) -> tuple[RunResult, list[AnyEvent]]:
        events = list(self.events(**options))
        assert isinstance(events[-1], RunEnded)
        for engine in self.engines.values():
            assert engine.used_cells == 0, "sequences are left open"
        return events[-1].result, events


only_llama = pytest.mark.parametrize("pair", ["llama"], indirect=True)
"""For what depends on the very text a tiny model writes, or not on the library."""


@pytest.fixture(params=LIBRARIES)
def pair(
    request: pytest.FixtureRequest, tiny: Tiny, tmp_path: Path
) -> Iterator[Callable[..., Pair]]:
    pool = tmp_path / "short.toml"
    pool.write_text(POOL)
    made: list[Pair] = []
    library: str = request.param

    def make(draft: Path | None = None, target: Path | None = None, ctx: int = CONTEXT) -> Pair:
        made.append(
            Pair(
                draft or tiny(context=CONTEXT),
                target or tiny(context=CONTEXT, seed=3, num_layers=3),
                pool,
                ctx,
                library,
            )
        )
        return made[-1]

    yield make
    for each in made:
        each.session.close()


Make = Callable[..., Pair]


def texts(result: RunResult) -> list[str]:
    return [path.text for path in result.paths]


def of_kind(events: Sequence[AnyEvent], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


# What a run costs -----------------------------------------------------------


# Oracles --------------------------------------------------------------------


def test_a_draft_equal_to_its_target_is_believed(tiny: Tiny, pair: Make) -> None:
    model = tiny(context=CONTEXT)
    usual = {"temperature": 0.0, "selection": "first", "max_tokens": 120}
    with exact_attention():
        one = pair(model, model)
        expected, _ = one.solve(method="parallel-spm", **usual)
        result, _ = one.solve(verifier="likelihood", threshold=0.0, **usual)
    assert texts(result) == texts(expected)
    ends = [[path.end_reason for path in each.paths] for each in (result, expected)]
    assert ends[0] == ends[1]
    assert result.acceptance_rate == 1.0
    assert result.num_accepted == result.num_drafted > len(result.paths)
    assert result.num_rewrites == 0


def test_a_target_that_accepts_nothing_writes_its_own_text(pair: Make) -> None:
    """Every step rejected and rewritten: the text is the target's, whatever the draft said."""
    usual = {"temperature": 0.0, "selection": "first", "max_steps": 4}
    with exact_attention():
        one = pair()
        expected, _ = one.solve(method="parallel-spm", **usual)
        result, _ = one.solve(method="ssr", verifier="likelihood", threshold=9.0, **usual)
    assert result.num_accepted == 0
    assert texts(result) == texts(expected)
    assert all(step.author == "target" for path in result.paths for step in path.steps)


@only_llama  # both libraries' tokens are drawn by the same code
def test_equal_seeds_give_equal_runs(pair: Make) -> None:
    def told(result: RunResult) -> object:
        scores = [[step.score for step in path.steps] for path in result.paths]
        return texts(result), scores, result.strategies, result.usage, result.votes

    usual = {"verifier": "likelihood", "threshold": 5.0, "max_tokens": 40}
    one, other = pair(), pair()
    one.solve(seed=3)  # prefills the pool, which the others find
    first = told(one.solve(seed=7, **usual)[0])
    assert told(one.solve(seed=7, **usual)[0]) == first, "in one session"
    other.solve(seed=2, paths=5, selection="first")
    assert told(other.solve(seed=7, **usual)[0]) == first, "in another, after another run"
    assert texts(one.solve(seed=8, **usual)[0]) != first[0]  # type: ignore[index]


# Vocabularies, recurrent memory, templates ----------------------------------


# Faults ---------------------------------------------------------------------


def test_a_target_whose_output_is_no_number_ends_the_run(tiny: Tiny, pair: Make) -> None:
    nan = {token: float("nan") for token in range(20)}
    one = pair(target=tiny(context=CONTEXT, logit_bias=nan))
    with pytest.raises(DecodeError, match="not a number"):
        one.solve(max_steps=3)


@only_llama  # how many cells there are is the coordinator's to say; ik takes three times as long
@pytest.mark.parametrize(
    ("problem", "options"),
    [
        (PROBLEM, {"paths": 5}),
        (PROBLEM + " Why?" * 100, {"paths": 1, "selection_permutations": 8}),
    ],
    ids=["paths", "orders"],
)
def test_without_a_limit_the_cache_holds_every_paths_whole_budget(
    pair: Make, problem: str, options: dict[str, Any]
) -> None:
    result, _ = pair(ctx=0).solve(problem=problem, max_tokens=120, threshold=0, **options)
    assert "kv_cache_full" not in {path.end_reason for path in result.paths}
    assert result.models.target is not None
    needed = len(result.paths) * 120 + len(problem)
    assert result.models.target.num_ctx > needed


def test_a_problem_beyond_the_models_context_is_refused_before_it_costs_memory(
    tiny: Tiny, pair: Make
) -> None:
    both = pair(tiny(context=1200), tiny(context=1200), ctx=0)
    with pytest.raises(ProblemError, match="too long") as error:
        both.solve(problem="why " * 5000)
    assert "room for 1200" in str(error.value)
    assert {binding.num_cells for binding in both.bindings.values()} == {1024}


@pytest.mark.parametrize("calls", [1, 20])
def test_cancel_ends_a_run_and_the_next_one_works(pair: Make, calls: int) -> None:
    one = pair()
    usual = {"verifier": "likelihood", "selection": "first"}
    expected, _ = one.solve(**usual)
    for binding in one.bindings.values():
        binding.calls.clear()

    def num_calls() -> int:
        return sum(len(binding.calls) for binding in one.bindings.values())

    one.stop = lambda: num_calls() >= calls
    result, events = one.solve(**usual)
    assert result.status == "cancelled"
    assert num_calls() == calls, "nothing is decoded after the cancel"
    assert {path.end_reason for path in result.paths} <= {"cancelled", "answered"}
    assert len(of_kind(events, PathEnded)) == len(result.paths)
    one.stop = lambda: False
    assert texts(one.solve(**usual)[0]) == texts(expected)


def test_an_answer_ends_its_path(tiny: Tiny, pair: Make) -> None:
    model = tiny(context=CONTEXT, chains=CHAINS, logit_bias={ids("\\")[0]: 6.0})
    result, _ = pair(model, model).solve(max_tokens=400, verifier="likelihood", threshold=0.0)
    assert (result.status, result.answer) == ("answered", "18")
    assert {path.end_reason for path in result.paths} <= {"answered", "end_of_generation"}


@pytest.mark.parametrize("selection", ["logprob", "generate"])
def test_the_pool_is_prefilled_once_for_all_problems(
    pair: Callable[..., Pair], selection: str
) -> None:
    one = pair()
    first, _ = one.solve(selection=selection)
    again, _ = one.solve(selection=selection)
    new, _ = pair().solve(selection=selection)
    pool = sum(len(f"{letter}. Go {letter}.") for letter in LETTERS)
    assert first.usage.target.prefill_tokens - again.usage.target.prefill_tokens > pool
    assert new.usage == again.usage
    for other in (again, new):
        assert other.strategies == first.strategies
        assert [path.text for path in other.paths] == [path.text for path in first.paths]


def test_a_damaged_state_is_prefilled_and_kept_again(
    pair: Callable[..., Pair],
) -> None:
    first, _ = pair().solve()
    (kept,) = prefixes.folder().iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    second, _ = pair().solve()
    assert second.usage == first.usage
    assert second.strategies == first.strategies
    assert kept.read_bytes() == whole
