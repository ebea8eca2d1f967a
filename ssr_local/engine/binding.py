"""What the bindings of llama.cpp and of its fork have in common: one GGUF file, one context.

Both libraries have most C functions under the same names; a subclass brings the library,
its parameters, and what is called otherwise.
"""

from __future__ import annotations

import ctypes
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ssr_local.core.errors import DecodeError, ModelUnusableError
from ssr_local.core.records import ModelInfo
from ssr_local.engine.base import Cancelled, EngineConfig, Vocabulary
from ssr_local.engine.hardware import memory
from ssr_local.engine.library_log import last_complaint
from ssr_local.engine.log_probs import Floats
from ssr_local.engine.packages import TITLES, EngineName, version
from ssr_local.engine.threads import governor
from ssr_local.models.gguf.header import estimate_kv_bytes, read_header

# Rows of logits read from one call. Each costs 4 bytes x vocabulary twice (the graph's and
# the context's buffer), 1.2 MB for a vocabulary of 150,000.
NUM_OUTPUTS = 32
NUM_BATCH = 512
# Larger chunks prefill faster (1.5B, 2 cores: 79, 85, 85, 89 and 90 tokens/s in chunks of 32,
# 64, 128, 256 and 512 tokens), but with 256 a pair takes 30 MB more scratch memory.
CPU_CHUNK = 128
_CELL_BLOCK = 256
# Main memory that a growing KV cache leaves to everything else.
_SPARE_BYTES = 256 * 1024 * 1024
# Batches of at least so many rows ask between the graph's nodes whether to stop. On a
# CPU such a batch can take seconds; for a few rows the asking would cost as much as 4 %.
_INTERRUPTIBLE_ROWS = 16

# Text in front of a text, so that a space that is put before it can be told and dropped.
_OPENING = "\x01"

_UNDEFINED_TOKEN = 0
_UNUSED_TOKEN = 1 << 1
_CONTROL_TOKEN = 1 << 3

ABORT_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)
_NO_ABORT_CALLBACK = ABORT_CALLBACK(0)

DecodeResult = Literal["ok", "no_slot", "aborted", "failed"]
_RESULTS: dict[int, DecodeResult] = {0: "ok", 1: "no_slot", 2: "aborted"}


@dataclass(slots=True)
class BatchRow:
    """One token of a batch, and whether its logits are wanted."""

    token: int
    position: int
    seq_id: int
    logits: bool = False


