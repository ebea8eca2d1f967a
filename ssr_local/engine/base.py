"""The engine protocol: what the coordinator may ask of a model.

It speaks of sequences and steps, not of tokens, so that an engine reached over HTTP could
implement it. A sequence is a list of known tokens and their KV cache; forks share the
cache of what they have in common. Writing steps is continuous: ``start_steps`` adds
sequences to the running batch at any time, ``decode_round`` advances all of them, and one
that ends leaves the batch without stopping the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from ssr_local.core.records import ModelInfo, ModelUsage
from ssr_local.engine.packages import EngineName

SEQUENCES = 14
"""How many sequences a model holds at once unless asked for more: the most paths there can
be, and what they share in each of two forms."""

MOST_SEQUENCES = 32
"""How many it can be asked for, because so many rows of logits are read from one call."""

StepEnd = Literal["blank_line", "end_of_generation", "token_limit", "context_full", "kv_cache_full"]
"""Why a step's decoding ended."""

NoRoom = Literal["context_full", "kv_cache_full"]
"""Why a sequence cannot grow."""


class Cancelled(Exception):  # noqa: N818 - not an error: the caller asked for it
    """Raised out of a long engine call when cancellation was asked for."""


class EngineConfig(Struct, frozen=True, kw_only=True):
    """How one GGUF file is loaded by one native library.

    ``sha256`` and ``num_parameters`` are what is known of the file already. ``threads`` 0
    takes one a physical core. ``gpu_layers`` -1 puts as many on the GPU as fit; ik runs on
    the CPU whatever it says. ``repack`` repacks the weights while they are loaded, for speed.
    ``num_cells`` is the KV cache's first size, ``max_cells`` the size it may grow to (None:
    as large as asked). ``prompt_lookup`` guesses tokens where one sequence is written alone; the
    text is that without it, but for the last bits of what a batch computes. ``notes`` are what the
    user should know already.
    """

    path: str
    name: str
    engine: EngineName = "llama"
    sha256: str | None = None
    num_parameters: int | None = None
    threads: int = 0
    gpu_layers: int = -1
    repack: bool = True
    num_cells: int = 2048
    max_cells: int | None = None
    max_sequences: int = SEQUENCES
    prompt_lookup: bool = False
    notes: tuple[str, ...] = ()


class Sampling(Struct, frozen=True):
    """How tokens are drawn; ``temperature`` 0 is greedy. ``seed`` fixes the random draws."""

    temperature: float = 0.6
    top_p: float = 0.95
    seed: int = 0


class StepJob(Struct, frozen=True):
    """Ask for one step on a sequence, at most ``max_tokens`` long."""

    seq_id: int
    max_tokens: int
    sampling: Sampling


class Delta(Struct, frozen=True):
    """New text on a sequence. ``end`` is set on the step's last delta; ``num_tokens`` are new.

    ``log_probs`` are their log-probabilities (nats, temperature 1, whole vocabulary), empty where
    the engine does not say.
    """

    seq_id: int
    text: str
    num_tokens: int
    end: StepEnd | None = None
    log_probs: tuple[float, ...] = ()


class ExtendJob(Struct, frozen=True, kw_only=True):
    """Ask for known tokens to be prefilled after a sequence, and perhaps for a look ahead.

    ``log_probs`` asks for each token's log-probability given what stands before it.
    ``suffix`` and ``candidates`` are a probe: after the new tokens the suffix is
    prefilled too, the log-probability of each candidate read at the next position (a
    candidate is a set of token ids whose probabilities are added), and the suffix
    forgotten.
    """

    seq_id: int
    tokens: Sequence[int] = ()
    log_probs: bool = False
    suffix: Sequence[int] = ()
    candidates: Sequence[Sequence[int]] = ()


class Extended(Struct, frozen=True, kw_only=True):
    """The result of an ``ExtendJob``.

    With ``no_room`` set nothing was changed. ``log_probs`` has one value a token (nats),
    ``probe`` one a candidate; both None where not asked for. A value is NaN when the
    model's output was not a number.
    """

    seq_id: int
    log_probs: tuple[float, ...] | None = None
    probe: tuple[float, ...] | None = None
    no_room: NoRoom | None = None


