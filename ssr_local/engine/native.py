"""The loop every native engine shares: batches, positions, cancel, UTF-8, usage.

A binding (``engine/llama.py``, ``engine/ik.py``) brings the library's calls; nothing here
knows which library it is.

One invariant carries the design: a sequence is a list of known tokens of which the KV
cache holds at most all but the last. The tokens not yet in the cache are *pending*. So
the logits for whatever comes next never have to be kept: evaluating the pending tokens
yields them, after a fork, a truncation or a probe alike.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from ssr_local.core.errors import DecodeError
from ssr_local.core.records import ModelInfo, ModelUsage
from ssr_local.engine.base import (
    Cancelled,
    Delta,
    Extended,
    ExtendJob,
    NoRoom,
    StepEnd,
    StepJob,
    Vocabulary,
)
from ssr_local.engine.binding import NUM_OUTPUTS, BatchRow, GGUFBinding
from ssr_local.engine.kv_cache import KVCacheAllocator
from ssr_local.engine.log_probs import Floats, LogProbs, log_probabilities
from ssr_local.engine.lookup import PromptLookup
from ssr_local.engine.sampler import Sampler
from ssr_local.method.steps import StepSplitter

# A step may overrun its token limit by this much to complete a character.
_CHARACTER_TOKENS = 4

_ReadRow = tuple[BatchRow, Callable[[Floats], None] | None]
"""A token to evaluate and what reads its logits."""


@dataclass(slots=True)
class _Sequence:
    tokens: list[int]
    sampler: Sampler | None = None


@dataclass(slots=True)
class _RunningStep:
    """``whole_tokens`` and ``whole_text`` are the lengths of sequence and step where the
    characters were last complete.
    """

    job: StepJob
    whole_tokens: int
    whole_text: int = 0
    splitter: StepSplitter = field(default_factory=StepSplitter)
    lookup: PromptLookup = field(default_factory=PromptLookup)
    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")(errors="replace")
    )
    num_tokens: int = 0

    @property
    def inside_character(self) -> bool:
        return bool(self.decoder.getstate()[0])


class NativeEngine:
    """The engine protocol over a binding. See ``engine.base.Engine`` for what each method does."""

    def __init__(
        self,
        binding: GGUFBinding,
        should_stop: Callable[[], bool] = lambda: False,
        prompt_lookup: bool = False,
    ) -> None:
        self._binding = binding
        self._should_stop = should_stop
        self._cache = KVCacheAllocator(binding.num_cells, binding.max_sequences)
        self._sequences: dict[int, _Sequence] = {}
        self._running: dict[int, _RunningStep] = {}
        self._prefilled = 0
        self._decoded = 0
        self._pieces: dict[int, bytes] = {}
        self._can_guess = prompt_lookup

    @property
    def info(self) -> ModelInfo:
        return self._binding.info

    @property
    def vocabulary(self) -> Vocabulary:
        return self._binding.vocabulary

    @property
    def chat_template(self) -> str | None:
        return self._binding.chat_template

    @property
    def notes(self) -> tuple[str, ...]:
        return self._binding.notes

    @property
    def max_sequences(self) -> int:
        return self._binding.max_sequences

    @property
    def context_length(self) -> int:
        return self._binding.context_length

    @property
    def max_tokens(self) -> int:
        return min(self._binding.context_length, self._binding.num_cells)

    @property
    def num_threads(self) -> int:
        """CPU threads that the last call took."""
        return self._binding.num_threads

    @property
    def used_cells(self) -> int:
        """KV cells in use, for reports."""
        return self._cache.used_cells

    def reserve(self, num_tokens: int) -> None:
        if self._sequences:
            raise DecodeError("The KV cache cannot change its size while sequences are open.")
        if num_tokens > self._binding.num_cells:
            self._binding.resize(num_tokens)
            self._cache = KVCacheAllocator(self._binding.num_cells, self.max_sequences)

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        return self._binding.tokenize(text, special)

    def pieces(self, tokens: Sequence[int]) -> list[bytes]:
        return [self._binding.piece(token) for token in tokens]

    def open(self, tokens: Sequence[int]) -> int:
        if not tokens:
            raise DecodeError("A sequence needs at least one token.")
        seq_id = self._take_id(self._cache.open())
        self._sequences[seq_id] = _Sequence(list(tokens[:1]))
        try:
            (result,) = self.extend([ExtendJob(seq_id=seq_id, tokens=tokens[1:])])
        except BaseException:
            self.release(seq_id)
            raise
        if result.no_room:
            self.release(seq_id)
            raise DecodeError(
                f"A prompt of {len(tokens)} tokens does not fit:"
                f" there is room for {min(self.max_tokens, self._cache.free_cells)}.",
                "",
                "Give a shorter problem, or a larger --ctx if the model allows one.",
            )
        return seq_id

    def fork(self, seq_id: int) -> int:
        new_id = self._take_id(self._cache.fork(seq_id))
        self._binding.copy_sequence(seq_id, new_id)
        self._sequences[new_id] = _Sequence(list(self._sequences[seq_id].tokens))
        return new_id

    def num_tokens(self, seq_id: int) -> int:
        return len(self._sequences[seq_id].tokens)

    def tokens(self, seq_id: int, start: int = 0) -> list[int]:
        return self._sequences[seq_id].tokens[start:]

    def extend(self, jobs: Sequence[ExtendJob]) -> list[Extended]:
        new = {job.seq_id: len(job.tokens) + len(job.suffix) for job in jobs}
        refused = self._without_room(
            (job.seq_id, new[job.seq_id], new[job.seq_id] - (not job.suffix)) for job in jobs
        )
        granted = [job for job in jobs if job.seq_id not in refused]
        before = {job.seq_id: self.num_tokens(job.seq_id) for job in granted}
        results = LogProbs(granted)
        try:
            self._prefill(granted, results)
        except BaseException:
            for job in granted:
                self.truncate(job.seq_id, before[job.seq_id])
            raise
        for job in granted:
            self._sequences[job.seq_id].tokens.extend(job.tokens)
            if job.suffix:
                self._drop_cells(job.seq_id, self.num_tokens(job.seq_id) - 1)
        return [
            Extended(seq_id=job.seq_id, no_room=refused[job.seq_id])
            if job.seq_id in refused
            else results.result(job)
            for job in jobs
        ]

    def start_steps(self, jobs: Sequence[StepJob]) -> None:
        for job in jobs:
            sequence = self._sequences[job.seq_id]
            if sequence.sampler is None or sequence.sampler.sampling != job.sampling:
                # The sampler outlives the step: a path's draws continue from step to step.
                sequence.sampler = Sampler(job.sampling)
            self._running[job.seq_id] = _RunningStep(job, len(sequence.tokens))

    def stop_step(self, seq_id: int) -> None:
        self._running.pop(seq_id, None)

    def decode_round(self) -> list[Delta]:
        self._check_cancelled()
        if self._can_guess and len(self._running) == 1:
            return self._decode_alone(*self._running)
        full = self._without_room((seq_id, 1, 0) for seq_id in self._running)
        fitting = [seq_id for seq_id in self._running if seq_id not in full]
        deltas = [self._end_step(seq_id, "", reason) for seq_id, reason in full.items()]
        if not fitting:
            return deltas
        self._prefill_pending(fitting)
        rows = []
        for seq_id in fitting:
            tokens = self._sequences[seq_id].tokens
            rows.append(BatchRow(tokens[-1], len(tokens) - 1, seq_id, logits=True))
        if not self._evaluate(rows):
            return [*deltas, self._end_step(fitting[-1], "", "kv_cache_full")]
        try:
            drawn = [self._draw(seq_id, row) for row, seq_id in enumerate(fitting)]
        except DecodeError:  # from one of them: what was evaluated is pending again on all
            for row in rows:
                self._drop_cells(row.seq_id, row.position)
            raise
        return deltas + [self._advance(*one) for one in zip(fitting, drawn, strict=True)]

    def _decode_alone(self, seq_id: int) -> list[Delta]:
        """A round of one sequence: its next token, and one more after a guess that was right."""
        if full := self._without_room([(seq_id, 1, 0)]):
            return [self._end_step(seq_id, "", full[seq_id])]
        self._prefill_pending([seq_id])
        step, tokens = self._running[seq_id], self._sequences[seq_id].tokens
        may_guess = (
            self._can_guess
            and step.num_tokens + 1 < step.job.max_tokens
            and len(tokens) + 1 < self.max_tokens
            and self._cache.free_cells > 1
        )
        guess = step.lookup.guess(tokens) if may_guess else None
        position = len(tokens) - 1
        rows = [BatchRow(tokens[-1], position, seq_id, logits=True)]
        if guess is not None:
            rows.append(BatchRow(guess, position + 1, seq_id, logits=True))
        if not self._evaluate(rows):
            return [self._end_step(seq_id, "", "kv_cache_full")]
        try:
            first = self._draw(seq_id, 0)
            deltas = [self._advance(seq_id, first)]
            if first[0] == guess and not deltas[0].end:
                deltas.append(self._advance(seq_id, self._draw(seq_id, 1)))
            elif guess is not None:
                self._prefilled += 1  # evaluated in vain
        finally:  # after a wrong guess its cell is left, after an error both
            if self._cache.length(seq_id) >= len(tokens):
                self._drop_cells(seq_id, len(tokens) - 1)
        return deltas

    def truncate(self, seq_id: int, num_tokens: int) -> None:
        sequence = self._sequences[seq_id]
        del sequence.tokens[max(1, num_tokens) :]
        self._drop_cells(seq_id, len(sequence.tokens) - 1)

    def release(self, seq_id: int) -> None:
        self._running.pop(seq_id, None)
        del self._sequences[seq_id]
        self._binding.remove_cells(seq_id, 0)
        self._cache.release(seq_id)

    def save(self, seq_id: int) -> bytes:
        return self._binding.sequence_state(seq_id) if self._num_pending(seq_id) == 1 else b""

    def restore(self, tokens: Sequence[int], state: bytes) -> int | None:
        num_cells = len(tokens) - 1
        if not state or num_cells > self._cache.free_cells or len(tokens) > self.max_tokens:
            return None
        seq_id = self._take_id(self._cache.open())
        taken = self._binding.set_sequence_state(seq_id, state)
        if not taken or self._binding.last_position(seq_id) != num_cells - 1:
            self._binding.remove_cells(seq_id, 0)
            self._cache.release(seq_id)
            return None
        self._cache.append(seq_id, num_cells)
        self._sequences[seq_id] = _Sequence(list(tokens))
        return seq_id

    def clear(self) -> None:
        for seq_id in list(self._sequences):
            self.release(seq_id)
        self._binding.reset()
        self._prefilled = self._decoded = 0

    def usage(self) -> ModelUsage:
        return ModelUsage(self._prefilled, self._decoded, self.info.num_parameters)

    def close(self) -> None:
        self.clear()
        self._binding.close()

    def _without_room(self, wanted: Iterable[tuple[int, int, int]]) -> dict[int, NoRoom]:
        """Of the sequences that want so many tokens more, and cells for so many of them, those
        for which nothing is left once the ones before them have theirs."""
        full: dict[int, NoRoom] = {}
        free = self._cache.free_cells
        for seq_id, num_tokens, num_cells in wanted:
            num_cells += self._num_pending(seq_id)
            if self.num_tokens(seq_id) + num_tokens > self.max_tokens:
                full[seq_id] = "context_full"
            elif num_cells > free:
                full[seq_id] = "kv_cache_full"
            else:
                free -= num_cells
        return full

    def _num_pending(self, seq_id: int) -> int:
        return self.num_tokens(seq_id) - self._cache.length(seq_id)

    # Evaluation ------------------------------------------------------------

    def _prefill(self, jobs: Sequence[ExtendJob], results: LogProbs) -> None:
        """Evaluate the jobs' rows in as few batches as the binding's limits allow."""
        batch: list[_ReadRow] = []
        outputs = 0
        for row in self._rows(jobs, results):
            outputs += row[1] is not None
            if len(batch) >= self._binding.num_chunk or outputs > NUM_OUTPUTS:
                self._prefill_batch(batch)
                batch, outputs = [], int(row[1] is not None)
            batch.append(row)
        if batch:
            self._prefill_batch(batch)

    def _rows(self, jobs: Sequence[ExtendJob], results: LogProbs) -> Iterator[_ReadRow]:
        """Every token to evaluate, each with what reads its logits."""
        for job in jobs:
            known = self._sequences[job.seq_id].tokens
            start = self._cache.length(job.seq_id)
            tokens = [*known[start:], *job.tokens, *job.suffix]
            if not job.suffix:
                tokens.pop()  # the last known token stays pending
            first_new = len(known) - start
            for offset, token in enumerate(tokens):
                reader = results.reader(job, offset + 1 - first_new)
                yield BatchRow(token, start + offset, job.seq_id, reader is not None), reader

    def _prefill_batch(self, batch: Sequence[_ReadRow]) -> None:
        self._check_cancelled()
        if not self._evaluate([row for row, _ in batch]):
            raise DecodeError(
                "The KV cache has no room although it should.",
                f"{self._binding.title} found no slot for a batch that should fit.",
                "Give a larger --ctx, and please report this.",
            )
        self._prefilled += len(batch)
        for index, (_, reader) in enumerate(batch):
            if reader:
                reader(self._binding.logits(index))

    def _prefill_pending(self, seq_ids: Sequence[int]) -> None:
        """Evaluate what is pending except the last token, which the coming round takes."""
        jobs = [ExtendJob(seq_id=seq_id) for seq_id in seq_ids if self._num_pending(seq_id) > 1]
        if jobs:
            self._prefill(jobs, LogProbs(jobs))

    def _evaluate(self, rows: Sequence[BatchRow]) -> bool:
        """Evaluate a batch and count its cells; False when the cache had no slot."""
        result = self._binding.decode(rows)
        if result == "no_slot":
            return False
        if result != "ok":
            for seq_id in {row.seq_id for row in rows}:
                self._drop_cells(seq_id, self._cache.length(seq_id))
            if result == "aborted":
                self._check_cancelled()
            raise DecodeError(
                f"{self.info.name}: the model could not be evaluated.",
                f"{self._binding.title} reported a decode that {result}.",
                "See the log for its own words; a smaller --ctx or --gpu-layers may help.",
            )
        for row in rows:
            self._cache.append(row.seq_id, 1)
        return True

    def _drop_cells(self, seq_id: int, length: int) -> None:
        if self._binding.last_position(seq_id) < length:
            return
        if not self._binding.remove_cells(seq_id, length):
            # Recurrent memory cannot be cut in the middle: forget all, prefill it again.
            self._binding.remove_cells(seq_id, 0)
            length = 0
            self._can_guess = False  # each wrong guess would cost as much
        self._cache.truncate(seq_id, length)

    # Decoding --------------------------------------------------------------

    def _draw(self, seq_id: int, row: int) -> tuple[int, float]:
        """A token and its log-probability."""
        sampler = self._sequences[seq_id].sampler
        assert sampler is not None, "start_steps made it"
        logits = self._binding.logits(row)
        token = sampler.draw(logits)
        return token, log_probabilities(logits, [[token]])[0]

    def _advance(self, seq_id: int, drawn: tuple[int, float]) -> Delta:
        """Take a drawn token, and its log-probability, into the sequence."""
        delta = self._taken(seq_id, drawn[0])
        return msgspec.structs.replace(delta, log_probs=drawn[1:])

    def _taken(self, seq_id: int, token: int) -> Delta:
        step = self._running[seq_id]
        sequence = self._sequences[seq_id]
        self._decoded += 1
        step.num_tokens += 1
        if self._binding.is_end(token):
            # Nothing follows yet, so the token before is pending again.
            self._drop_cells(seq_id, len(sequence.tokens) - 1)
            return self._end_step(seq_id, step.decoder.decode(b"", True), "end_of_generation", 1)
        sequence.tokens.append(token)
        text = step.decoder.decode(self._piece(token))
        before = len(step.splitter.text)
        end = step.splitter.push(text)
        if end is not None:
            if end < before + len(text) or step.inside_character:
                self._cut_inside_token(sequence, step, end)
            return self._end_step(seq_id, text[: end - before], "blank_line", 1)
        if not step.inside_character:
            step.whole_tokens, step.whole_text = len(sequence.tokens), len(step.splitter.text)
        limit = step.job.max_tokens + (_CHARACTER_TOKENS if step.inside_character else 0)
        if step.num_tokens >= limit:
            rest = step.decoder.decode(b"", True)
            return self._end_step(seq_id, text + rest, "token_limit", 1)
        return Delta(seq_id, text, 1)

    def _cut_inside_token(self, sequence: _Sequence, step: _RunningStep, end: int) -> None:
        """The step ends inside its last token: replace it by tokens of the part before."""
        text = step.splitter.text[step.whole_text : end]
        del sequence.tokens[step.whole_tokens :]
        self._drop_cells(step.job.seq_id, len(sequence.tokens))
        sequence.tokens.extend(self._binding.tokenize(text, False))

    def _end_step(self, seq_id: int, text: str, end: StepEnd, num_tokens: int = 0) -> Delta:
        del self._running[seq_id]
        return Delta(seq_id, text, num_tokens, end)

    def _piece(self, token: int) -> bytes:
        piece = self._pieces.get(token)
        if piece is None:
            piece = self._pieces[token] = self._binding.piece(token)
        return piece

    def _take_id(self, seq_id: int | None) -> int:
        if seq_id is None:
            raise DecodeError(
                f"More than {self._cache.max_sequences} sequences are open at once.",
                "",
                "Ask for fewer --paths.",
            )
        return seq_id

    def _check_cancelled(self) -> None:
        if self._should_stop():
            raise Cancelled
