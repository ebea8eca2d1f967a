"""What a GGUF file says about itself: a record of its header, for files nobody vouches for.

Nothing is read from the tensors, but their extents must lie inside the file, so that a
download cut short is found before llama.cpp maps it.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ssr_local.core.display import one_line
from ssr_local.core.errors import ModelDamagedError, ModelNotFoundError, ModelUnusableError
from ssr_local.models.gguf.reader import (
    BadHeaderError,
    HeaderReader,
    KeyValues,
    check_extents,
    read_counts,
    read_tensor,
)
from ssr_local.models.split import split_parts

_FILE_TYPES = {
    **{0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1"},
    **{10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M"},
    **{16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S"},
    **{22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M"},
    **{28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0"},
    **{37: "TQ2_0", 38: "MXFP4", 39: "NVFP4", 40: "Q1_0", 41: "Q2_0"},
}

_MAX_SHOWN_CHARS = 300


class GGUFHeader(Struct, frozen=True, kw_only=True):
    """What a GGUF file says about itself; nothing in it is trusted beyond its type.

    ``metadata`` holds the scalars exactly as they stand in the file (control characters
    too; invalid UTF-8 as U+FFFD), ``array_lengths`` the length of every array, ``arrays``
    the numeric ones of at most 1024 elements. ``long_strings`` has the bytes of the strings
    too long to keep (over 1 MiB). The properties raise ``ModelDamagedError`` when the value they
    need is missing or has the wrong type.
    """

    path: Path
    num_parameters: int
    metadata: dict[str, str | int | float | bool]
    array_lengths: dict[str, int]
    arrays: dict[str, tuple[int | float | bool, ...]]
    long_strings: dict[str, int]
    file_bytes: int

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the architecture, such as ``qwen2``."""
        return str(self.metadata["general.architecture"])

    @property
    def title(self) -> str:
        """The model's name, else the file's, without control characters, at most 80 long."""
        name = self.metadata.get("general.name", "")
        if not isinstance(name, str):
            raise self._wrong("general.name")
        return one_line(name, 80) or one_line(self.path.name, 80) or "unnamed model"

    @property
    def num_layers(self) -> int:
        """Transformer (or recurrent) blocks, at least 1."""
        return self._positive("block_count")

    @property
    def context_length(self) -> int:
        """Tokens the model was trained on at once."""
        return self._positive("context_length")

    @property
    def embedding_length(self) -> int:
        """Width of the residual stream."""
        return self._positive("embedding_length")

    @property
    def num_heads(self) -> int:
        """Attention heads (of the layer that has most); 0 for a model without attention."""
        return max(self._per_layer("attention.head_count"), default=0)

    @property
    def vocabulary_size(self) -> int:
        """Tokens in the vocabulary."""
        length = self.array_lengths.get("tokenizer.ggml.tokens")
        return length if length is not None else self._positive("vocab_size")

    @property
    def file_type(self) -> str | None:
        """The quantisation's name, such as ``Q4_K_M``; None when not said or not known."""
        number = self._whole("general.file_type")
        return None if number is None else _FILE_TYPES.get(number)

    def kv_elements_per_cell(self) -> int:
        """Elements of keys and values that one token occupies over all layers."""
        heads = self._per_layer("attention.head_count_kv") or self._per_layer(
            "attention.head_count"
        )
        of_all_layers = heads[0] * self.num_layers if len(heads) == 1 else sum(heads)
        dims = self._head_dim("attention.key_length") + self._head_dim("attention.value_length")
        return of_all_layers * dims

    def _whole(self, key: str) -> int | None:
        value = self.metadata.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._wrong(key)
        return value

    def _positive(self, suffix: str) -> int:
        key = f"{self.architecture}.{suffix}"
        value = self._whole(key)
        if not value:
            raise self._wrong(key)
        return value

    def _per_layer(self, suffix: str) -> tuple[int, ...]:
        """One number for all layers, one for each, or none at all."""
        key = f"{self.architecture}.{suffix}"
        values = self.arrays.get(key)
        if values is None:
            value = self._whole(key)
            return () if value is None else (value,)
        numbers = tuple(v for v in values if isinstance(v, int) and v >= 0)
        if len(numbers) != len(values) or any(isinstance(v, bool) for v in values):
            raise self._wrong(key)
        return numbers[: self.num_layers]

    def _head_dim(self, suffix: str) -> int:
        """Elements of one key or value head; 0 for a model without attention."""
        said = self._whole(f"{self.architecture}.{suffix}")
        if said is not None:
            return said
        return self.embedding_length // self.num_heads if self.num_heads else 0

    def _wrong(self, key: str) -> ModelDamagedError:
        return _damaged(
            self.path,
            f"Its value {one_line(key, _MAX_SHOWN_CHARS)!r} is missing or makes no sense.",
        )


