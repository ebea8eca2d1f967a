"""The tests' tiny models are real to llama.cpp, and do what their writer promises."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path

import llama_cpp
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.tiny_gguf import (
    CHATML,
    TURN_END,
    Vocab,
    ids,
    token_id,
    token_texts,
    write_tiny_mamba,
    write_tiny_model,
)

PROMPT = "<|im_start|>user\nWhat is the sum of 12 and 30?<|im_end|>\n<|im_start|>assistant\n"
Writer = Callable[..., Path]


def write_llama(path: Path, **options: object) -> Path:
    return write_tiny_model(path, arch="llama", **options)  # type: ignore[arg-type]


WRITERS = [
    pytest.param(write_tiny_model, id="qwen2"),
    pytest.param(write_llama, id="llama"),
    pytest.param(write_tiny_mamba, id="mamba"),
]


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def discard(level: int, text: bytes, user_data: object) -> None:
    """Somebody else's log callback is put back when the module is done."""


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    before, user_data = llama_cpp.llama_log_callback(), ctypes.c_void_p()
    llama_cpp.llama_log_get(ctypes.byref(before), ctypes.byref(user_data))
    llama_cpp.llama_log_set(discard, ctypes.c_void_p(0))
    yield
    llama_cpp.llama_log_set(before, user_data)


class Loaded:
    """A model and one context of one sequence, by the low-level functions."""

    def __init__(self, path: Path) -> None:
        model_params = llama_cpp.llama_model_default_params()
        model_params.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), model_params)
        assert self.model, "llama.cpp refuses the file"
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_threads, params.n_threads_batch = 512, 1, 1
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        assert self.context
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.num_vocab = llama_cpp.llama_vocab_n_tokens(self.vocab)

    def close(self) -> None:
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)

    def tokenize(self, text: str) -> list[int]:
        raw, room = text.encode(), (llama_cpp.llama_token * 512)()
        count = llama_cpp.llama_tokenize(self.vocab, raw, len(raw), room, 512, True, True)
        return list(room[:count])

    def piece(self, token: int) -> bytes:
        room = ctypes.create_string_buffer(64)
        length = llama_cpp.llama_token_to_piece(self.vocab, token, room, 64, 0, True)
        return room.raw[:length]

    def logits(self, tokens: list[int], start: int) -> NDArray[np.float32]:
        """Logits after the last of ``tokens``, which go to the positions from ``start``."""
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for index, token in enumerate(tokens):
            batch.token[index], batch.pos[index] = token, start + index
            batch.n_seq_id[index], batch.seq_id[index][0] = 1, 0
            batch.logits[index] = index == len(tokens) - 1
        assert llama_cpp.llama_decode(self.context, batch) == 0
        llama_cpp.llama_batch_free(batch)
        row = llama_cpp.llama_get_logits_ith(self.context, -1)
        values: NDArray[np.float32] = np.ctypeslib.as_array(row, (self.num_vocab,)).copy()
        return values

    def greedy(self, prompt: str, num_tokens: int) -> list[int]:
        """Tokens decoded from an empty cache, the end-of-generation token included."""
        llama_cpp.llama_memory_clear(self.memory, True)
        tokens, position = self.tokenize(prompt), 0
        written: list[int] = []
        while len(written) < num_tokens:
            logits = self.logits(tokens, position)
            assert np.isfinite(logits).all()
            position += len(tokens)
            tokens = [int(logits.argmax())]
            written += tokens
            if llama_cpp.llama_vocab_is_eog(self.vocab, tokens[0]):
                break
        return written


@pytest.fixture
def load() -> Iterator[Callable[[Path], Loaded]]:
    opened: list[Loaded] = []

    def open_one(path: Path) -> Loaded:
        opened.append(Loaded(path))
        return opened[-1]

    yield open_one
    for loaded in opened:
        loaded.close()


def text_of(tokens: list[int], vocab: Vocab = "bytes-a") -> bytes:
    texts = token_texts(vocab)
    return b"".join(texts[token] for token in tokens)


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("vocab", ["bytes-a", "bytes-b"])
@pytest.mark.parametrize("seed", [0, 1])
def test_greedy_text_is_varied_and_repeatable(
    tmp_path: Path, load: Callable[[Path], Loaded], writer: Writer, vocab: Vocab, seed: int
) -> None:
    path = writer(tmp_path / "m.gguf", vocab=vocab, seed=seed)
    written = load(path).greedy(PROMPT, 100)
    assert len(written) == 100, "ended although ends of generation are rare"
    assert len(set(written)) >= 20
    assert len(set(written[-40:])) >= 8, "runs in a small circle"
    assert b"\n\n" in text_of(written, vocab)
    assert load(path).greedy(PROMPT, 100) == written


@pytest.mark.parametrize("writer", WRITERS)
def test_files_are_small_and_seeds_differ(
    tmp_path: Path, load: Callable[[Path], Loaded], writer: Writer
) -> None:
    first, second = (writer(tmp_path / f"{seed}.gguf", seed=seed) for seed in (0, 1))
    assert first.stat().st_size < 2_000_000
    assert load(first).greedy(PROMPT, 20) != load(second).greedy(PROMPT, 20)


@pytest.mark.parametrize(
    "options",
    [
        {"half": True},
        {"num_layers": 4, "embedding": 128, "heads": 8, "kv_heads": 8},
        {"num_layers": 1, "kv_heads": 1, "context": 512},
    ],
    ids=["half", "wider", "smaller"],
)
def test_other_shapes_load(
    tmp_path: Path, load: Callable[[Path], Loaded], options: dict[str, int]
) -> None:
    loaded = load(write_tiny_model(tmp_path / "m.gguf", **options))  # type: ignore[arg-type]
    assert len(set(loaded.greedy(PROMPT, 64))) >= 15
    assert llama_cpp.llama_model_n_ctx_train(loaded.model) == options.get("context", 2048)


