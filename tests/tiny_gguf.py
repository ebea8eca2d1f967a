"""Writes tiny GGUF models with random weights that the real llama.cpp loads and runs.

Weights come from a numpy seed; a file is below 2 MB and a decode call takes less than
a millisecond. What such a model writes can be steered without any mock:

- ``logit_bias`` adds a constant to tokens' logits. llama.cpp has an output bias for few
  architectures, so channel 0 of the residual stream is kept constant (large in the
  embeddings, never read or written by a layer, 1 after the final norm), and the output
  weights of that channel are the biases.
- ``chains`` are token sequences in which each token is nearly always followed by the next.
  Every link has a channel of its own that only its first token's embedding sets and only
  its second token's output weights read. ``chains=[ids("\\\\boxed{7}") + [end]]`` makes paths
  end with an answer; ``chains=[ids("é")]`` makes characters that span tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
from numpy.typing import NDArray

Arch = Literal["qwen2", "mamba"]
Vocab = Literal["bytes-a", "bytes-b", "pieces"]
Weights = NDArray[np.float32]

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

CHATML = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_SPECIALS = (END_OF_TEXT, TURN_START, TURN_END)
# Each pair of pieces makes one token, and stands after the pairs its pieces are made of.
_MERGES: dict[Vocab, tuple[tuple[str, str], ...]] = {
    "bytes-a": (
        ("\n", "\n"),
        ("h", "e"),
        (" ", "t"),
        (" t", "he"),
        ("Y", "e"),
        ("Ye", "s"),
        ("N", "o"),
    ),
    # A SentencePiece vocabulary, whose tokenizer puts a space before every text.
    "pieces": (
        ("Y", "e"),
        ("Ye", "s"),
        (" ", "Yes"),
        ("N", "o"),
        (" ", "t"),
        ("\n", "\n"),
    ),
    "bytes-b": (
        ("a", "n"),
        (" ", "an"),
        (" an", "d"),
        ("Y", "e"),
        ("Ye", "s"),
        ("N", "o"),
        ("o", "n"),
        ("i", "on"),
        ("\n", "\n"),
    ),
}
_EMBEDDING, _HEADS = 64, 4
_CONSTANT_CHANNEL = 0
_CONSTANT = 1024.0  # far above the other channels, so that the norm's divisor hardly moves
_LINK_LOGIT = 60.0  # above what random weights and sensible biases come to

# Found by trying: greedy text stays varied only when attention is sharp and weighs more than
# the last token's embedding; else it runs in circles of a dozen tokens.
_SHARPNESS = np.float32(3.0)  # of queries and of keys
_ATTENTION_GAIN, _FEED_FORWARD_GAIN, _STATE_GAIN = 4.0, 1.5, 12.0
_LAYER_GROWTH = 9.0  # about what a layer adds to the variance of the residual stream
_LOGITS_PER_SCALE = 1.5


def token_texts(vocab: Vocab = "bytes-a") -> list[bytes]:
    """The bytes of every token, by id; a special token's are its name."""
    bytes_in_order = [bytes([value]) for value in range(256)]
    merged = [(left + right).encode() for left, right in _MERGES[vocab]]
    specials = [name.encode() for name in _SPECIALS]
    if vocab == "pieces":
        return [*bytes_in_order, *(bytes([c]) for c in b" YesNot"), *merged, *specials]
    if vocab == "bytes-a":
        return bytes_in_order + merged + specials
    return merged[::-1] + bytes_in_order[::-1] + specials


def token_id(text: str | bytes, vocab: Vocab = "bytes-a") -> int:
    """The id of the token with exactly this text."""
    return token_texts(vocab).index(text.encode() if isinstance(text, str) else text)


def ids(text: str, vocab: Vocab = "bytes-a") -> list[int]:
    """One token for every byte of ``text``: no merges, no special tokens."""
    texts = token_texts(vocab)
    return [texts.index(bytes([value])) for value in text.encode()]


