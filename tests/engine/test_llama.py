"""What only the llama engine has: logits, draws, characters that span tokens, cells."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssr_local.core.options import EngineOptions
from ssr_local.engine import binding as binding_module
from ssr_local.engine import choice
from ssr_local.engine.base import Engine, ExtendJob, Sampling, StepJob, decode_steps
from ssr_local.engine.hardware import Memory
from ssr_local.engine.log_probs import log_probabilities
from tests import tiny_gguf
from tests.engine.conftest import Load, Tiny
from tests.engine.harness import (
    GREEDY,
    LIBRARIES,
    check_cache,
    load_plain,
    log_softmax,
    next_log_probs,
    write,
    write_together,
)
from tests.engine.kits import BEFORE_BLANK, CHAINS, PROMPT
from tests.tiny_gguf import ids, token_id, write_tiny_model

LONG = PROMPT * 5


def text_of(engine: Engine, binding: object, seq_id: int, start: int = 0) -> bytes:
    """A sequence's bytes as the binding tells them."""
    return b"".join(binding.piece(token) for token in engine.tokens(seq_id, start))  # type: ignore[attr-defined]


# Log-probabilities ----------------------------------------------------------


def test_log_probs_are_the_softmax_of_the_raw_logits(tiny: Tiny, load: Load) -> None:
    engine, binding = load(tiny())
    seq_id = engine.open(engine.tokenize(PROMPT))
    tokens = engine.tokenize("The sum is 42, and so on and on it goes.\n\nBut why?")
    assert len(tokens) > binding_module.NUM_OUTPUTS, "the rows are read over several calls"
    (result,) = engine.extend([ExtendJob(seq_id=seq_id, tokens=tokens, log_probs=True)])
    expected = [log_softmax(row)[t] for row, t in zip(binding.read, tokens, strict=True)]
    assert result.log_probs == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(0.9, 0.95, 3)])
def test_what_is_decoded_says_how_likely_it_was(tiny: Tiny, load: Load, sampling: Sampling) -> None:
    engine, _ = load(tiny())
    seq_id = engine.open(engine.tokenize(PROMPT))
    again, start = engine.fork(seq_id), engine.num_tokens(seq_id)
    deltas = list(decode_steps(engine, [StepJob(seq_id, 40, sampling)]))
    told = [log_prob for delta in deltas for log_prob in delta.log_probs]
    assert len(told) == sum(delta.num_tokens for delta in deltas)
    tokens = engine.tokens(seq_id, start)
    (read,) = engine.extend([ExtendJob(seq_id=again, tokens=tokens, log_probs=True)])
    assert read.log_probs is not None
    # The last may be a token that ends the step and does not stay, or was cut.
    num_same = len(tokens) if deltas[-1].end == "token_limit" else len(tokens) - 1
    assert num_same > 0
    assert told[:num_same] == pytest.approx(read.log_probs[:num_same], abs=1e-3)


def test_a_fused_probe_equals_extending_first(tiny: Tiny, load: Load) -> None:
    engine, _ = load(tiny())
    fused = engine.open(engine.tokenize(PROMPT))
    apart = engine.fork(fused)
    tokens, suffix = engine.tokenize("So it is 42.\n\n"), engine.tokenize("Right? Yes or No:")
    words = [engine.tokenize("Yes"), engine.tokenize("No")]
    (both,) = engine.extend(
        [ExtendJob(seq_id=fused, tokens=tokens, log_probs=True, suffix=suffix, candidates=words)]
    )
    (first,) = engine.extend([ExtendJob(seq_id=apart, tokens=tokens, log_probs=True)])
    (second,) = engine.extend([ExtendJob(seq_id=apart, suffix=suffix, candidates=words)])
    assert both.log_probs == pytest.approx(first.log_probs, abs=1e-4)
    assert both.probe == pytest.approx(second.probe, abs=1e-4)
    check_cache(engine)
    assert write(engine, fused, 30) == write(engine, apart, 30)