class GGUFBinding(ABC):
    """One GGUF file loaded by a library of llama.cpp's family, with one context.

    ``_lib`` has the C functions the libraries share. ``num_chunk`` is how many rows a batch
    can have, ``NUM_OUTPUTS`` how many of them can ask for logits; neither depends on what
    varies from run to run, because the batches' shapes decide the last bits of the results.
    Raises ``ModelDamagedError`` for a file that is not a sound GGUF file and
    ``ModelUnusableError`` when the library refuses it.
    """

    engine: ClassVar[EngineName]
    _lib: Any

    info: ModelInfo
    vocabulary: Vocabulary
    chat_template: str | None
    num_cells: int
    context_length: int
    can_truncate: bool

    def __init__(
        self, config: EngineConfig, should_stop: Callable[[], bool] = lambda: False
    ) -> None:
        self.config = config
        self.path = Path(config.path)
        self.notes = config.notes
        self.max_sequences = config.max_sequences
        self.num_chunk = CPU_CHUNK
        self.num_threads = config.threads or governor().num_threads
        self._should_stop = should_stop
        self._abort_callback = ABORT_CALLBACK(lambda _data: should_stop())
        self._model: Any = None
        self._context: Any = None
        self._opening: list[int] = []
        self._batch: Any = None
        self._header = read_header(self.path)
        try:
            self._load(self._wanted_cells(config.num_cells))
            self._describe()
        except BaseException:
            self.close()
            raise

    @property
    def title(self) -> str:
        """What the library calls itself."""
        return TITLES[self.engine]

    # What a library brings -------------------------------------------------

    @abstractmethod
    def _load(self, num_cells: int) -> None:
        """Set ``_model`` and ``_context``, or raise ``ModelUnusableError``."""

    @abstractmethod
    def _set_context_parameters(self, parameters: Any) -> None:
        """What a context needs beside its size, sequences and threads."""

    @abstractmethod
    def _attribute(self, token: int) -> int:
        """The token's attribute bits."""

    @abstractmethod
    def _device(self) -> str:
        """Where the model runs, in words."""

    @abstractmethod
    def copy_sequence(self, source: int, destination: int) -> None: ...

    @abstractmethod
    def remove_cells(self, seq_id: int, start: int) -> bool:
        """Forget a sequence from a position on; False where memory cannot be cut there."""

    @abstractmethod
    def last_position(self, seq_id: int) -> int: ...

    @abstractmethod
    def reset(self) -> None:
        """An empty cache in its first state, so that equal runs use equal cells."""

    # Loading ---------------------------------------------------------------

    def _load_model(self, parameters: Any) -> bool:
        """Load the weights and find out whether sequences can be truncated; False when refused."""
        # Of the field's own class: each package declares one. The name keeps it alive.
        callback = type(parameters.progress_callback)(lambda _done, _data: not self._should_stop())
        parameters.progress_callback = callback
        path = str(self.path).encode("utf-8")
        self._model = self._lib.llama_model_load_from_file(path, parameters)
        if not self._model:
            if self._should_stop():
                raise Cancelled
            return False
        recurrent = self._lib.llama_model_is_recurrent(self._model)
        hybrid = self._lib.llama_model_is_hybrid(self._model)
        self.can_truncate = not (recurrent or hybrid)
        if not self.can_truncate:
            self._note(
                f"{self.config.name} has recurrent memory, which cannot be truncated:"
                " after every probe and rejected step its whole path is prefilled again."
            )
        return True

    def _refused(self) -> ModelUnusableError:
        return ModelUnusableError(
            f"{self.path}: {self.title} cannot load this model.",
            last_complaint(),
            "Check the file with 'ssr-local models verify', or try a smaller --ctx.",
        )

    def _new_context(self, num_cells: int) -> Any:
        """A context of that many cells, falsy when the library refuses."""
        parameters = self._lib.llama_context_default_params()
        parameters.n_ctx = num_cells
        parameters.n_batch = parameters.n_ubatch = self.num_chunk
        parameters.n_seq_max = self.max_sequences
        parameters.n_threads = parameters.n_threads_batch = self.num_threads
        self._set_context_parameters(parameters)
        return self._lib.llama_init_from_model(self._model, parameters)

    def _open_context(self, num_cells: int) -> bool:
        context = self._new_context(num_cells)
        if not context:
            return False
        self._context = context
        self._interruptible = False
        self.num_cells = int(self._lib.llama_n_ctx(context))
        trained = int(self._lib.llama_model_n_ctx_train(self._model))
        self.context_length = trained or self.num_cells
        self._new_batch()
        return True

    def _wanted_cells(self, num_cells: int) -> int:
        limit = self.config.max_cells or num_cells
        return -(-min(num_cells, limit) // _CELL_BLOCK) * _CELL_BLOCK

    def resize(self, num_cells: int) -> None:
        """A context with that many cells, or as many as the limit given at load allows."""
        wanted = self._affordable(self._wanted_cells(num_cells))
        if wanted <= self.num_cells:
            return
        old = self.num_cells
        self._free_context()
        if not self._enlarge(wanted):
            self._note(
                f"{self.config.name}: no memory for a KV cache of {wanted} cells, staying at {old}."
            )
            if not self._open_context(old):
                raise ModelUnusableError(
                    f"{self.config.name}: no memory for a KV cache of {old} cells.",
                    last_complaint(),
                    "Close other programs, or give a smaller --ctx or --paths.",
                )
        self._describe()

    def _enlarge(self, num_cells: int) -> bool:
        return self._open_context(num_cells)

    def _affordable(self, num_cells: int) -> int:
        """That many cells, or as many as main memory has room for where they lie there."""
        if self.info.device != "cpu":
            return num_cells
        room = (memory().available_bytes - _SPARE_BYTES) + self.info.kv_bytes
        block_bytes = max(1, estimate_kv_bytes(self._header, _CELL_BLOCK))
        fitting = max(self.num_cells, room // block_bytes * _CELL_BLOCK)
        if num_cells <= fitting:
            return num_cells
        self._note(
            f"{self.config.name}: a KV cache of {num_cells} cells does not fit into memory,"
            f" {fitting} are used; paths may end early."
        )
        return fitting

    def _describe(self) -> None:
        self._vocab = self._lib.llama_model_get_vocab(self._model)
        self._num_vocab = int(self._lib.llama_vocab_n_tokens(self._vocab))
        # The library counts a tied embedding twice where the file holds it twice.
        counted = self._lib.llama_model_n_params(self._model)
        self.info = ModelInfo(
            name=self.config.name,
            file=str(self.path),
            sha256=self.config.sha256,
            num_parameters=self.config.num_parameters or int(counted),
            num_vocab=self._num_vocab,
            num_ctx=self.num_cells,
            device=self._device(),
            engine=f"{self.title} {version(self.engine)}",
            kv_bytes=estimate_kv_bytes(self._header, self.num_cells),
        )
        template = self._lib.llama_model_chat_template(self._model, None)
        self.chat_template = template.decode("utf-8", "replace") if template else None
        if not hasattr(self, "vocabulary"):
            self.vocabulary = self._read_vocabulary()
            opening = self._tokenize(_OPENING, special=False)
            adds_space = bool(opening) and self.piece(opening[0])[:1] == b" "
            self._opening = opening if adds_space else []

    def _read_vocabulary(self) -> Vocabulary:
        digest = hashlib.sha256()
        special: list[str] = []
        for token in range(self._num_vocab):
            kind = self._attribute(token)
            if kind == _UNDEFINED_TOKEN or kind & _UNUSED_TOKEN:
                continue  # padding; sizes differ between models of one family
            text = self._lib.llama_vocab_get_text(self._vocab, token) or b""
            digest.update(b"%d:%d:" % (token, len(text)) + text)
            if kind & _CONTROL_TOKEN and text:
                special.append(text.decode("utf-8", "replace"))
        return Vocabulary(
            fingerprint=digest.hexdigest(),
            num_tokens=self._num_vocab,
            bos_text=self._token_text(self._lib.llama_vocab_bos(self._vocab)),
            eos_text=self._token_text(self._lib.llama_vocab_eos(self._vocab)),
            add_bos=bool(self._lib.llama_vocab_get_add_bos(self._vocab)),
            special_texts=tuple(special),
        )

    def _token_text(self, token: int) -> str:
        if token < 0:
            return ""
        text: bytes = self._lib.llama_vocab_get_text(self._vocab, token) or b""
        return text.decode("utf-8", "replace")

    def _note(self, text: str) -> None:
        if text not in self.notes:  # loading again with fewer layers would repeat some
            self.notes = (*self.notes, text)

    # Text ------------------------------------------------------------------

    def tokenize(self, text: str, special: bool) -> list[int]:
        """Token ids of a text that continues another.

        No beginning-of-sequence token is added and, where ``special`` control tokens are
        not read, no space either, which some vocabularies put before every text.
        """
        if self._opening and not special:
            tokens = self._tokenize(_OPENING + text, special)
            if tokens[: len(self._opening)] == self._opening:
                return tokens[len(self._opening) :]
        return self._tokenize(text, special)

    def _tokenize(self, text: str, special: bool) -> list[int]:
        raw = text.encode("utf-8", "replace")
        size = len(raw) + 16
        buffer = (ctypes.c_int32 * size)()
        count = self._lib.llama_tokenize(self._vocab, raw, len(raw), buffer, size, False, special)
        if count < 0:
            raise DecodeError(f"{self.config.name}: the text could not be tokenized.")
        return list(buffer[:count])

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; control tokens have none."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = self._lib.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def is_end(self, token: int) -> bool:
        """Whether the token ends generation."""
        return bool(self._lib.llama_vocab_is_eog(self._vocab, token))

    # Evaluation ------------------------------------------------------------

    def _new_batch(self) -> None:
        num_rows = max(self.num_chunk, NUM_OUTPUTS)
        self._batch = self._lib.llama_batch_init(num_rows, 0, 1)
        size = (num_rows,)
        view: Callable[..., npt.NDArray[Any]] = np.ctypeslib.as_array
        self._tokens = view(self._batch.token, size)
        self._positions = view(self._batch.pos, size)
        self._wanted = view(self._batch.logits, size)
        view(self._batch.n_seq_id, size)[:] = 1
        self._seq_ids = [self._batch.seq_id[i] for i in range(num_rows)]

    def decode(self, rows: Sequence[BatchRow]) -> DecodeResult:
        """Evaluate a batch; a large one gives up with "aborted" soon after a cancel."""
        self.fill(rows)
        self.set_interruptible(len(rows) >= _INTERRUPTIBLE_ROWS)
        self.set_threads(self.config.threads or governor().next_call())
        return _RESULTS.get(self._lib.llama_decode(self._context, self._batch), "failed")

    def fill(self, rows: Sequence[BatchRow]) -> None:
        """Put rows into the library's batch."""
        count = len(rows)
        self._tokens[:count] = [row.token for row in rows]
        self._positions[:count] = [row.position for row in rows]
        self._wanted[:count] = [row.logits for row in rows]
        for pointer, row in zip(self._seq_ids, rows, strict=False):
            pointer[0] = row.seq_id
        self._batch.n_tokens = count

    def set_interruptible(self, wanted: bool) -> None:
        """Let the library ask between the graph's nodes whether to stop, or not."""
        if wanted != self._interruptible:
            callback = self._abort_callback if wanted else _NO_ABORT_CALLBACK
            self._lib.llama_set_abort_callback(self._context, callback, None)
            self._interruptible = wanted

    def set_threads(self, num_threads: int) -> None:
        """Compute with that many from the next call on."""
        if num_threads != self.num_threads:
            self._lib.llama_set_n_threads(self._context, num_threads, num_threads)
            self.num_threads = num_threads

    def logits(self, row: int) -> Floats:
        """The logits of a row of the last batch, shape (vocabulary,); overwritten by the next."""
        pointer = self._lib.llama_get_logits_ith(self._context, row)
        if not pointer:
            raise DecodeError(f"{self.config.name}: {self.title} has no logits for row {row}.")
        array: Floats = np.ctypeslib.as_array(pointer, shape=(self._num_vocab,))
        return array

    # State -----------------------------------------------------------------

    def sequence_state(self, seq_id: int) -> bytes:
        """What the cache holds of a sequence, in the library's own form; empty if it says none."""
        size = self._lib.llama_state_seq_get_size_ext(self._context, seq_id, 0)
        buffer = (ctypes.c_uint8 * size)()
        written = self._lib.llama_state_seq_get_data_ext(self._context, buffer, size, seq_id, 0)
        return bytes(buffer) if written == size else b""

    def set_sequence_state(self, seq_id: int, state: bytes) -> bool:
        """Give an empty sequence the cells of such a state; False when the library refuses."""
        start = ctypes.cast(ctypes.c_char_p(state), ctypes.POINTER(ctypes.c_uint8))
        read = self._lib.llama_state_seq_set_data_ext(self._context, start, len(state), seq_id, 0)
        return bool(read == len(state))

    # End -------------------------------------------------------------------

    def _free_context(self) -> None:
        if self._batch is not None:
            self._lib.llama_batch_free(self._batch)
            self._batch = None
        if self._context is not None:
            self._lib.llama_free(self._context)
            self._context = None

    def _free_model(self) -> None:
        if self._model:
            self._lib.llama_model_free(self._model)
            self._model = None

    def close(self) -> None:
        """Free context and model."""
        self._free_context()
        self._free_model()
