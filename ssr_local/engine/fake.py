"""A scripted engine: the whole protocol without a model.

It ships, because the app's demonstration and everybody's tests use it. Tokens are words,
and a token's id is its word's bytes after a mark of the vocabulary, so that two engines of
one vocabulary can exchange ids. What a sequence continues with, and what a probe reads,
comes from a script.
"""

from __future__ import annotations

import math
import re
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from ssr_local.core.errors import DecodeError
from ssr_local.core.records import ModelInfo, ModelRole, ModelUsage
from ssr_local.engine.base import (
    SEQUENCES,
    Cancelled,
    Delta,
    Extended,
    ExtendJob,
    NoRoom,
    StepJob,
    Vocabulary,
)
from ssr_local.engine.kv_cache import KVCacheAllocator
from ssr_local.method.steps import StepSplitter

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_WORDS = re.compile(r"<\|\w+\|>|\n|[^\S\n]+|\w+|[^\w\s]")
_SPECIAL = ("<|im_start|>", "<|im_end|>")
_LIKELIHOOD = -0.1


class Script(Protocol):
    """What a scripted model says.

    ``text`` is always the whole sequence, prompt included. Scripts derive from this class.
    """

    def continuation(self, role: ModelRole, text: str) -> str:
        """Everything still to come after ``text``; empty: the model ends there."""

    def probe(self, text: str) -> Mapping[str, float]:
        """Probabilities of the words that could follow a question."""

    def likelihood(self, text: str) -> float:
        """The log-probability, in nats, of every token just put at the end of ``text``."""
        return _LIKELIHOOD


