"""llama.cpp behind the engine protocol. The only module that imports ``llama_cpp``.

It uses the low-level C functions alone: the package's ``Llama`` class redirects file
descriptors 1 and 2 of the whole process, and a terminal app draws there.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import llama_cpp
import numpy as np
import numpy.typing as npt
from llama_cpp._ggml import libggml

from ssr_local.display import one_line
from ssr_local.engine.base import Cancelled, Sampling, Vocabulary
from ssr_local.engine.devices import Device, DeviceKind, physical_cores, place_layers, step_down
from ssr_local.engine.native import BatchRow, DecodeResult, Floats, NativeEngine
from ssr_local.errors import DecodeError, ModelUnusableError
from ssr_local.gguf.header import GGUFHeader, estimate_kv_bytes, read_header
from ssr_local.records import ModelInfo

_LOG_INFO = 2
_LOG_CONTINUED = 5
_LOG_LINES = 200

_NUM_BATCH = 512
# Rows of logits read from one call. Each costs 4 bytes x vocabulary twice (the graph's and
# the context's buffer), 1.2 MB for a vocabulary of 150,000.
_NUM_OUTPUTS = 32
# Paths, their shared prefix, and one for selection.
_MAX_SEQUENCES = 14
_CELL_BLOCK = 256
# Larger chunks prefill faster (1.5B, 2 cores: 79, 85, 85, 89 and 90 tokens/s in chunks of 32,
# 64, 128, 256 and 512 tokens), but with 256 a pair takes 30 MB more scratch memory.
_CPU_CHUNK = 128
# Batches of at least so many rows ask between the graph's nodes whether to stop. On a
# processor such a batch can take seconds; for a few rows the asking would cost as much as 4 %.
_INTERRUPTIBLE_ROWS = 16
# The nucleus is looked for among so many tokens: sorting a whole vocabulary for every
# token of every path would cost ten times as much and change nothing that is drawn.
_TOP_K = 256

_DEVICE_KINDS: dict[int, DeviceKind] = {0: "cpu", 1: "gpu", 2: "igpu"}
_ABORTED = 2
_NO_ABORT_CALLBACK = llama_cpp.ggml_abort_callback(0)
_NO_SLOT = 1

_LOAD_MODE_NONE = 0
_UNUSED_TOKEN = llama_cpp.LLAMA_TOKEN_ATTR_UNUSED
_UNDEFINED_TOKEN = llama_cpp.LLAMA_TOKEN_ATTR_UNDEFINED

log_lines: deque[str] = deque(maxlen=_LOG_LINES)
"""The last lines llama.cpp wrote, oldest first."""

_log_file: IO[str] | None = None
_last_level = _LOG_INFO


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _log_callback(level: int, text: bytes, _user_data: ctypes.c_void_p) -> None:
    global _last_level
    if level != _LOG_CONTINUED:
        _last_level = level
    if _last_level < _LOG_INFO or not text:
        return
    line = text.decode("utf-8", "replace")
    log_lines.append(line.rstrip("\n"))
    if _log_file is not None:
        _log_file.write(line)
        _log_file.flush()


_backend_ready = False


def start_backend(log_file: IO[str] | None = None) -> None:
    """Install our log callback and initialise llama.cpp. Cheap when already done.

    With no ``log_file`` nothing is written anywhere; ``log_lines`` has the last lines.
    """
    global _backend_ready, _log_file
    _log_file = log_file or _log_file
    if not _backend_ready:
        llama_cpp.llama_log_set(_log_callback, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        _backend_ready = True


def version() -> str:
    """The version of the llama-cpp-python package."""
    return str(llama_cpp.__version__)


def system_info() -> str:
    """What the installed library was built for, in its own words."""
    start_backend()
    return str(llama_cpp.llama_print_system_info().decode("utf-8", "replace"))


def supports_gpu_offload() -> bool:
    """Whether the installed library has a GPU back end at all."""
    start_backend()
    return bool(llama_cpp.llama_supports_gpu_offload())


def devices() -> tuple[Device, ...]:
    """The compute devices the library sees, the processor included."""
    start_backend()
    functions = _device_functions()
    found: list[Device] = []
    for index in range(functions["count"]()):
        device = functions["get"](index)
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        functions["memory"](device, ctypes.byref(free), ctypes.byref(total))
        kind = functions["type"](device)
        found.append(
            Device(
                name=_text(functions["name"](device)),
                description=_text(functions["description"](device)),
                kind=_DEVICE_KINDS.get(kind, "accel"),
                free_bytes=free.value,
                total_bytes=total.value,
            )
        )
    return tuple(found)


def _text(raw: bytes | None) -> str:
    return one_line((raw or b"").decode("utf-8", "replace"), 300)


def _device_functions() -> dict[str, Any]:
    """ggml's device functions; the package declares none of them."""
    signatures: dict[str, tuple[list[Any], Any]] = {
        "count": ([], ctypes.c_size_t),
        "get": ([ctypes.c_size_t], ctypes.c_void_p),
        "name": ([ctypes.c_void_p], ctypes.c_char_p),
        "description": ([ctypes.c_void_p], ctypes.c_char_p),
        "type": ([ctypes.c_void_p], ctypes.c_int),
        "memory": (
            [ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_size_t)],
            None,
        ),
    }
    functions: dict[str, Any] = {}
    for name, (arguments, result) in signatures.items():
        function = getattr(libggml, f"ggml_backend_dev_{name}")
        function.argtypes, function.restype = arguments, result
        functions[name] = function
    return functions