def write_tiny_model(
    path: Path,
    *,
    arch: Arch = "qwen2",
    vocab: Vocab = "bytes-a",
    seed: int = 0,
    num_layers: int = 2,
    kv_heads: int = 2,
    context: int = 2048,
    chat_template: str | None = CHATML,
    scale: float = 3.0,
    logit_bias: Mapping[int, float] | None = None,
    chains: Sequence[Sequence[int]] = (),
    name: str | None = None,
    split_tensors: int = 0,
) -> Path:
    """Write a model to ``path`` and return it; with ``split_tensors``, so many to a file, the
    first of its files.

    ``scale`` is about the standard deviation of the random logits; more of it makes sampled
    text closer to greedy. Unless ``logit_bias`` (token id -> logits added) says otherwise,
    newline pairs are a little likelier than the rest, special tokens next to never written,
    and neither are bytes that are not printable ASCII. llama.cpp refuses to take back a part
    of a sequence of ``mamba``, which is recurrent.
    """
    recurrent = arch == "mamba"
    growth = _LAYER_GROWTH * (1 if recurrent else num_layers)
    bias = _usual_bias(token_texts(vocab), scale) | dict(logit_bias or {})
    ends = _Ends(seed, growth, scale, bias, chains)
    writer = gguf.GGUFWriter(path, arch, split_max_tensors=split_tensors)
    writer.add_name(name or f"Tiny {arch} {seed}")
    writer.add_block_count(num_layers)
    writer.add_context_length(context)
    writer.add_embedding_length(_EMBEDDING)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(int(gguf.LlamaFileType.ALL_F32))
    tensors = ends.tensors(len(token_texts(vocab)))
    if recurrent:
        _add_mamba(writer)
    else:
        _add_transformer(writer, kv_heads)
    for layer in range(num_layers):
        if recurrent:
            tensors |= _mamba_block(ends, layer)
        else:
            tensors |= _transformer_block(ends, layer, _EMBEDDING // _HEADS * kv_heads)
    _add_tokenizer(writer, vocab, chat_template)
    return _write(writer, path, tensors)


def _usual_bias(texts: Sequence[bytes], scale: float) -> dict[int, float]:
    bias = {texts.index(name.encode()): -6.0 * scale for name in _SPECIALS}
    odd = [value for value in range(256) if not 32 <= value < 127]
    bias |= {texts.index(bytes([value])): -4.0 * scale for value in odd}
    bias[texts.index(b"\n\n")] = 0.75 * scale
    return bias


def _add_transformer(writer: Any, kv_heads: int) -> None:
    writer.add_feed_forward_length(2 * _EMBEDDING)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_dimension_count(_EMBEDDING // _HEADS)
    writer.add_rope_freq_base(10_000.0)


def _transformer_block(ends: _Ends, layer: int, width_kv: int) -> dict[str, Weights]:
    block, read, write = f"blk.{layer}.", ends.reading, ends.writing
    return {
        f"{block}attn_norm.weight": ends.norm(layer * _LAYER_GROWTH),
        f"{block}attn_q.weight": _SHARPNESS * read(_EMBEDDING),
        f"{block}attn_k.weight": _SHARPNESS * read(width_kv),
        f"{block}attn_v.weight": read(width_kv),
        f"{block}attn_output.weight": write(_EMBEDDING, _ATTENTION_GAIN),
        f"{block}ffn_norm.weight": ends.norm((layer + 1) * _LAYER_GROWTH),
        f"{block}ffn_gate.weight": read(2 * _EMBEDDING),
        f"{block}ffn_up.weight": read(2 * _EMBEDDING),
        f"{block}ffn_down.weight": write(2 * _EMBEDDING, _FEED_FORWARD_GAIN),
        f"{block}attn_q.bias": ends.vector(_EMBEDDING),
        f"{block}attn_k.bias": ends.vector(width_kv),
        f"{block}attn_v.bias": ends.vector(width_kv),
    }


_STATE, _RANK, _KERNEL = 16, 4, 4


def _add_mamba(writer: Any) -> None:
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_ssm_conv_kernel(_KERNEL)
    writer.add_ssm_inner_size(2 * _EMBEDDING)
    writer.add_ssm_state_size(_STATE)
    writer.add_ssm_time_step_rank(_RANK)


def _mamba_block(ends: _Ends, layer: int) -> dict[str, Weights]:
    block, inner = f"blk.{layer}.", 2 * _EMBEDDING
    return {
        # The state is cubic in its input: later layers read faintly, or it all explodes.
        f"{block}attn_norm.weight": ends.norm(30.0 * layer * _LAYER_GROWTH),
        f"{block}ssm_in.weight": ends.reading(2 * inner),
        f"{block}ssm_conv1d.weight": ends.matrix(inner, _KERNEL),
        f"{block}ssm_conv1d.bias": ends.vector(inner),
        f"{block}ssm_x.weight": ends.matrix(_RANK + 2 * _STATE, inner),
        f"{block}ssm_dt.weight": ends.matrix(inner, _RANK),
        f"{block}ssm_dt.bias": ends.vector(inner) - 2.0,
        f"{block}ssm_a": -np.tile(np.arange(1, _STATE + 1, dtype=np.float32), (inner, 1)),
        f"{block}ssm_d": np.ones(inner, np.float32),
        f"{block}ssm_out.weight": ends.writing(inner, _STATE_GAIN),
    }


class _Ends:
    """Both ends of the residual stream, and random weights that keep off reserved channels."""

    def __init__(
        self,
        seed: int,
        growth: float,
        scale: float,
        bias: Mapping[int, float],
        chains: Sequence[Sequence[int]],
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._growth, self._scale = growth, scale
        self._bias, self._links = bias, _links(chains)
        self._num_reserved = 1 + len(self._links)
        assert self._num_reserved <= _EMBEDDING // 2, "links need a wider embedding"

    def tensors(self, num_tokens: int) -> dict[str, Weights]:
        """Embeddings, final norm and output weights."""
        free = _EMBEDDING - self._num_reserved
        embeddings = self._normal(num_tokens, _EMBEDDING)
        output = self._normal(num_tokens, _EMBEDDING)
        output = output * self._scale / _LOGITS_PER_SCALE / np.sqrt(free)
        embeddings[:, : self._num_reserved] = 0.0
        output[:, : self._num_reserved] = 0.0
        embeddings[:, _CONSTANT_CHANNEL] = _CONSTANT
        for token, value in self._bias.items():
            output[token, _CONSTANT_CHANNEL] = value
        for channel, (token, following) in enumerate(self._links.items(), start=1):
            embeddings[token, channel] = 1.0
            output[following, channel] = _LINK_LOGIT
        after_norm = self.norm(self._growth)
        after_norm[: self._num_reserved] = _CONSTANT / np.sqrt(_EMBEDDING)
        after_norm[_CONSTANT_CHANNEL] = 1.0 / np.sqrt(_EMBEDDING)
        return {
            "token_embd.weight": embeddings,
            "output_norm.weight": after_norm,
            "output.weight": output.astype(np.float32),
        }

    def norm(self, growth: float) -> Weights:
        """A norm after so many writes: brings free channels to about 1, hides the others."""
        about = np.sqrt(1.0 + growth)
        weights = np.full(_EMBEDDING, _CONSTANT / np.sqrt(_EMBEDDING) / about, np.float32)
        weights[: self._num_reserved] = 0.0
        return weights

    def matrix(self, rows: int, columns: int) -> Weights:
        weights: Weights = self._normal(rows, columns) * np.float32(columns**-0.5)
        return weights

    def vector(self, length: int) -> Weights:
        weights: Weights = np.float32(0.1) * self._normal(1, length)[0]
        return weights

    def reading(self, rows: int) -> Weights:
        """Residual stream -> ``rows``."""
        return self.matrix(rows, _EMBEDDING)

    def writing(self, columns: int, gain: float) -> Weights:
        """``columns`` -> residual stream, reserved channels left alone."""
        weights: Weights = np.float32(gain) * self.matrix(_EMBEDDING, columns)
        weights[: self._num_reserved] = 0.0
        return weights

    def _normal(self, rows: int, columns: int) -> Weights:
        return self._random.standard_normal((rows, columns), dtype=np.float32)


def _links(chains: Sequence[Sequence[int]]) -> dict[int, int]:
    links: dict[int, int] = {}
    for chain in chains:
        for token, following in pairwise(chain):
            assert links.setdefault(token, following) == following, "a token has one follower"
    return links


def _add_tokenizer(writer: Any, vocab: Vocab, chat_template: str | None) -> None:
    texts = token_texts(vocab)
    specials = [texts.index(name.encode()) for name in _SPECIALS]
    end_of_text, _, turn_end = specials
    if vocab == "pieces":
        _add_pieces(writer, texts, specials)
    else:
        _add_merges(writer, vocab, texts, specials)
    writer.add_bos_token_id(end_of_text)
    writer.add_eos_token_id(turn_end)
    writer.add_eot_token_id(turn_end)
    writer.add_pad_token_id(end_of_text)
    writer.add_add_bos_token(False)
    if chat_template is not None:
        writer.add_chat_template(chat_template)


def _add_pieces(writer: Any, texts: Sequence[bytes], specials: Sequence[int]) -> None:
    tokens, types = [], []
    for index, text in enumerate(texts):
        if index < 256:
            tokens.append(f"<0x{index:02X}>")
            types.append(int(gguf.TokenType.BYTE))
        else:
            tokens.append(text.decode().replace(" ", "\u2581"))
            is_special = index in specials
            types.append(int(gguf.TokenType.CONTROL if is_special else gguf.TokenType.NORMAL))
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([float(len(text)) for text in texts])
    writer.add_token_types(types)


def _add_merges(writer: Any, vocab: Vocab, texts: Sequence[bytes], specials: Sequence[int]) -> None:
    tokens = [
        text.decode() if index in specials else _in_gpt2_letters(text)
        for index, text in enumerate(texts)
    ]
    control, normal = int(gguf.TokenType.CONTROL), int(gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2" if vocab == "bytes-a" else "gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([control if i in specials else normal for i in range(len(tokens))])
    writer.add_token_merges(
        [" ".join(_in_gpt2_letters(part.encode()) for part in pair) for pair in _MERGES[vocab]]
    )


def _gpt2_letters() -> list[str]:
    """The printable letter in which byte-level tokenizers store each byte."""
    letters, num_moved = [], 0
    for value in range(256):
        if 33 <= value <= 126 or 161 <= value <= 172 or value >= 174:
            letters.append(chr(value))
        else:
            letters.append(chr(256 + num_moved))
            num_moved += 1
    return letters


_LETTERS = _gpt2_letters()


def _in_gpt2_letters(raw: bytes) -> str:
    return "".join(_LETTERS[value] for value in raw)


def _write(writer: Any, path: Path, tensors: Mapping[str, Weights]) -> Path:
    for tensor_name, weights in tensors.items():
        writer.add_tensor(tensor_name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path if path.exists() else min(path.parent.glob(f"{path.stem}-00001-of-*.gguf"))
