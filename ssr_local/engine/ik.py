"""The binding of ik_llama.cpp. The only module that imports ``ik_llama_cpp``.

Its Python package declares few of the C functions; ``FUNCTIONS`` declares the others. The
library is an older relative: one unified KV cache that must not have gaps, no error after
an abort, and draws that share one generator (``engine.sampler`` draws instead).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from typing import Any

from ik_llama_cpp import _ctypes_api as api

from ssr_local.core.errors import EngineUnavailable
from ssr_local.engine.base import EngineConfig
from ssr_local.engine.binding import ABORT_CALLBACK, BatchRow, DecodeResult, GGUFBinding
from ssr_local.engine.library_log import log_callback
from ssr_local.engine.packages import FLASH_ATTENTION, KNOWN_IK_VERSIONS, PACKAGES, version

# One defragmentation moves about 1300 / layers groups of cells at most, llama.cpp's of that
# time; this is less, and calls with nothing to move cost next to nothing.
_MOVES_TIMES_LAYERS = 900

_model = _vocab = _context = ctypes.c_void_p
_token = _position = _seq_id = _int = ctypes.c_int32
_text, _bool = ctypes.c_char_p, ctypes.c_bool
_floats, _tokens = ctypes.POINTER(ctypes.c_float), ctypes.POINTER(ctypes.c_int32)
_bytes, _size, _flags = ctypes.POINTER(ctypes.c_uint8), ctypes.c_size_t, ctypes.c_uint32
_model_params, _context_params = api.llama_model_params, api.llama_context_params

FUNCTIONS: dict[str, tuple[list[Any], Any]] = {
    "llama_backend_init": ([], None),
    "llama_log_set": ([type(log_callback), ctypes.c_void_p], None),
    "llama_print_system_info": ([], _text),
    "llama_model_default_params": ([], _model_params),
    "llama_context_default_params": ([], _context_params),
    "llama_model_load_from_file": ([_text, _model_params], _model),
    "llama_model_free": ([_model], None),
    "llama_model_is_recurrent": ([_model], _bool),
    "llama_model_is_hybrid": ([_model], _bool),
    "llama_model_n_params": ([_model], ctypes.c_uint64),
    "llama_model_n_ctx_train": ([_model], _int),
    "llama_model_chat_template": ([_model, _text], _text),
    "llama_model_get_vocab": ([_model], _vocab),
    "llama_vocab_n_tokens": ([_vocab], _int),
    "llama_vocab_get_text": ([_vocab, _token], _text),
    "llama_vocab_bos": ([_vocab], _token),
    "llama_vocab_eos": ([_vocab], _token),
    "llama_vocab_get_add_bos": ([_vocab], _bool),
    "llama_vocab_is_eog": ([_vocab, _token], _bool),
    "llama_token_get_attr": ([_model, _token], ctypes.c_int),
    "llama_tokenize": ([_vocab, _text, _int, _tokens, _int, _bool, _bool], _int),
    "llama_token_to_piece": ([_vocab, _token, _text, _int, _int, _bool], _int),
    "llama_init_from_model": ([_model, _context_params], _context),
    "llama_free": ([_context], None),
    "llama_n_ctx": ([_context], ctypes.c_uint32),
    "llama_batch_init": ([_int, _int, _int], api.llama_batch),
    "llama_batch_free": ([api.llama_batch], None),
    "llama_decode": ([_context, api.llama_batch], _int),
    "llama_set_n_threads": ([_context, ctypes.c_uint32, ctypes.c_uint32], None),
    "llama_synchronize": ([_context], None),
    "llama_get_logits_ith": ([_context, _int], _floats),
    "llama_set_abort_callback": ([_context, ABORT_CALLBACK, ctypes.c_void_p], None),
    "llama_kv_cache_clear": ([_context], None),
    "llama_kv_cache_defrag": ([_context], None),
    "llama_kv_cache_update": ([_context], _int),
    "llama_kv_cache_seq_rm": ([_context, _seq_id, _position, _position], _bool),
    "llama_kv_cache_seq_cp": ([_context, _seq_id, _seq_id, _position, _position], None),
    "llama_kv_cache_seq_pos_max": ([_context, _seq_id], _position),
    "llama_kv_cache_seq_pos_min": ([_context, _seq_id], _position),
    "llama_state_seq_get_size_ext": ([_context, _seq_id, _flags], _size),
    "llama_state_seq_get_data_ext": ([_context, _bytes, _size, _seq_id, _flags], _size),
    "llama_state_seq_set_data_ext": ([_context, _bytes, _size, _seq_id, _flags], _size),
}
"""Name (llama.cpp's, where that has the function) -> arguments, result."""

OWN_NAMES = {
    "llama_model_free": "llama_free_model",
    "llama_model_n_ctx_train": "llama_n_ctx_train",
    "llama_tokenize": "llama_vocab_tokenize",
    "llama_token_to_piece": "llama_token_to_piece_vocab",
    "llama_state_seq_get_size_ext": "llama_state_seq_get_size",
    "llama_state_seq_get_data_ext": "llama_state_seq_get_data",
    "llama_state_seq_set_data_ext": "llama_state_seq_set_data",
}
"""What the library calls some of them."""


class Library:
    """The loaded library's functions under our names.

    Raises ``EngineUnavailable`` when the package is another version than the ones the
    declarations were made for, or lacks one of the functions.
    """

    def __init__(self) -> None:
        package, found = PACKAGES["ik"], version("ik")
        if found not in KNOWN_IK_VERSIONS:
            raise EngineUnavailable(
                f"{package} {found} is not a version this program knows.",
                f"Its structures may not be those of {', '.join(KNOWN_IK_VERSIONS)}.",
                f"Run: pip install '{package}=={KNOWN_IK_VERSIONS[-1]}', or use --engine llama.",
            )
        # Function objects of our own: the package's declarations stay as they are.
        library = ctypes.CDLL(api._lib._name)
        for name, (arguments, result) in FUNCTIONS.items():
            symbol = OWN_NAMES.get(name, name)
            try:
                function = getattr(library, symbol)
            except AttributeError as error:
                raise EngineUnavailable(
                    f"{package} {found} lacks the function {symbol}.",
                    "",
                    f"Run: pip install --force-reinstall '{package}=={KNOWN_IK_VERSIONS[-1]}'.",
                ) from error
            function.argtypes, function.restype = arguments, result
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Any:  # for type checkers: set in __init__
        raise AttributeError(name)


_library: Library | None = None


def start_backend() -> Library:
    """Install our log callback and initialise the library. Cheap when already done."""
    global _library
    if _library is None:
        library = Library()
        library.llama_log_set(log_callback, None)
        library.llama_backend_init()
        _library = library
    return _library


class IkBinding(GGUFBinding):
    """One GGUF file loaded by ik_llama.cpp, on the CPU."""

    engine = "ik"

    def __init__(
        self, config: EngineConfig, should_stop: Callable[[], bool] = lambda: False
    ) -> None:
        self._lib = start_backend()
        self._num_removed = 0
        super().__init__(config, should_stop)

    # Loading ---------------------------------------------------------------

    def _load(self, num_cells: int) -> None:
        parameters = self._lib.llama_model_default_params()
        parameters.n_gpu_layers = 0
        parameters.repack_tensors = self.config.repack
        parameters.use_mmap = not self.config.repack
        parameters.flash_attn = _flash_attention()
        if not (self._load_model(parameters) and self._open_context(num_cells)):
            raise self._refused()

    def _set_context_parameters(self, parameters: Any) -> None:
        parameters.flash_attn = _flash_attention()

    def _attribute(self, token: int) -> int:
        return int(self._lib.llama_token_get_attr(self._model, token))

    def _device(self) -> str:
        return "cpu"

    # Evaluation ------------------------------------------------------------

    def decode(self, rows: Sequence[BatchRow]) -> DecodeResult:
        result = super().decode(rows)
        if self._interruptible and self._should_stop():
            return "aborted"  # the library does not say so, and the rows are half done
        return result

    def fill(self, rows: Sequence[BatchRow]) -> None:
        self._close_gaps()
        super().fill(rows)

    def _close_gaps(self) -> None:
        """Move cells together before anything is written into a gap.

        A batch needs cells in a row. And in 0.1.5 a token that is put into a gap is
        evaluated without the cells after it, and comes out wrong without a word.
        """
        if not self._num_removed:
            return
        moves_per_call = max(1, _MOVES_TIMES_LAYERS // max(1, self._header.num_layers))
        for _ in range(self._num_removed // moves_per_call + 1):
            self._lib.llama_kv_cache_defrag(self._context)
            self._lib.llama_kv_cache_update(self._context)
        self._num_removed = 0

    # KV cache --------------------------------------------------------------

    def copy_sequence(self, source: int, destination: int) -> None:
        self._lib.llama_kv_cache_seq_cp(self._context, source, destination, -1, -1)

    def remove_cells(self, seq_id: int, start: int) -> bool:
        self._num_removed += max(0, self.last_position(seq_id) - start + 1)
        return bool(self._lib.llama_kv_cache_seq_rm(self._context, seq_id, start, -1))

    def last_position(self, seq_id: int) -> int:
        if self._lib.llama_kv_cache_seq_pos_min(self._context, seq_id) < 0:
            return -1  # of a sequence without cells the largest position is said to be 0
        return int(self._lib.llama_kv_cache_seq_pos_max(self._context, seq_id))

    def set_sequence_state(self, seq_id: int, state: bytes) -> bool:
        self._close_gaps()
        return super().set_sequence_state(seq_id, state)

    def reset(self) -> None:
        self._lib.llama_kv_cache_clear(self._context)
        self._num_removed = 0


def _flash_attention() -> bool:
    """Off, because with it forked sequences decode to garbage."""
    return os.environ.get(FLASH_ATTENTION) == "1"
