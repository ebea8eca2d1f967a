"""The tests' tiny models do what their writer promises, as the real llama.cpp sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.conftest import Tiny
from tests.engine.harness import load_plain, write
from tests.tiny_gguf import (
    Vocab,
    token_texts,
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