def read_header(path: Path) -> GGUFHeader:
    """The header of a GGUF file, checked.

    Raises ``ModelNotFoundError`` (no such file), ``ModelUnusableError`` (it may not be read)
    or ``ModelDamagedError`` (not a GGUF file, cut short, contradicts itself). ``path`` is the
    first file of a split model; parameters and bytes are those of all.
    """
    shown = one_line(str(path), _MAX_SHOWN_CHARS)
    try:
        if not path.is_file():
            raise ModelNotFoundError(
                f"{shown}: there is no such model file.", "", "Check the path, or fetch the model."
            )
        return _with_other_parts(_read(path))
    except BadHeaderError as error:
        raise _damaged(path, str(error)) from None
    except OSError as error:
        raise ModelUnusableError(
            f"{shown}: cannot be read.", f"{error.strerror}.", "Check the file's permissions."
        ) from error


def estimate_kv_bytes(header: GGUFHeader, num_cells: int) -> int:
    """Bytes of a KV cache of ``num_cells`` tokens in F16, 2 bytes an element.

    An upper bound: layers with a sliding window may keep fewer cells than this counts.
    Recurrent layers' states do not grow with the cells and are not counted.
    """
    return num_cells * 2 * header.kv_elements_per_cell()


def _read(path: Path, *, is_first: bool = True) -> GGUFHeader:
    with path.open("rb", buffering=0) as file:
        reader = HeaderReader(file, os.fstat(file.fileno()).st_size)
        return _parse(path, reader, is_first)


def _with_other_parts(first: GGUFHeader) -> GGUFHeader:
    """The header of a whole model. Only the first of its files has more than tensors."""
    count = first.metadata.get("split.count", 0)
    if not isinstance(count, int) or count <= 1:
        return first
    paths = split_parts(first.path)
    if first.metadata.get("split.no") != 0:
        raise BadHeaderError("It is a later part of a split model; give the first.")
    if paths[0] != first.path or len(paths) != count:
        ending = f"-00001-of-{count:05}.gguf"
        raise BadHeaderError(f"It is the first of {count} files: its name has to end in {ending}.")
    parts = [first, *(_read_part(path) for path in paths[1:])]
    return replace(
        first,
        num_parameters=sum(part.num_parameters for part in parts),
        file_bytes=sum(part.file_bytes for part in parts),
    )


def _read_part(path: Path) -> GGUFHeader:
    try:
        return _read(path, is_first=False)
    except FileNotFoundError:
        raise BadHeaderError(f"A part of it, {path.name}, is not there.") from None
    except BadHeaderError as error:
        raise BadHeaderError(f"{path.name}: {error}") from None


def _parse(path: Path, reader: HeaderReader, is_first: bool) -> GGUFHeader:
    num_tensors, num_values = read_counts(reader)
    values = KeyValues()
    for _ in range(num_values):
        values.read_one(reader)
    if is_first and not isinstance(values.metadata.get("general.architecture"), str):
        raise BadHeaderError("It does not say which architecture the model has.")
    alignment = values.alignment()
    tensors = [read_tensor(reader) for _ in range(num_tensors)]
    if len({tensor.name for tensor in tensors}) != num_tensors:
        raise BadHeaderError("Two of its tensors have one name.")
    data_offset = -(-reader.position // alignment) * alignment
    check_extents(tensors, alignment, reader.file_bytes - data_offset)
    return GGUFHeader(
        path=path,
        num_parameters=sum(tensor.num_elements for tensor in tensors),
        metadata=values.metadata,
        array_lengths=values.array_lengths,
        arrays=values.arrays,
        long_strings=values.long_strings,
        file_bytes=reader.file_bytes,
    )


def _damaged(path: Path, why: str) -> ModelDamagedError:
    return ModelDamagedError(
        f"{one_line(str(path), _MAX_SHOWN_CHARS)}: this model file cannot be used.",
        why,
        "Fetch it again, or give another file.",
    )
