"""What goes wrong in llama.cpp or in a file, and what the llama engine makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssr_local.core.errors import DecodeError, ModelDamagedError, ModelError, ModelUnusableError
from ssr_local.engine.base import Cancelled, ExtendJob, StepJob
from ssr_local.engine.log_probs import Floats
from ssr_local.engine.native import NativeEngine
from tests.engine.conftest import Load, Tiny
from tests.engine.harness import GREEDY, Countdown, check_cache, load_plain, needs_llama, write
from tests.engine.kits import PROMPT
from tests.tiny_gguf import ids

both_memories = pytest.mark.parametrize("arch", ["qwen2", "mamba"])
"""Attention, which can be truncated, and recurrent memory, which cannot."""


# Decodes that fail ----------------------------------------------------------


def open_two(engine: NativeEngine) -> tuple[int, int]:
    first = engine.open(engine.tokenize(PROMPT))
    second = engine.fork(first)
    engine.extend([ExtendJob(seq_id=second, tokens=ids("and more"))])
    engine.start_steps([StepJob(first, 500, GREEDY), StepJob(second, 500, GREEDY)])
    for _ in range(3):
        engine.decode_round()
    return first, second


def failure(engine: NativeEngine, call: Callable[[NativeEngine], object]) -> DecodeError | None:
    """The error that comes in the end: one call needs one decode or several."""
    for _ in range(3):
        try:
            call(engine)
        except DecodeError as error:
            return error
    return None


CALLS = [
    pytest.param(lambda engine: engine.decode_round(), id="decode"),
    pytest.param(
        lambda engine: engine.extend(
            [ExtendJob(seq_id=s, tokens=ids("xyz" * 300), log_probs=True) for s in (0, 1)]
        ),
        id="extend",
    ),
    pytest.param(
        lambda engine: engine.extend([ExtendJob(seq_id=1, suffix=ids("?!"), candidates=[[1]])]),
        id="probe",
    ),
    pytest.param(lambda engine: engine.open(ids("x" * 1200)), id="open"),
]


@both_memories
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("reported", ["failed", "aborted"])
@pytest.mark.parametrize("done", [False, True], ids=["undone", "done"])
@pytest.mark.parametrize("calls_before", [0, 1])
def test_a_failed_decode_leaves_the_cells_counted_right(
    tiny: Tiny,
    load: Load,
    arch: str,
    call: Callable[[NativeEngine], object],
    reported: str,
    done: bool,
    calls_before: int,
) -> None:
    path = tiny(arch=arch)
    engine, binding = load(path, num_cells=4096)
    seq_ids = open_two(engine)
    tokens = [engine.tokens(seq_id) for seq_id in seq_ids]
    binding.done = done
    binding.results.extend([None] * calls_before + [reported])  # type: ignore[list-item]
    error = failure(engine, call)
    assert "could not be evaluated" in str(error)
    assert reported in str(error)
    assert not binding.results
    check_cache(engine)
    if calls_before == 0:
        assert [engine.tokens(seq_id) for seq_id in seq_ids] == tokens
    for seq_id in seq_ids:
        engine.stop_step(seq_id)
    for seq_id in seq_ids:
        fresh, _ = load(path)
        again = fresh.open(engine.tokens(seq_id))
        assert write(engine, seq_id, 20) == write(fresh, again, 20)
    check_cache(engine)


def test_no_slot_ends_one_path_and_the_others_go_on(tiny: Tiny, load: Load) -> None:
    engine, binding = load(tiny())
    first, second = open_two(engine)
    binding.results.append("no_slot")
    assert [(d.seq_id, d.end) for d in engine.decode_round()] == [(second, "kv_cache_full")]
    check_cache(engine)
    (delta,) = engine.decode_round()
    assert (delta.seq_id, delta.num_tokens) == (first, 1)


def test_no_slot_in_a_prefill_that_should_fit_is_an_error(tiny: Tiny, load: Load) -> None:
    engine, binding = load(tiny())
    first, _ = open_two(engine)
    binding.results.extend([None, "no_slot"])
    before = engine.tokens(first)
    with pytest.raises(DecodeError, match="no room although"):
        engine.extend([ExtendJob(seq_id=first, tokens=ids("x" * 1000))])
    check_cache(engine)
    assert engine.tokens(first) == before


# Cancel ---------------------------------------------------------------------


@both_memories
@pytest.mark.parametrize("chunks", [0, 1, 2])
@pytest.mark.parametrize("call", ["open", "extend"])
def test_cancel_ends_a_prefill_within_one_chunk(
    tiny: Tiny, load: Load, arch: str, chunks: int, call: str
) -> None:
    stop = Countdown()
    engine, binding = load(tiny(arch=arch, context=8192), stop, num_cells=8192)
    first, second = open_two(engine)
    binding.calls.clear()
    stop.asked, stop.limit = 0, chunks + 1
    used, tokens = engine.used_cells, engine.tokens(first)
    prefilled, long = engine.usage().prefill_tokens, ids("x" * 4000)
    calls: dict[str, Callable[[], object]] = {
        "open": lambda: engine.open(long),
        "extend": lambda: engine.extend([ExtendJob(seq_id=first, tokens=long)]),
    }
    with pytest.raises(Cancelled):
        calls[call]()
    assert len(binding.calls) == chunks
    assert binding.num_rows < len(long)
    assert engine.usage().prefill_tokens - prefilled == binding.num_rows, "work done is counted"
    assert engine.tokens(first) == tokens
    check_cache(engine)
    if arch == "qwen2":
        assert engine.used_cells == used
    stop.limit = float("inf")
    assert len(engine.decode_round()) == 2
    engine.release(second)
    check_cache(engine)


def test_cancel_ends_a_prefill_inside_a_chunk(tiny: Tiny) -> None:
    stop = Countdown()
    engine = load_plain(tiny(), stop, num_cells=1024)
    seq_id = engine.open(ids(PROMPT))
    tokens, used, prefilled = engine.tokens(seq_id), engine.used_cells, engine.usage()
    long = ids("x" * 200)
    stop.asked = 0
    engine.extend([ExtendJob(seq_id=seq_id, tokens=long)])
    assert stop.asked > 10, "llama.cpp asks between the graph's nodes"
    engine.truncate(seq_id, len(tokens))
    before = engine.usage().prefill_tokens
    stop.asked, stop.limit = 0, 10
    with pytest.raises(Cancelled):
        engine.extend([ExtendJob(seq_id=seq_id, tokens=long)])
    assert engine.usage().prefill_tokens == before > prefilled.prefill_tokens
    assert (engine.tokens(seq_id), engine.used_cells) == (tokens, used)
    stop.limit = float("inf")
    (result,) = engine.extend([ExtendJob(seq_id=seq_id, tokens=long)])
    assert result.no_room is None
    engine.close()


def test_cancel_stops_loading(tiny: Tiny) -> None:
    with pytest.raises(Cancelled):
        load_plain(tiny(), lambda: True)


# Numbers that are none ------------------------------------------------------


def with_nan(row: Floats) -> Floats:
    spoilt: Floats = row.copy()
    spoilt[17] = np.nan
    return spoilt


@pytest.mark.parametrize("in_file", [False, True], ids=["one value", "all of them"])
def test_nan_logits_are_reported_as_nan_and_nothing_is_drawn_from_them(
    tiny: Tiny, load: Load, in_file: bool
) -> None:
    bias = {token: float("nan") for token in range(200)} if in_file else None
    engine, binding = load(tiny(logit_bias=bias))
    if not in_file:
        binding.spoil = with_nan
    seq_id = engine.open(engine.tokenize(PROMPT))
    job = ExtendJob(
        seq_id=seq_id, tokens=ids("42"), log_probs=True, suffix=ids("?"), candidates=[[1], [2, 3]]
    )
    (result,) = engine.extend([job])
    assert result.log_probs is not None
    assert result.probe is not None
    assert np.isnan([*result.log_probs, *result.probe]).all()
    sound = engine.fork(seq_id)
    before = {one: engine.tokens(one) for one in (sound, seq_id)}
    binding.spoil = lambda row: row if len(binding.read) % 2 == 0 else with_nan(row)
    engine.start_steps([StepJob(one, 10, GREEDY) for one in before])
    with pytest.raises(DecodeError, match="not a number"):
        engine.decode_round()
    assert {one: engine.tokens(one) for one in before} == before
    check_cache(engine)


# Files ----------------------------------------------------------------------


def replace(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    assert len(old) == len(new)
    return lambda raw: raw.replace(old, new)


DAMAGED = [  # what else is wrong is found by the reader of headers, which has tests of its own
    pytest.param(lambda raw: raw[:60_000], id="cut in the tensors"),
    pytest.param(lambda raw: b"\0" * len(raw), id="zeros"),
]
UNUSABLE = [
    pytest.param(replace(b"qwen2.", b"qwenX."), id="parameters missing"),
    pytest.param(replace(b"blk.1.ffn_up", b"blk.1.ffn_ux"), id="tensor missing"),
    pytest.param(replace(b"tokenizer.ggml.merges", b"tokenizer.ggml.mergez"), id="no merges"),
    pytest.param(
        lambda raw: raw.replace(b"qwen2", b"qwenX"), id="architecture llama.cpp does not know"
    ),
]


def load_damaged(tiny: Tiny, tmp_path: Path, damage: Callable[[bytes], bytes]) -> ModelError:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damage(tiny().read_bytes()))
    started = time.monotonic()
    with pytest.raises(ModelError) as raised:
        load_plain(path)
    assert time.monotonic() - started < 2.0
    assert str(path) in str(raised.value)
    assert len(str(raised.value).splitlines()) <= 3
    return raised.value


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_named(
    tiny: Tiny, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    assert isinstance(load_damaged(tiny, tmp_path, damage), ModelDamagedError)


@pytest.mark.parametrize("damage", UNUSABLE)
def test_a_file_llama_cpp_refuses_is_named(
    tiny: Tiny, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    error = load_damaged(tiny, tmp_path, damage)
    assert isinstance(error, ModelUnusableError | ModelDamagedError)
    assert error.why, "llama.cpp's own words are missing"


# Silence --------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
from ssr_local.engine.base import EngineConfig, Sampling, StepJob, decode_steps
from ssr_local.engine.library_log import log_lines
from ssr_local.engine.loading import load_engine
from ssr_local.core.errors import ModelError

engine = load_engine(EngineConfig(path=sys.argv[1], name="quiet", num_cells=512))
seq_id = engine.open(engine.tokenize("What is the sum? " * 10))
list(decode_steps(engine, [StepJob(seq_id, 20, Sampling())]))
engine.clear()
engine.reserve(2000)
engine.close()
try:
    load_engine(EngineConfig(path=sys.argv[2], name="refused"))
except ModelError:
    Path(sys.argv[3]).write_text("\\n".join(log_lines))
"""


@needs_llama
def test_nothing_is_written_to_the_terminal(tiny: Tiny, tmp_path: Path) -> None:
    refused, log = tmp_path / "refused.gguf", tmp_path / "log.txt"
    refused.write_bytes(tiny().read_bytes().replace(b"blk.1.ffn_up", b"blk.1.ffn_ux"))
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tiny()), str(refused), str(log)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")
    assert "ffn_up" in log.read_text(), "llama.cpp's words went nowhere"