class LlamaBinding:
    """One GGUF file loaded by llama.cpp, with one context."""

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        sha256: str | None = None,
        gpu_layers: int = -1,
        threads: int = 0,
        num_cells: int = 2048,
        max_cells: int | None = None,
        num_parameters: int | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        start_backend()
        self.path = path
        self.notes: tuple[str, ...] = ()
        self.max_sequences = _MAX_SEQUENCES
        self.num_outputs = _NUM_OUTPUTS
        self._name, self._sha256 = name, sha256
        self._threads = threads or physical_cores()
        self._max_cells = max_cells
        self._num_parameters = num_parameters
        self._should_stop = should_stop
        self._abort_callback = llama_cpp.ggml_abort_callback(lambda _data: should_stop())
        self._model: Any = None
        self._context: Any = None
        self._batch: Any = None
        self._header = read_header(path)
        try:
            self._load(gpu_layers, self._wanted_cells(num_cells))
            self._describe()
        except BaseException:
            self.close()
            raise

    # Loading ---------------------------------------------------------------

    def _load(self, requested_layers: int, num_cells: int) -> None:
        placement = place_layers(
            num_layers=self._header.num_layers,
            file_bytes=self._header.file_bytes,
            kv_bytes=estimate_kv_bytes(self._header, num_cells),
            compute_bytes=_compute_bytes(self._header),
            devices=devices(),
            requested=requested_layers,
        )
        layers: int | None = placement.gpu_layers
        has_gpu = any(device.kind in ("gpu", "igpu") for device in devices())
        if (has_gpu or requested_layers > 0) and placement.gpu_layers <= self._header.num_layers:
            self._note(f"{self._name}: {placement.reason}")
        while layers is not None:
            if self._try_load(layers, num_cells):
                return
            fewer = step_down(layers)
            if fewer is not None:
                self._note(
                    f"{self._name}: loading {layers} layers onto the GPU failed, trying {fewer}."
                )
            layers = fewer
        raise ModelUnusableError(
            f"{self.path}: llama.cpp cannot load this model.",
            _last_complaint(),
            "Check the file with 'ssr-local models verify', or try a smaller --ctx.",
        )

    def _try_load(self, gpu_layers: int, num_cells: int) -> bool:
        self.gpu_layers = gpu_layers
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = gpu_layers
        if gpu_layers == 0:
            # The processor's kernels repack the weights at load; with a memory map the
            # original pages would stay resident beside them.
            parameters.load_mode = _LOAD_MODE_NONE
        callback = llama_cpp.llama_progress_callback(lambda _done, _data: not self._should_stop())
        parameters.progress_callback = callback
        self._model = llama_cpp.llama_model_load_from_file(
            str(self.path).encode("utf-8"), parameters
        )
        if not self._model:
            if self._should_stop():
                raise Cancelled
            return False
        self._memory_kind()
        self._size_batches()
        if self._open_context(num_cells):
            return True
        llama_cpp.llama_model_free(self._model)
        self._model = None
        return False

    def _memory_kind(self) -> None:
        recurrent = llama_cpp.llama_model_is_recurrent(self._model)
        hybrid = llama_cpp.llama_model_is_hybrid(self._model)
        self.can_truncate = not (recurrent or hybrid)
        if not self.can_truncate:
            self._note(
                f"{self._name} has recurrent memory, which cannot be cut back:"
                " after every probe and rejected step its whole path is prefilled again."
            )

    def _open_context(self, num_cells: int) -> bool:
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = num_cells
        parameters.n_batch = parameters.n_ubatch = self._num_batch
        parameters.n_seq_max = _MAX_SEQUENCES
        parameters.n_outputs_max = parameters.n_outputs_max_per_seq = _NUM_OUTPUTS
        parameters.n_threads = parameters.n_threads_batch = self._threads
        parameters.kv_unified = True
        # Cells outside a sliding window must stay: paths are cut back and forked there.
        parameters.swa_full = True
        parameters.no_perf = True
        context = llama_cpp.llama_init_from_model(self._model, parameters)
        if not context:
            return False
        self._context = context
        self._interruptible = False
        self._memory = llama_cpp.llama_get_memory(context)
        self.num_cells = int(llama_cpp.llama_n_ctx(context))
        trained = int(llama_cpp.llama_model_n_ctx_train(self._model))
        self.context_length = trained or self.num_cells
        self._new_batch()
        return True

    def _size_batches(self) -> None:
        on_gpu = self.gpu_layers >= self._header.num_layers
        self.num_chunk = self._num_batch = _NUM_BATCH if on_gpu else _CPU_CHUNK

    def _wanted_cells(self, num_cells: int) -> int:
        limit = self._max_cells or num_cells
        return -(-min(num_cells, limit) // _CELL_BLOCK) * _CELL_BLOCK

    def resize(self, num_cells: int) -> None:
        """A context with that many cells, or as many as the limit given at load allows."""
        wanted = self._wanted_cells(num_cells)
        if wanted <= self.num_cells:
            return
        old = self.num_cells
        self._free_context()
        if not self._open_context(wanted):
            self._note(
                f"{self._name}: no memory for a KV cache of {wanted} cells, staying at {old}."
            )
            if not self._open_context(old):
                raise ModelUnusableError(
                    f"{self._name}: no memory for a KV cache of {old} cells.",
                    _last_complaint(),
                    "Close other programs, or give a smaller --ctx or --paths.",
                )
        self._describe()

    def _describe(self) -> None:
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self._num_vocab = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        # The library counts a tied embedding twice where the file holds it twice.
        num_parameters = self._num_parameters or int(llama_cpp.llama_model_n_params(self._model))
        self.info = ModelInfo(
            name=self._name,
            file=str(self.path),
            sha256=self._sha256,
            num_parameters=num_parameters,
            num_vocab=self._num_vocab,
            num_ctx=self.num_cells,
            device=self._device(),
            kv_bytes=estimate_kv_bytes(self._header, self.num_cells),
        )
        template = llama_cpp.llama_model_chat_template(self._model, None)
        self.chat_template = template.decode("utf-8", "replace") if template else None
        if not hasattr(self, "vocabulary"):
            self.vocabulary = self._read_vocabulary()

    def _device(self) -> str:
        gpus = [device for device in devices() if device.kind in ("gpu", "igpu")]
        if self.gpu_layers == 0 or not gpus:
            return "cpu"
        share = min(self.gpu_layers, self._header.num_layers + 1)
        return f"{gpus[0].name} ({share}/{self._header.num_layers + 1} layers)"

    def _read_vocabulary(self) -> Vocabulary:
        digest = hashlib.sha256()
        special: list[str] = []
        for token in range(self._num_vocab):
            kind = llama_cpp.llama_vocab_get_attr(self._vocab, token)
            if kind == _UNDEFINED_TOKEN or kind & _UNUSED_TOKEN:
                continue  # padding; sizes differ between models of one family
            text = llama_cpp.llama_vocab_get_text(self._vocab, token) or b""
            digest.update(b"%d:%d:" % (token, len(text)) + text)
            if llama_cpp.llama_vocab_is_control(self._vocab, token) and text:
                special.append(text.decode("utf-8", "replace"))
        bos = llama_cpp.llama_vocab_bos(self._vocab)
        eos = llama_cpp.llama_vocab_eos(self._vocab)
        return Vocabulary(
            fingerprint=digest.hexdigest(),
            num_tokens=self._num_vocab,
            bos_text=self._token_text(bos),
            eos_text=self._token_text(eos),
            add_bos=bool(llama_cpp.llama_vocab_get_add_bos(self._vocab)),
            special_texts=tuple(special),
        )

    def _token_text(self, token: int) -> str:
        if token < 0:
            return ""
        return (llama_cpp.llama_vocab_get_text(self._vocab, token) or b"").decode(
            "utf-8", "replace"
        )

    def _note(self, text: str) -> None:
        if text not in self.notes:  # loading again with fewer layers would repeat some
            self.notes = (*self.notes, text)

    # Text ------------------------------------------------------------------

    def tokenize(self, text: str, special: bool) -> list[int]:
        """Token ids; no beginning-of-sequence token is added."""
        raw = text.encode("utf-8", "replace")
        size = len(raw) + 16
        buffer = (llama_cpp.llama_token * size)()
        count = llama_cpp.llama_tokenize(self._vocab, raw, len(raw), buffer, size, False, special)
        if count < 0:
            raise DecodeError(f"{self._name}: the text could not be tokenized.")
        return list(buffer[:count])

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; control tokens have none."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, size, 0, False)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def is_end(self, token: int) -> bool:
        return bool(llama_cpp.llama_vocab_is_eog(self._vocab, token))

    # Evaluation ------------------------------------------------------------

    def _new_batch(self) -> None:
        self._batch = llama_cpp.llama_batch_init(self._num_batch, 0, 1)
        size = (self._num_batch,)
        view: Callable[..., npt.NDArray[Any]] = np.ctypeslib.as_array
        self._tokens = view(self._batch.token, size)
        self._positions = view(self._batch.pos, size)
        self._wanted = view(self._batch.logits, size)
        view(self._batch.n_seq_id, size)[:] = 1
        self._seq_ids = [self._batch.seq_id[i] for i in range(self._num_batch)]

    def decode(self, rows: Sequence[BatchRow]) -> DecodeResult:
        count = len(rows)
        self._tokens[:count] = [row.token for row in rows]
        self._positions[:count] = [row.position for row in rows]
        self._wanted[:count] = [row.logits for row in rows]
        for pointer, row in zip(self._seq_ids, rows, strict=False):
            pointer[0] = row.seq_id
        self._batch.n_tokens = count
        self._set_interruptible(count >= _INTERRUPTIBLE_ROWS)
        code = llama_cpp.llama_decode(self._context, self._batch)
        if code == 0:
            return "ok"
        if code == _NO_SLOT:
            return "no_slot"
        return "aborted" if code == _ABORTED else "failed"

    def _set_interruptible(self, wanted: bool) -> None:
        if wanted != self._interruptible:
            callback = self._abort_callback if wanted else _NO_ABORT_CALLBACK
            llama_cpp.llama_set_abort_callback(self._context, callback, None)
            self._interruptible = wanted

    def logits(self, row: int) -> Floats:
        pointer = llama_cpp.llama_get_logits_ith(self._context, row)
        if not pointer:
            raise DecodeError(f"{self._name}: llama.cpp has no logits for row {row}.")
        array: Floats = np.ctypeslib.as_array(pointer, shape=(self._num_vocab,))
        return array

    def new_sampler(self, sampling: Sampling) -> Any:
        chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        if sampling.temperature <= 0:
            stages = [llama_cpp.llama_sampler_init_greedy()]
        else:
            stages = [
                llama_cpp.llama_sampler_init_top_k(_TOP_K),
                llama_cpp.llama_sampler_init_temp(sampling.temperature),
                llama_cpp.llama_sampler_init_top_p(sampling.top_p, 1),
                llama_cpp.llama_sampler_init_dist(sampling.seed),
            ]
        for stage in stages:
            llama_cpp.llama_sampler_chain_add(chain, stage)
        return chain

    def free_sampler(self, sampler: Any) -> None:
        llama_cpp.llama_sampler_free(sampler)

    def sample(self, sampler: Any, row: int) -> int:
        return int(llama_cpp.llama_sampler_sample(sampler, self._context, row))

    # KV cache --------------------------------------------------------------

    def copy_sequence(self, source: int, destination: int) -> None:
        llama_cpp.llama_memory_seq_cp(self._memory, source, destination, -1, -1)

    def remove_cells(self, seq_id: int, start: int) -> bool:
        return bool(llama_cpp.llama_memory_seq_rm(self._memory, seq_id, start, -1))

    def last_position(self, seq_id: int) -> int:
        return int(llama_cpp.llama_memory_seq_pos_max(self._memory, seq_id))

    def reset(self) -> None:
        """An empty cache in its first state, so that equal runs use equal cells."""
        llama_cpp.llama_memory_clear(self._memory, False)

    def _free_context(self) -> None:
        if self._batch is not None:
            llama_cpp.llama_batch_free(self._batch)
            self._batch = None
        if self._context is not None:
            llama_cpp.llama_free(self._context)
            self._context = None

    def close(self) -> None:
        self._free_context()
        if self._model:
            llama_cpp.llama_model_free(self._model)
            self._model = None


def load_engine(
    path: Path,
    *,
    name: str,
    sha256: str | None = None,
    gpu_layers: int = -1,
    threads: int = 0,
    num_cells: int = 2048,
    max_cells: int | None = None,
    num_parameters: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> NativeEngine:
    """Load a GGUF file.

    ``num_parameters`` is the official count where it is known. ``gpu_layers`` -1 puts as
    many layers on the GPU as fit; ``threads`` 0 takes one a physical core; ``num_cells`` is
    the KV cache's first size and ``max_cells`` the size it may grow to (None: as large as
    asked). Raises ``ModelDamagedError`` for a file that is not a sound GGUF file and
    ``ModelUnusableError`` when llama.cpp refuses it.
    """
    binding = LlamaBinding(
        path,
        name=name,
        sha256=sha256,
        gpu_layers=gpu_layers,
        threads=threads,
        num_cells=num_cells,
        max_cells=max_cells,
        num_parameters=num_parameters,
        should_stop=should_stop,
    )
    return NativeEngine(binding, should_stop)


def _compute_bytes(header: GGUFHeader) -> int:
    """Scratch memory of one context: the logits' rows twice, and the widest activations."""
    rows = 2 * _NUM_OUTPUTS * header.vocabulary_size * 4
    return int(rows + _NUM_BATCH * header.embedding_length * 4 * 16)


def _last_complaint() -> str:
    """The most telling of llama.cpp's last lines."""
    for line in reversed(log_lines):
        if "error" in line.lower() or "fail" in line.lower():
            return one_line(line, 300)
    return one_line(log_lines[-1], 300) if log_lines else ""
