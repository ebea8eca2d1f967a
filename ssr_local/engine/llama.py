"""The binding of llama.cpp. The only module that imports ``llama_cpp``.

It uses the low-level C functions alone: the package's ``Llama`` class redirects file
descriptors 1 and 2 of the whole process, and a terminal app draws there.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import llama_cpp
from llama_cpp._ggml import libggml

from ssr_local.core.display import one_line
from ssr_local.engine.base import EngineConfig
from ssr_local.engine.binding import CPU_CHUNK, NUM_BATCH, NUM_OUTPUTS, GGUFBinding
from ssr_local.engine.devices import Device, DeviceKind, place_layers, step_down
from ssr_local.engine.library_log import log_callback
from ssr_local.models.gguf.header import GGUFHeader, estimate_kv_bytes

_DEVICE_KINDS: dict[int, DeviceKind] = {0: "cpu", 1: "gpu", 2: "igpu"}
_LOAD_MODE_NONE = 0
# A list of devices that ends at once. Without one llama.cpp sends large batches of a model on
# the CPU to the GPU all the same, and ends the process where that has no memory left.
_NO_DEVICES = (ctypes.c_void_p * 1)()

_backend_ready = False


def start_backend() -> None:
    """Install our log callback and initialise llama.cpp. Cheap when already done."""
    global _backend_ready
    if not _backend_ready:
        llama_cpp.llama_log_set(log_callback, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        _backend_ready = True


def system_info() -> str:
    """What the installed library was built for, in its own words."""
    start_backend()
    return str(llama_cpp.llama_print_system_info().decode("utf-8", "replace"))


def supports_gpu_offload() -> bool:
    """Whether the installed library has a GPU back end at all."""
    start_backend()
    return bool(llama_cpp.llama_supports_gpu_offload())


def devices() -> tuple[Device, ...]:
    """The compute devices the library sees, the CPU included."""
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


class LlamaBinding(GGUFBinding):
    """One GGUF file loaded by llama.cpp."""

    engine = "llama"
    _lib = llama_cpp

    def __init__(
        self, config: EngineConfig, should_stop: Callable[[], bool] = lambda: False
    ) -> None:
        start_backend()
        super().__init__(config, should_stop)

    # Loading ---------------------------------------------------------------

    def _load(self, num_cells: int) -> None:
        # To ask a GPU for its free memory takes some of it.
        found = devices() if self.config.gpu_layers else ()
        placement = place_layers(
            num_layers=self._header.num_layers,
            file_bytes=self._header.file_bytes,
            kv_bytes=estimate_kv_bytes(self._header, num_cells),
            compute_bytes=_compute_bytes(self._header),
            devices=found,
            requested=self.config.gpu_layers,
        )
        layers: int | None = placement.gpu_layers
        has_gpu = any(device.kind in ("gpu", "igpu") for device in found)
        is_partial = placement.gpu_layers <= self._header.num_layers
        if is_partial and (has_gpu or self.config.gpu_layers > 0):
            self._note(f"{self.config.name}: {placement.reason}")
        while layers is not None:
            if self._try_load(layers, num_cells):
                return
            fewer = step_down(layers)
            if fewer is not None:
                failed = f"loading {layers} layers onto the GPU failed"
                self._note(f"{self.config.name}: {failed}, trying {fewer}.")
            layers = fewer
        raise self._refused()

    def _try_load(self, gpu_layers: int, num_cells: int) -> bool:
        self.gpu_layers = gpu_layers
        self.num_chunk = NUM_BATCH if gpu_layers >= self._header.num_layers else CPU_CHUNK
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = gpu_layers
        parameters.use_extra_bufts = self.config.repack
        if gpu_layers == 0:
            parameters.devices = ctypes.cast(_NO_DEVICES, ctypes.c_void_p)
        if gpu_layers == 0 and self.config.repack:
            # The CPU's kernels repack the weights at load; with a memory map the
            # original pages would stay resident beside them.
            parameters.load_mode = _LOAD_MODE_NONE
        if not self._load_model(parameters):
            return False
        if self._open_context(num_cells):
            return True
        self._free_model()
        return False

    def _enlarge(self, num_cells: int) -> bool:
        """Also by taking layers off the GPU, whose memory was shared out for a smaller cache."""
        if self._open_context(num_cells):
            return True
        before = self.gpu_layers
        layers = step_down(before)
        while layers is not None:
            self._free_model()
            if self._try_load(layers, num_cells):
                self._note(
                    f"{self.config.name}: {layers} layers on the GPU instead of {before},"
                    f" so that a KV cache of {num_cells} cells fits."
                )
                return True
            layers = step_down(layers)
        if not self._model and not self._try_load(before, self._wanted_cells(1)):
            raise self._refused()
        self._free_context()
        return False

    def _set_context_parameters(self, parameters: Any) -> None:
        parameters.n_outputs_max = parameters.n_outputs_max_per_seq = NUM_OUTPUTS
        parameters.kv_unified = True
        # Cells outside a sliding window must stay: paths are truncated and forked there.
        parameters.swa_full = True
        parameters.no_perf = True

    def _attribute(self, token: int) -> int:
        return int(llama_cpp.llama_vocab_get_attr(self._vocab, token))

    def _device(self) -> str:
        found = devices() if self.gpu_layers else ()
        gpus = [device for device in found if device.kind in ("gpu", "igpu")]
        if not gpus:
            return "cpu"
        share = min(self.gpu_layers, self._header.num_layers + 1)
        return f"{gpus[0].name} ({share}/{self._header.num_layers + 1} layers)"

    # KV cache --------------------------------------------------------------

    @property
    def _memory(self) -> Any:
        return llama_cpp.llama_get_memory(self._context)

    def copy_sequence(self, source: int, destination: int) -> None:
        llama_cpp.llama_memory_seq_cp(self._memory, source, destination, -1, -1)

    def remove_cells(self, seq_id: int, start: int) -> bool:
        return bool(llama_cpp.llama_memory_seq_rm(self._memory, seq_id, start, -1))

    def last_position(self, seq_id: int) -> int:
        return int(llama_cpp.llama_memory_seq_pos_max(self._memory, seq_id))

    def reset(self) -> None:
        llama_cpp.llama_memory_clear(self._memory, False)


def _compute_bytes(header: GGUFHeader) -> int:
    """Scratch memory of one context: the logits' rows twice, and the widest activations."""
    rows = 2 * NUM_OUTPUTS * header.vocabulary_size * 4
    return int(rows + NUM_BATCH * header.embedding_length * 4 * 16)
