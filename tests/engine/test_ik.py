"""What only the ik engine has: its table of functions, gaps in its cache, its abort."""

from __future__ import annotations

import pytest

from ssr_local.core.errors import EngineUnavailable
from ssr_local.engine.base import Cancelled, ExtendJob, Sampling, StepJob
from tests.engine.conftest import Load, Tiny
from tests.engine.harness import HAS_IK, Countdown, check_cache, load_plain, write
from tests.tiny_gguf import ids

if not HAS_IK:
    pytest.skip("needs the extra ik", allow_module_level=True)

from ssr_local.engine import ik


@pytest.fixture
def library() -> str:
    return "ik"


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ik, "version", lambda _: "9.9.9")
    with pytest.raises(EngineUnavailable, match=r"9\.9\.9") as error:
        ik.Library()
    assert "pip install" in error.value.next_step


def test_a_missing_function_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ik.OWN_NAMES, "llama_decode", "llama_decode_fast")
    with pytest.raises(EngineUnavailable, match="lacks the function llama_decode_fast"):
        ik.Library()


def test_the_packages_own_declarations_stay_as_they_are() -> None:
    before = ik.api.llama_tokenize.argtypes
    ik.Library()
    assert ik.api.llama_tokenize.argtypes is before


def test_gaps_in_the_cache_are_closed_when_a_batch_needs_cells_in_a_row(
    tiny: Tiny, load: Load
) -> None:
    engine, _ = load(tiny(), num_cells=512)
    root = engine.open(ids("x" * 40))
    paths = [engine.fork(root) for _ in range(6)]
    for round_number in range(4):  # cells of the paths lie mixed
        engine.extend([ExtendJob(seq_id=p, tokens=ids("abcde"[round_number:])) for p in paths])
    kept = engine.tokens(paths[1])
    for path in paths[::2]:
        engine.release(path)
    free = 512 - engine.used_cells
    long = engine.fork(root)
    (result,) = engine.extend([ExtendJob(seq_id=long, tokens=ids("y" * (free - 2)))])
    assert result.no_room is None
    assert engine.tokens(paths[1]) == kept
    check_cache(engine)
    engine.release(long)
    fresh, _ = load(tiny(), num_cells=512)
    alone = fresh.open(kept)
    assert write(engine, paths[1], 20) == write(fresh, alone, 20)


def test_a_stop_during_a_batch_leaves_nothing_half_done(tiny: Tiny) -> None:
    stop = Countdown()
    engine = load_plain(tiny(), stop, engine="ik", num_cells=1024)
    seq_id = engine.open(ids("What is it? "))
    expected = write(engine, engine.fork(seq_id), 20)
    stop.asked, stop.limit = 0, 10
    with pytest.raises(Cancelled):
        engine.extend([ExtendJob(seq_id=seq_id, tokens=ids("z" * 120))])
    stop.limit = float("inf")
    check_cache(engine)
    assert write(engine, engine.fork(seq_id), 20) == expected
    engine.close()


def test_paths_draw_the_same_however_many_run_beside_them(tiny: Tiny, load: Load) -> None:
    def drawn(beside: int) -> list[int]:
        engine, _ = load(tiny(scale=1.0))
        root = engine.open(ids("Once "))
        paths = [engine.fork(root) for _ in range(1 + beside)]
        engine.start_steps([StepJob(p, 12, Sampling(1.0, 1.0, p)) for p in paths])
        for _ in range(12):
            engine.decode_round()
        return engine.tokens(paths[0])

    assert drawn(0) == drawn(4)