@pytest.mark.parametrize("vocab", ["bytes-a", "bytes-b"])
def test_llama_cpp_sees_the_vocabulary_that_token_texts_tells(
    tmp_path: Path, load: Callable[[Path], Loaded], vocab: Vocab
) -> None:
    loaded = load(write_tiny_model(tmp_path / "m.gguf", vocab=vocab))
    assert [loaded.piece(token) for token in range(loaded.num_vocab)] == token_texts(vocab)
    end = token_id(TURN_END, vocab)
    assert llama_cpp.llama_vocab_is_eog(loaded.vocab, end)
    assert llama_cpp.llama_vocab_is_control(loaded.vocab, end)
    assert loaded.tokenize("<|im_end|>") == [end]
    for single in ("Yes", "No", "\n\n", "7"):
        assert loaded.tokenize(single) == [token_id(single, vocab)]
    assert loaded.tokenize("407") == ids("407", vocab)
    assert text_of(loaded.tokenize("is é the 你 and\n\n😀?"), vocab).decode() == (
        "is é the 你 and\n\n😀?"
    )


def test_the_two_vocabularies_differ() -> None:
    first, second = token_texts("bytes-a"), token_texts("bytes-b")
    assert len(set(first)) == len(first) != len(second) == len(set(second))
    assert token_id("7", "bytes-a") != token_id("7", "bytes-b")


@pytest.mark.parametrize("writer", WRITERS)
def test_logit_bias_moves_that_logit_alone(
    tmp_path: Path, load: Callable[[Path], Loaded], writer: Writer
) -> None:
    token = token_id("Yes")
    plain = load(writer(tmp_path / "plain.gguf"))
    biased = load(writer(tmp_path / "biased.gguf", logit_bias={token: 10.0}))
    prompt = plain.tokenize(PROMPT)
    moved = biased.logits(prompt, 0) - plain.logits(prompt, 0)
    assert moved[token] == pytest.approx(10.0, rel=0.1)
    moved[token] = 0.0
    assert np.abs(moved).max() < 1e-3


@pytest.mark.parametrize("scale", [1.0, 6.0])
@pytest.mark.parametrize("writer", WRITERS)
def test_scale_is_about_the_deviation_of_the_logits(
    tmp_path: Path, load: Callable[[Path], Loaded], writer: Writer, scale: float
) -> None:
    loaded = load(writer(tmp_path / "m.gguf", scale=scale))
    letters = ids("".join(chr(code) for code in range(33, 127)))
    deviation = loaded.logits(loaded.tokenize(PROMPT), 0)[letters].std()
    assert scale / 2 < deviation < scale * 2


@pytest.mark.parametrize("writer", WRITERS)
def test_chains_make_characters_that_span_tokens(
    tmp_path: Path, load: Callable[[Path], Loaded], writer: Writer
) -> None:
    characters = "é你😀"
    loaded = load(
        writer(
            tmp_path / "m.gguf",
            chains=[ids(c) for c in characters],
            logit_bias={ids(c)[0]: 10.0 for c in characters},
        )
    )
    written = loaded.greedy(PROMPT, 120)
    text = text_of(written).decode("utf-8", "replace")[:-1]
    assert "\ufffd" not in text
    assert sum(text.count(c) for c in characters) > 20
    assert set(characters) <= set(text)


@pytest.mark.parametrize("writer", WRITERS)
def test_chains_make_answers_that_end_the_text(
    tmp_path: Path, load: Callable[[Path], Loaded], writer: Writer
) -> None:
    start = ids("\\")[0]
    loaded = load(
        writer(
            tmp_path / "m.gguf",
            chains=[[*ids("\\boxed{42}."), token_id(TURN_END)]],
            logit_bias={start: 6.0},
        )
    )
    written = loaded.greedy(PROMPT, 300)
    assert text_of(written).endswith(b"boxed{42}.<|im_end|>")


def test_a_token_has_one_follower_and_links_have_channels() -> None:
    with pytest.raises(ValueError, match="two different"):
        write_tiny_model(Path("unwritten.gguf"), chains=[ids("ab"), ids("ac")])
    with pytest.raises(ValueError, match="wider"):
        write_tiny_model(Path("unwritten.gguf"), chains=[list(range(40))])


@pytest.mark.parametrize("template", [CHATML, None])
def test_the_chat_template_is_in_the_file(
    tmp_path: Path, load: Callable[[Path], Loaded], template: str | None
) -> None:
    loaded = load(write_tiny_model(tmp_path / "m.gguf", chat_template=template))
    found = llama_cpp.llama_model_chat_template(loaded.model, None)
    assert found == (template.encode() if template else None)


@pytest.mark.parametrize(
    ("writer", "recurrent"),
    [(write_tiny_model, False), (write_llama, False), (write_tiny_mamba, True)],
)
def test_only_the_recurrent_model_refuses_to_take_back_a_part(
    tmp_path: Path, load: Callable[[Path], Loaded], writer: Writer, recurrent: bool
) -> None:
    loaded = load(writer(tmp_path / "m.gguf"))
    loaded.logits(loaded.tokenize(PROMPT), 0)
    last = llama_cpp.llama_memory_seq_pos_max(loaded.memory, 0)
    assert llama_cpp.llama_model_is_recurrent(loaded.model) is recurrent
    assert llama_cpp.llama_memory_seq_rm(loaded.memory, 0, last, -1) is not recurrent
    assert llama_cpp.llama_memory_seq_rm(loaded.memory, 0, -1, -1)