def test_a_probe_reads_the_next_position(tiny: Tiny, load: Load) -> None:
    engine, _ = load(tiny())
    seq_id = engine.open(engine.tokenize(PROMPT))
    whole = engine.open(engine.tokenize(PROMPT + "Right?"))
    job = ExtendJob(seq_id=seq_id, suffix=engine.tokenize("Right?"), candidates=[[65], [66, 67]])
    (result,) = engine.extend([job])
    expected = next_log_probs(engine, whole, engine.info.num_vocab)
    assert result.probe == pytest.approx(
        [expected[65], np.logaddexp(expected[66], expected[67])], abs=1e-4
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([0.0, 0.0, 0.0, 0.0], math.log(0.25)),
        ([800.0, -800.0, -800.0, -800.0], 0.0),
        ([-math.inf, 0.0, 0.0, -math.inf], -math.inf),
        ([0.0, math.nan, 0.0, 0.0], math.nan),
        ([math.inf, 0.0, 0.0, 0.0], math.nan),
        ([-math.inf] * 4, math.nan),
    ],
)
def test_log_probabilities_of_odd_rows(row: list[float], expected: float) -> None:
    with np.errstate(all="raise", under="ignore"):
        (value,) = log_probabilities(np.array(row, np.float32), [[0]])
    assert value == pytest.approx(expected, nan_ok=True)


def test_logits_are_computed_only_where_they_are_read(tiny: Tiny, load: Load) -> None:
    engine, binding = load(tiny())
    first = engine.open(engine.tokenize(LONG))
    second = engine.fork(first)
    engine.extend([ExtendJob(seq_id=second, tokens=engine.tokenize(LONG))])
    assert binding.num_logits == 0, "a plain prefill reads nothing"
    engine.extend([ExtendJob(seq_id=first, tokens=ids("12345"), log_probs=True)])
    assert binding.num_logits == len(binding.read) == 5
    probe = ExtendJob(seq_id=first, tokens=ids("678"), suffix=ids("Right?"), candidates=[[1]])
    engine.extend([probe])
    assert binding.num_logits == 6
    write_together(engine, [first, second], 1)
    assert binding.num_logits == 8
    assert len(binding.calls[-1]) == 2, "one call, one row for each path"


# Sampling -------------------------------------------------------------------


def test_a_paths_draws_go_on_from_step_to_step(tiny: Tiny, load: Load) -> None:
    engine, _ = load(tiny(scale=1.0))
    sampling = Sampling(1.0, 1.0, 4)
    seq_id = engine.open(engine.tokenize(PROMPT))
    start, drafts = engine.num_tokens(seq_id), set()
    for _ in range(4):
        drafts.add(write_together(engine, [seq_id], 8, sampling)[seq_id])
        engine.truncate(seq_id, start)
    assert len(drafts) == 4, "a rejected draft is drawn again just as it was"


# Text -----------------------------------------------------------------------


def spread(load: Load, tiny: Tiny) -> tuple[Engine, object]:
    """A model that writes characters of several tokens again and again."""
    characters = "é你😀"
    path = tiny(
        chains=tuple(tuple(ids(c)) for c in characters),
        logit_bias={ids(c)[0]: 10.0 for c in characters},
    )
    return load(path)


def test_the_token_limit_completes_a_character(tiny: Tiny, load: Load) -> None:
    engine, binding = spread(load, tiny)
    overruns, waited = set(), False
    for limit in (*range(1, 16), 120):
        seq_id = engine.open(engine.tokenize(PROMPT))
        start = engine.num_tokens(seq_id)
        deltas = list(decode_steps(engine, [StepJob(seq_id, limit, GREEDY)]))
        text = "".join(delta.text for delta in deltas)
        assert "\ufffd" not in text
        assert text.encode() == text_of(engine, binding, seq_id, start)
        waited |= any(not delta.text and delta.end is None for delta in deltas)
        overruns.add(len(deltas) - limit)
        engine.release(seq_id)
    assert {0, 1} <= overruns <= {0, 1, 2, 3}
    assert waited, "a character arrives whole"
    assert set("é你😀") <= set(text)


def test_bytes_that_are_no_text_do_not_hold_a_step_up(tiny: Tiny, load: Load) -> None:
    start = ids("😀")[0]
    engine, _ = load(tiny(chains=((start, start),), logit_bias={start: 30.0}))
    seq_id = engine.open(engine.tokenize(PROMPT))
    text = write_together(engine, [seq_id], 10)[seq_id]
    assert set(text) == {"\ufffd"}
    assert engine.num_tokens(seq_id) - len(engine.tokenize(PROMPT)) <= 14


