"""What selection costs with real weights: of a problem after the first, its own tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssr_local.coordinator.spm import select
from ssr_local.core.records import StrategyScore
from ssr_local.engine.base import EngineConfig
from ssr_local.engine.loading import load_engine
from ssr_local.engine.native import NativeEngine
from ssr_local.engine.packages import EngineName
from ssr_local.engine.prefixes import KeptPrefixes
from ssr_local.method.pools import load_pool
from ssr_local.models.download import ensure_model
from ssr_local.models.registry import load_registry
from tests.engine.harness import LIBRARIES
from tests.unit.coordinator.scripted import Paths, make_run

pytestmark = pytest.mark.model

FIRST = "Anna has 17 pens and buys 2 boxes of 6. How many has she then?"
SECOND = "Solve for x: 3x + 7 = 22."


def selected(
    engine: NativeEngine, problem: str, kept: KeptPrefixes
) -> tuple[int, tuple[StrategyScore, ...]]:
    """Tokens that the target prefilled for a problem's selection, and the scores."""
    pool = load_pool("maths")
    run = make_run(
        Paths([]), problem=problem, method="parallel-spm", pool=pool, engines={"target": engine}
    )
    run.kept = kept
    for _ in select(run):
        pass
    prefilled = engine.usage().prefill_tokens
    engine.clear()
    return prefilled, run.scores


@pytest.mark.parametrize("library", LIBRARIES)
def test_only_the_first_problem_pays_for_the_pool(
    library: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = load_registry().model("qwen2.5-coder-0.5b")
    config = EngineConfig(
        path=str(ensure_model(spec)), name=spec.name, engine=library, threads=1, gpu_layers=0
    )
    monkeypatch.setenv("SSR_LOCAL_CACHE_DIR", str(tmp_path))
    counts, scores = [], []
    for _ in range(2):  # the second time as another program would find it
        engine, kept = load_engine(config), KeptPrefixes()
        engine.reserve(2048)
        limits = [len(engine.tokenize(problem)) + 30 for problem in (FIRST, SECOND)]
        for problem in (FIRST, SECOND):
            count, told = selected(engine, problem, kept)
            counts.append(count)
            scores.append(told)
        engine.close()
    assert counts[0] > 500
    assert counts[1] <= limits[1]
    assert counts[2] <= limits[0]
    assert counts[3] == counts[1]
    assert scores[:2] == scores[2:]
    assert scores[0][0] != scores[1][0]