class FakeEngine:
    """The engine protocol over a script. ``history`` lists every call, oldest first.

    ``num_cells`` bounds the KV cache as on a real engine; ``token_s`` is how long a decode
    round takes; ``vocabulary_name`` tells vocabularies apart.
    """

    def __init__(
        self,
        script: Script,
        *,
        role: ModelRole = "draft",
        name: str = "",
        num_cells: int = 65_536,
        max_sequences: int = SEQUENCES,
        num_parameters: int = 1_000_000,
        vocabulary_name: str = "words",
        token_s: float = 0.0,
        notes: tuple[str, ...] = (),
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.history: list[tuple[str, Any]] = []
        self.max_sequences = max_sequences
        self.num_threads = 0
        self.context_length = self.max_tokens = num_cells
        self.chat_template: str | None = CHATML
        self.notes = notes
        self.info = ModelInfo(
            name=name or f"fake-{role}",
            file="",
            sha256=None,
            num_parameters=num_parameters,
            num_vocab=0,
            num_ctx=num_cells,
            device="script",
        )
        self.vocabulary = Vocabulary(
            fingerprint=vocabulary_name,
            num_tokens=0,
            bos_text="",
            eos_text="<|im_end|>",
            add_bos=False,
            special_texts=_SPECIAL,
        )
        self._script, self._role = script, role
        self._token_s, self._should_stop = token_s, should_stop
        self._cache = KVCacheAllocator(num_cells, self.max_sequences)
        self._sequences: dict[int, list[int]] = {}
        self._running: dict[int, tuple[StepJob, StepSplitter, int]] = {}
        self._mark = b"\x01" + zlib.crc32(vocabulary_name.encode()).to_bytes(4, "big")
        self._prefilled = self._decoded = 0

    def reserve(self, num_tokens: int) -> None:
        if self._sequences:
            raise DecodeError("The KV cache cannot change its size while sequences are open.")
        self.history.append(("reserve", num_tokens))

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        return [self._id(word) for word in _WORDS.findall(text)]

    def pieces(self, tokens: Sequence[int]) -> list[bytes]:
        return [self._word(token).encode() for token in tokens]

    def open(self, tokens: Sequence[int]) -> int:
        self._check_cancelled()
        self.history.append(("open", len(tokens)))
        if not tokens:
            raise DecodeError("A sequence needs at least one token.")
        seq_id = self._take(self._cache.open())
        self._sequences[seq_id] = []
        if self._extend(ExtendJob(seq_id=seq_id, tokens=tokens)).no_room:
            self.release(seq_id)
            raise DecodeError(f"A prompt of {len(tokens)} tokens does not fit.")
        return seq_id

    def fork(self, seq_id: int) -> int:
        self.history.append(("fork", seq_id))
        new_id = self._take(self._cache.fork(seq_id))
        self._sequences[new_id] = list(self._sequences[seq_id])
        return new_id

    def num_tokens(self, seq_id: int) -> int:
        return len(self._sequences[seq_id])

    def tokens(self, seq_id: int, start: int = 0) -> list[int]:
        return self._sequences[seq_id][start:]

    def text(self, seq_id: int) -> str:
        """A sequence's whole text."""
        return "".join(map(self._word, self._sequences[seq_id]))

    def extend(self, jobs: Sequence[ExtendJob]) -> list[Extended]:
        self._check_cancelled()
        self.history.append(("extend", [job.seq_id for job in jobs]))
        return [self._extend(job) for job in jobs]

    def start_steps(self, jobs: Sequence[StepJob]) -> None:
        self.history.append(("start_steps", [job.seq_id for job in jobs]))
        for job in jobs:
            self._running[job.seq_id] = (job, StepSplitter(), 0)

    def stop_step(self, seq_id: int) -> None:
        self._running.pop(seq_id, None)

    def decode_round(self) -> list[Delta]:
        self._check_cancelled()
        self.history.append(("decode_round", list(self._running)))
        if self._token_s:
            time.sleep(self._token_s)
        return [self._decode(seq_id) for seq_id in list(self._running)]

    def truncate(self, seq_id: int, num_tokens: int) -> None:
        self.history.append(("truncate", (seq_id, num_tokens)))
        del self._sequences[seq_id][max(1, num_tokens) :]
        self._cache.truncate(seq_id, len(self._sequences[seq_id]))

    def release(self, seq_id: int) -> None:
        self._running.pop(seq_id, None)
        del self._sequences[seq_id]
        self._cache.release(seq_id)

    def save(self, seq_id: int) -> bytes:
        return self.text(seq_id).encode()

    def restore(self, tokens: Sequence[int], state: bytes) -> int | None:
        if state != b"".join(self.pieces(tokens)) or self._cache.free_cells < len(tokens):
            return None
        seq_id = self._take(self._cache.open())
        self._sequences[seq_id] = []
        self._append(seq_id, tokens)
        return seq_id

    def clear(self) -> None:
        for seq_id in list(self._sequences):
            self.release(seq_id)
        self._prefilled = self._decoded = 0

    def usage(self) -> ModelUsage:
        return ModelUsage(self._prefilled, self._decoded, self.info.num_parameters)

    def close(self) -> None:
        self.clear()

    def _extend(self, job: ExtendJob) -> Extended:
        no_room = self._no_room(job.seq_id, len(job.tokens) + len(job.suffix))
        if no_room:
            return Extended(seq_id=job.seq_id, no_room=no_room)
        self._append(job.seq_id, job.tokens)
        self._prefilled += len(job.tokens) + len(job.suffix)
        probe = None
        if job.suffix:
            asked = self.text(job.seq_id) + "".join(map(self._word, job.suffix))
            said = self._script.probe(asked)
            probe = tuple(self._log_prob(said, candidate) for candidate in job.candidates)
        log_probs = None
        if job.log_probs:
            each = self._script.likelihood(self.text(job.seq_id))
            log_probs = (each,) * len(job.tokens)
        return Extended(seq_id=job.seq_id, log_probs=log_probs, probe=probe)

    def _log_prob(self, said: Mapping[str, float], candidate: Sequence[int]) -> float:
        total = math.fsum(said.get(self._word(token), 0.0) for token in candidate)
        if math.isnan(total):
            return math.nan
        return math.log(total) if total > 0 else -math.inf

    def _decode(self, seq_id: int) -> Delta:
        job, splitter, count = self._running[seq_id]
        no_room = self._no_room(seq_id, 1)
        if no_room:
            self.stop_step(seq_id)
            return Delta(seq_id, "", 0, no_room)
        self._decoded += 1
        log_probs = (self._script.likelihood(self.text(seq_id)),)
        match = _WORDS.match(self._script.continuation(self._role, self.text(seq_id)))
        if match is None:
            self.stop_step(seq_id)
            return Delta(seq_id, "", 1, "end_of_generation", log_probs)
        word = match.group()
        self._append(seq_id, [self._id(word)])
        if splitter.push(word) is not None:
            self.stop_step(seq_id)
            return Delta(seq_id, word, 1, "blank_line", log_probs)
        if count + 1 >= job.max_tokens:
            self.stop_step(seq_id)
            return Delta(seq_id, word, 1, "token_limit", log_probs)
        self._running[seq_id] = (job, splitter, count + 1)
        return Delta(seq_id, word, 1, log_probs=log_probs)

    def _append(self, seq_id: int, tokens: Sequence[int]) -> None:
        self._sequences[seq_id].extend(tokens)
        self._cache.append(seq_id, len(tokens))

    def _no_room(self, seq_id: int, count: int) -> NoRoom | None:
        if len(self._sequences[seq_id]) + count > self.max_tokens:
            return "context_full"
        return "kv_cache_full" if count > self._cache.free_cells else None

    def _id(self, word: str) -> int:
        return int.from_bytes(self._mark + word.encode("utf-8"), "big")

    def _word(self, token: int) -> str:
        raw = token.to_bytes((token.bit_length() + 7) // 8, "big")
        if not raw.startswith(self._mark):
            raise DecodeError(f"{self.info.name}: {token} is no token of this vocabulary.")
        return raw[len(self._mark) :].decode("utf-8")

    def _take(self, seq_id: int | None) -> int:
        if seq_id is None:
            raise DecodeError(f"More than {self.max_sequences} sequences are open at once.")
        return seq_id

    def _check_cancelled(self) -> None:
        if self._should_stop():
            raise Cancelled