CUTS = [
    # what two tokens are made to stand for, the step they make, which of them are kept, and
    # the text that takes the place of the rest
    pytest.param(b".", b"\n\nX", ".\n\n", ".", "\n\n", id="after the blank line"),
    pytest.param(b".", b"\n \n\n\n", ".\n \n", ".", "\n \n", id="more blank lines"),
    pytest.param(b".\n", b"\nX", ".\n\n", ".", "\n", id="second newline"),
    pytest.param(b"\xc3", b"\xa9\n\nX", "é\n\n", "", "é\n\n", id="inside a character"),
    pytest.param(b"\xc3", b"\xa9.\n\n\xc3", "é.\n\n", "", "é.\n\n", id="character begun"),
    pytest.param(b"o\xf0\x9f", b"\x98\x80\n\n\n", "o😀\n\n", "", "o😀\n\n", id="long one"),
    pytest.param(b".", b"\n\n", ".\n\n", ".^", "", id="at a token's end"),
]


@pytest.mark.parametrize(("first", "second", "step", "kept", "rest"), CUTS)
def test_a_step_that_ends_inside_a_token(
    tiny: Tiny, load: Load, first: bytes, second: bytes, step: str, kept: str, rest: str
) -> None:
    path = tiny(chains=(tuple(ids("|.^")),))
    engine, binding = load(path)
    binding.pieces = {ids(".")[0]: first, ids("^")[0]: second}
    prompt = engine.tokenize(BEFORE_BLANK)
    other, seq_id = engine.open(prompt), engine.open(prompt)
    assert write_together(engine, [seq_id, other], 20) == {seq_id: step, other: step}
    check_cache(engine)
    assert engine.tokens(seq_id) == [*prompt, *ids(kept), *engine.tokenize(rest)]
    fresh, fresh_binding = load(path)
    fresh_binding.pieces = binding.pieces
    again = fresh.open(engine.tokens(seq_id))
    assert write(engine, seq_id, 30)[1] == write(fresh, again, 30)[1]


