"""The tests' tiny models do what their writer promises, as the real llama.cpp sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssr_local.models.gguf.header import read_header
from tests.engine.conftest import Load, Tiny
from tests.engine.harness import load_plain, next_log_probs, write
from tests.tiny_gguf import (
    CHATML,
    TURN_END,
    Vocab,
    ids,
    token_id,
    token_texts,
    write_tiny_model,
)

PROMPT = "<|im_start|>user\nWhat is the sum of 12 and 30?<|im_end|>\n<|im_start|>assistant\n"
every_arch = pytest.mark.parametrize("arch", ["qwen2", "llama", "mamba"])


def greedy(path: Path, num_tokens: int) -> list[int]:
    """Tokens written after the prompt."""
    engine = load_plain(path, num_cells=512)
    prompt = engine.open(engine.tokenize(PROMPT, special=True))
    written = write(engine, prompt, num_tokens)[1]
    engine.close()
    return written


def text_of(tokens: list[int], vocab: Vocab = "bytes-a") -> bytes:
    texts = token_texts(vocab)
    return b"".join(texts[token] for token in tokens)


@every_arch
@pytest.mark.parametrize("vocab", ["bytes-a", "bytes-b"])
def test_greedy_text_is_varied_and_repeatable(tiny: Tiny, arch: str, vocab: Vocab) -> None:
    paths = [tiny(arch=arch, vocab=vocab, seed=seed) for seed in (0, 1)]
    first, second = (greedy(path, 100) for path in paths)
    for written in (first, second):
        assert len(written) == 100, "ended although ends of generation are rare"
        assert len(set(written)) >= 20
        assert len(set(written[-40:])) >= 8, "runs in a small circle"
        assert b"\n\n" in text_of(written, vocab)
    assert first != second, "another seed, another text"
    assert greedy(paths[0], 100) == first
    assert paths[0].stat().st_size < 2_000_000


@pytest.mark.parametrize(
    "options",
    [
        {"half": True},
        {"num_layers": 4, "embedding": 128, "heads": 8, "kv_heads": 8},
        {"num_layers": 1, "kv_heads": 1, "context": 512},
    ],
    ids=["half", "wider", "smaller"],
)
def test_other_shapes_load(tiny: Tiny, load: Load, options: dict[str, Any]) -> None:
    path = tiny(**options)
    assert len(set(greedy(path, 64))) >= 15
    assert load(path)[0].context_length == options.get("context", 2048)


@pytest.mark.parametrize("vocab", ["bytes-a", "bytes-b"])
def test_llama_cpp_sees_the_vocabulary_that_token_texts_tells(
    tiny: Tiny, load: Load, vocab: Vocab
) -> None:
    engine, binding = load(tiny(vocab=vocab))
    *plain, _, _, _ = texts = token_texts(vocab)
    assert engine.info.num_vocab == len(texts)
    assert engine.pieces(range(len(plain))) == plain
    assert engine.vocabulary.special_texts == tuple(text.decode() for text in texts[-3:])
    end = token_id(TURN_END, vocab)
    assert binding.is_end(end)
    assert engine.tokenize("<|im_end|>", special=True) == [end]
    for single in ("Yes", "No", "\n\n", "7"):
        assert engine.tokenize(single) == [token_id(single, vocab)]
    assert engine.tokenize("407") == ids("407", vocab)
    text = "is é the 你 and\n\n😀?"
    assert text_of(engine.tokenize(text), vocab).decode() == text


def test_the_two_vocabularies_differ() -> None:
    first, second = token_texts("bytes-a"), token_texts("bytes-b")
    assert len(set(first)) == len(first) != len(second) == len(set(second))
    assert token_id("7", "bytes-a") != token_id("7", "bytes-b")


@every_arch
def test_logit_bias_moves_that_logit_alone(tiny: Tiny, load: Load, arch: str) -> None:
    token, rows = token_id("Yes"), []
    for bias in (None, {token: 10.0}):
        engine, _ = load(tiny(arch=arch, logit_bias=bias))
        seq_id = engine.open(engine.tokenize(PROMPT))
        rows.append(next_log_probs(engine, seq_id, engine.info.num_vocab))
    moved = rows[1] - rows[0]
    others = np.delete(moved, token)
    assert moved[token] - others.mean() == pytest.approx(10.0, rel=0.1)
    assert np.ptp(others) < 1e-3


@pytest.mark.parametrize("scale", [1.0, 6.0])
@every_arch
def test_scale_is_about_the_deviation_of_the_logits(
    tiny: Tiny, load: Load, arch: str, scale: float
) -> None:
    engine, _ = load(tiny(arch=arch, scale=scale))
    seq_id = engine.open(engine.tokenize(PROMPT, special=True))
    letters = ids("".join(chr(code) for code in range(33, 127)))
    deviation = next_log_probs(engine, seq_id, engine.info.num_vocab)[letters].std()
    assert scale / 2 < deviation < scale * 2


@every_arch
def test_chains_make_characters_that_span_tokens(tiny: Tiny, arch: str) -> None:
    characters = "é你😀"
    path = tiny(
        arch=arch,
        chains=tuple(tuple(ids(c)) for c in characters),
        logit_bias={ids(c)[0]: 10.0 for c in characters},
    )
    text = text_of(greedy(path, 120)).decode("utf-8", "replace")[:-1]
    assert "\ufffd" not in text
    assert sum(text.count(c) for c in characters) > 20
    assert set(characters) <= set(text)


@every_arch
def test_chains_make_answers_that_end_the_text(tiny: Tiny, arch: str) -> None:
    chain = (*ids("\\boxed{42}."), token_id(TURN_END))
    path = tiny(arch=arch, chains=(chain,), logit_bias={ids("\\")[0]: 6.0})
    assert text_of(greedy(path, 300)).endswith(b"boxed{42}.")


def test_a_token_has_one_follower_and_links_have_channels() -> None:
    with pytest.raises(ValueError, match="two different"):
        write_tiny_model(Path("unwritten.gguf"), chains=[ids("ab"), ids("ac")])
    with pytest.raises(ValueError, match="wider"):
        write_tiny_model(Path("unwritten.gguf"), chains=[list(range(40))])


@pytest.mark.parametrize("template", [CHATML, None])
def test_the_chat_template_is_in_the_file(tiny: Tiny, load: Load, template: str | None) -> None:
    path = tiny(chat_template=template)
    assert load(path)[0].chat_template == read_header(path).chat_template == template