class Vocabulary(Struct, frozen=True):
    """What matters of a model's vocabulary.

    ``fingerprint`` is equal for two models exactly when token ids can be exchanged.
    ``special_texts`` are the texts that would be read as control tokens.
    """

    fingerprint: str
    num_tokens: int
    bos_text: str
    eos_text: str
    add_bos: bool
    special_texts: tuple[str, ...]


class Engine(Protocol):
    """One loaded model. Not thread-safe; every method may raise ``EngineError``."""

    @property
    def info(self) -> ModelInfo: ...

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def chat_template(self) -> str | None:
        """The Jinja template the model's file carries, or None."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how this model runs: a fallback, fewer layers."""

    @property
    def max_sequences(self) -> int:
        """How many sequences can exist at once."""

    @property
    def context_length(self) -> int:
        """The longest sequence the model was trained for, in tokens."""

    @property
    def max_tokens(self) -> int:
        """The longest sequence there is room for, in tokens."""

    @property
    def num_threads(self) -> int:
        """CPU threads that the last call took; 0 where that is not known."""

    def reserve(self, num_tokens: int) -> None:
        """Give the KV cache that many cells, as far as memory and the user's limit allow.

        Only while no sequence is open.
        """

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of a text; ``special`` reads control tokens out of it (templates only)."""

    def pieces(self, tokens: Sequence[int]) -> list[bytes]:
        """What each token stands for, in UTF-8; a character may begin in one, end in another."""

    def open(self, tokens: Sequence[int]) -> int:
        """Prefill a new sequence (at least one token); its id. Raises ``DecodeError`` when full."""

    def fork(self, seq_id: int) -> int:
        """A new sequence that shares everything so far with an old one."""

    def num_tokens(self, seq_id: int) -> int:
        """The length of a sequence in tokens."""

    def tokens(self, seq_id: int, start: int = 0) -> list[int]:
        """A sequence's token ids from ``start`` on."""

    def extend(self, jobs: Sequence[ExtendJob]) -> list[Extended]:
        """Prefill known tokens after sequences, all jobs in as few calls as fit."""

    def start_steps(self, jobs: Sequence[StepJob]) -> None:
        """Add sequences to the running batch, each until its own end of step."""

    def stop_step(self, seq_id: int) -> None:
        """Take a sequence out of the running batch; what it has decoded stays."""

    def decode_round(self) -> list[Delta]:
        """One token for every sequence in the running batch, in one call; for one that writes alone
        maybe a guessed one too, as a delta of its own."""

    def truncate(self, seq_id: int, num_tokens: int) -> None:
        """Forget everything after the first ``num_tokens`` (at least one) tokens."""

    def release(self, seq_id: int) -> None:
        """Give a sequence and its cache back."""

    def save(self, seq_id: int) -> bytes:
        """What the KV cache holds of a sequence that was opened and not changed since; empty
        where it cannot be saved."""

    def restore(self, tokens: Sequence[int], state: bytes) -> int | None:
        """A new sequence of these tokens with the state that was saved of them, for which nothing
        is prefilled; its id, or None where the state is not accepted or does not fit."""

    def clear(self) -> None:
        """Release every sequence and set the usage back to nothing."""

    def usage(self) -> ModelUsage:
        """Tokens worked through since the last ``clear``."""

    def close(self) -> None:
        """Unload the model. The engine cannot be used afterwards."""


def decode_steps(engine: Engine, jobs: Sequence[StepJob]) -> Iterator[Delta]:
    """Write one step on each sequence, all in one batch, until the last has ended.

    Leaves no job running when the consumer stops early.
    """
    running = {job.seq_id for job in jobs}
    engine.start_steps(jobs)
    try:
        while running:
            for delta in engine.decode_round():
                if delta.end is not None:
                    running.discard(delta.seq_id)
                yield delta
    finally:
        for seq_id in running:
            engine.stop_step(seq_id)