def test_a_long_token_is_read_whole(
    tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    merges = (("\n", "\n"), *(("x" * 2**power,) * 2 for power in range(7)))
    monkeypatch.setitem(tiny_gguf._MERGES, "bytes-c", merges)  # type: ignore[misc]
    _, binding = load(write_tiny_model(tmp_path / "c.gguf", vocab="bytes-c"))  # type: ignore[arg-type]
    assert binding.piece(token_id("x" * 128, "bytes-c")) == b"x" * 128  # type: ignore[arg-type]


def test_fingerprints_tell_vocabularies_apart(tiny: Tiny, load: Load) -> None:
    plain, seeded, other = (
        load(tiny(**options))[0].vocabulary
        for options in ({}, {"seed": 1, "num_layers": 1}, {"vocab": "bytes-b"})
    )
    assert plain.fingerprint == seeded.fingerprint != other.fingerprint
    assert "<|im_start|>" in plain.special_texts
    assert (plain.eos_text, plain.add_bos) == ("<|im_end|>", False)


def test_control_tokens_are_read_only_where_asked_for(tiny: Tiny, load: Load) -> None:
    engine, _ = load(tiny())
    end = token_id("<|im_end|>")
    assert engine.tokenize("a<|im_end|>", special=True) == [*ids("a"), end]
    assert end not in engine.tokenize("a<|im_end|>")


@pytest.mark.parametrize("vocab", ["bytes-a", "bytes-b", "pieces"])
@pytest.mark.parametrize("text", ["5", " 5", "5 + 5", "Yes", " the\n\n", "\n\n", "", "é→", "\x01a"])
def test_a_text_goes_on_where_another_ended(tiny: Tiny, load: Load, vocab: str, text: str) -> None:
    engine, binding = load(tiny(vocab=vocab))
    tokens = engine.tokenize(text)
    assert b"".join(map(binding.piece, tokens)) == text.encode(), "no space is put before it"


# Room -----------------------------------------------------------------------


def test_the_models_own_context_bounds_a_sequence(tiny: Tiny, load: Load) -> None:
    engine, _ = load(tiny(context=300, chains=CHAINS), num_cells=1024)
    assert (engine.max_tokens, engine.info.num_ctx) == (300, 1024)
    seq_id = engine.open(ids("x" * 290))
    (result,) = engine.extend([ExtendJob(seq_id=seq_id, tokens=ids("y" * 11))])
    assert result.no_room == "context_full"
    other = engine.open(ids("x" * 290))
    text, tokens = write(engine, seq_id, 50)
    assert engine.num_tokens(seq_id) == 300
    assert len(tokens) == 10
    (last,) = decode_steps(engine, [StepJob(seq_id, 5, GREEDY)])
    assert (last.end, last.text) == ("context_full", "")
    check_cache(engine)
    assert write(engine, other, 50) == (text, tokens), "the other has its own context"


def test_the_cache_grows_as_far_as_memory_allows(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny(context=8192)
    engine = load_plain(path, num_cells=512)
    spare = binding_module._SPARE_BYTES
    room = engine.info.kv_bytes  # beside the present cache: twice as much in all
    monkeypatch.setattr(binding_module, "memory", lambda: Memory(spare + room, spare + room))
    engine.reserve(4096)
    assert engine.info.num_ctx == 1024
    (note,) = engine.notes
    assert "4096 cells does not fit into memory, 1024 are used" in note
    engine.close()


def test_a_cache_that_does_not_fit_takes_layers_off_the_gpu(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load_plain(tiny(context=8192), num_cells=512)
    engine._binding.gpu_layers = 2  # type: ignore[attr-defined]  # no GPU here: as if there were
    kind = type(engine._binding)
    real = kind._new_context

    def fits(self: Any, num_cells: int) -> object:
        return None if num_cells > 512 and self.gpu_layers > 1 else real(self, num_cells)

    monkeypatch.setattr(kind, "_new_context", fits)
    engine.reserve(2048)
    assert engine.info.num_ctx == 2048
    assert any("1 layers on the GPU instead of 2" in note for note in engine.notes)
    assert write(engine, engine.open(engine.tokenize(PROMPT)), 5)[1]
    engine.close()


@pytest.mark.parametrize(
    ("num_cells", "max_cells", "asked", "before", "after"),
    [
        (512, None, 1500, 512, 1536),
        (512, None, 400, 512, 512),
        (512, 1024, 5000, 512, 1024),
        (1024, 1024, 5000, 1024, 1024),
        (4096, 512, 600, 512, 512),
    ],
)
@pytest.mark.parametrize("library", LIBRARIES)
def test_the_cache_grows_as_far_as_it_may(
    tiny: Tiny,
    library: str,
    num_cells: int,
    max_cells: int | None,
    asked: int,
    before: int,
    after: int,
) -> None:
    engine = load_plain(
        tiny(context=8192), engine=library, num_cells=num_cells, max_cells=max_cells
    )
    assert engine.max_tokens == engine.info.num_ctx == before
    kv_bytes = engine.info.kv_bytes
    expected = write(engine, engine.open(engine.tokenize(PROMPT)), 40)
    engine.clear()
    engine.reserve(asked)
    assert engine.max_tokens == engine.info.num_ctx == after
    assert engine.info.kv_bytes == kv_bytes * after // before
    assert write(engine, engine.open(engine.tokenize(PROMPT)), 40) == expected
    engine.clear()
    engine.open(ids("x" * (after - 1)))
    check_cache(engine)
    engine.close()


@pytest.mark.parametrize(("layers", "asks"), [(0, False), (-1, True)])
def test_a_model_for_the_cpu_keeps_off_the_gpu(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, layers: int, asks: bool
) -> None:
    """llama.cpp would send large batches there, and asking for its memory takes some of it."""
    llama = pytest.importorskip("ssr_local.engine.llama", reason="needs the extra llama")
    given, asked = [], []
    real, devices = llama.LlamaBinding._load_model, llama.devices

    def load(self: Any, parameters: Any) -> bool:
        given.append(parameters.devices)
        return real(self, parameters)

    monkeypatch.setattr(llama.LlamaBinding, "_load_model", load)
    monkeypatch.setattr(llama, "devices", lambda: asked.append(1) or devices())
    load_plain(tiny(), gpu_layers=layers).close()
    assert all(given), "an empty list, not none: no GPU is here"
    assert bool(asked) == asks
    monkeypatch.setattr(choice, "devices", lambda: asked.append(2) or ())
    choice.choose_engine(tiny(), None, EngineOptions(gpu_layers=layers, engine="llama"))
    assert (2 in asked) == asks
