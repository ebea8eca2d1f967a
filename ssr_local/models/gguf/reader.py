"""Reads the parts of a GGUF header with bounded memory and work, whatever the file says.

The layout is the one llama.cpp accepts: versions 2 and 3, little-endian, no arrays of arrays.
``ssr_local.models.gguf.header`` makes a record of it.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from msgspec import Struct

MAX_HEADER_BYTES = 64 * 1024 * 1024
MAX_KEPT_STRING_BYTES = 1024 * 1024
"""Longer metadata strings are skipped over; ``KeyValues.long_strings`` has their lengths."""

_MAX_VALUES = 65_536
_MAX_TENSORS = 65_536
_MAX_ARRAY_STRINGS = 2_000_000  # in all arrays together; large vocabularies come to 800,000
_MAX_KEY_BYTES = 65_535
_MAX_TENSOR_NAME_BYTES = 63  # GGML_MAX_NAME with its final NUL
_MAX_DIMS = 4
_MAX_KEPT_ARRAY = 1024
_MAX_KEPT_BYTES = 8 * 1024 * 1024  # strings and small arrays together
_CHUNK_BYTES = 4 * 1024 * 1024

_STRING, _ARRAY = 8, 9
_CODES = {**dict(enumerate("BbHhIif?")), 10: "Q", 11: "q", 12: "d"}
_SCALARS = {kind: struct.Struct(f"<{code}") for kind, code in _CODES.items()}
_U32, _U64 = _SCALARS[4], _SCALARS[10]

# ggml type -> (elements, bytes) of a block. A type that is not here is newer than this table:
# only its offset is checked, and llama.cpp decides.
_BLOCKS = {
    **{0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24)},
    **{8: (32, 34), 9: (32, 36), 10: (256, 84), 11: (256, 110), 12: (256, 144)},
    **{13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74)},
    **{18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82)},
    **{23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8)},
    **{29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17)},
    **{40: (64, 36), 41: (128, 18), 42: (64, 18)},
}
_MAX_TENSOR_TYPE = 255


class BadHeaderError(Exception):
    """Why the file cannot be used; ``header`` adds which file it is."""


class HeaderReader:
    """Reads forward through a file, at most ``MAX_HEADER_BYTES`` of it."""

    def __init__(self, file: BinaryIO, file_bytes: int) -> None:
        self.file_bytes = file_bytes
        self.position = 0
        self._file = file
        self._buffer = bytearray()
        self._array_strings = 0

    def require(self, end: int) -> None:
        """Have the bytes before ``end`` in the buffer."""
        if end <= len(self._buffer):
            return
        if end > self.file_bytes:
            raise BadHeaderError(f"Its header does not end within its {self.file_bytes:,} bytes.")
        if end > MAX_HEADER_BYTES:
            raise BadHeaderError(f"Its header is larger than {MAX_HEADER_BYTES:,} bytes.")
        while len(self._buffer) < end:
            chunk = self._file.read(min(_CHUNK_BYTES, MAX_HEADER_BYTES - len(self._buffer)))
            if not chunk:
                raise BadHeaderError("It became shorter while it was read.")
            self._buffer += chunk

    def scalar(self, layout: struct.Struct) -> int | float | bool:
        start = self.position
        self.require(start + layout.size)
        self.position = start + layout.size
        value: int | float | bool = layout.unpack_from(self._buffer, start)[0]
        return value

    def whole(self, layout: struct.Struct) -> int:
        return int(self.scalar(layout))

    def take(self, length: int) -> bytes:
        start = self.position
        self.skip(length)
        return bytes(self._buffer[start : self.position])

    def skip(self, length: int) -> None:
        self.require(self.position + length)
        self.position += length

    def string(self, limit: int, what: str) -> bytes:
        length = self.whole(_U64)
        if length > limit:
            raise BadHeaderError(f"{what} is {length:,} bytes long; {limit:,} are allowed.")
        return self.take(length)

    def numbers(self, layout: struct.Struct, count: int) -> tuple[int | float | bool, ...]:
        raw = self.take(layout.size * count)
        return tuple(value for (value,) in layout.iter_unpack(raw))

    def skip_strings(self, count: int) -> None:
        self._array_strings += count
        if self._array_strings > _MAX_ARRAY_STRINGS:
            raise BadHeaderError(f"Its arrays hold more than {_MAX_ARRAY_STRINGS:,} strings.")
        buffer, unpack, position = self._buffer, _U64.unpack_from, self.position
        for _ in range(count):
            if position + 8 > len(buffer):
                self.require(position + 8)
            position += 8 + unpack(buffer, position)[0]
        self.require(position)
        self.position = position


class KeyValues:
    """The key-value pairs, as they are being read."""

    def __init__(self) -> None:
        self.metadata: dict[str, str | int | float | bool] = {}
        self.array_lengths: dict[str, int] = {}
        self.arrays: dict[str, tuple[int | float | bool, ...]] = {}
        self.long_strings: dict[str, int] = {}
        self._keys: set[bytes] = set()
        self._kept_bytes = 0

    def read_one(self, reader: HeaderReader) -> None:
        raw = reader.string(_MAX_KEY_BYTES, "A key")
        if not raw or raw in self._keys:
            raise BadHeaderError(f"The key {_shown(raw)!r} is empty or stands there twice.")
        self._keys.add(raw)
        key = raw.decode("utf-8", "replace")
        kind = reader.whole(_U32)
        if kind == _STRING:
            self._read_string(reader, key)
        elif kind == _ARRAY:
            self._read_array(reader, key)
        elif kind in _SCALARS:
            self.metadata[key] = reader.scalar(_SCALARS[kind])
        else:
            raise BadHeaderError(f"The value of {_shown(raw)!r} has the unknown type {kind}.")

    def alignment(self) -> int:
        value = self.metadata.get("general.alignment", 32)
        if type(value) is not int or value <= 0 or value & (value - 1):
            raise BadHeaderError("Its alignment is not a power of two.")
        return value

    def _read_string(self, reader: HeaderReader, key: str) -> None:
        length = reader.whole(_U64)
        if length > MAX_KEPT_STRING_BYTES or not self._may_keep(length):
            reader.skip(length)
            self.long_strings[key] = length
        else:
            self.metadata[key] = reader.take(length).decode("utf-8", "replace")

    def _read_array(self, reader: HeaderReader, key: str) -> None:
        kind = reader.whole(_U32)
        count = reader.whole(_U64)
        if kind == _STRING:
            reader.skip_strings(count)
        elif kind not in _SCALARS:
            raise BadHeaderError(f"The array {key[:80]!r} has elements of type {kind}.")
        elif count <= _MAX_KEPT_ARRAY and self._may_keep(8 * count):
            self.arrays[key] = reader.numbers(_SCALARS[kind], count)
        else:
            reader.skip(count * _SCALARS[kind].size)
        self.array_lengths[key] = count

    def _may_keep(self, num_bytes: int) -> bool:
        if self._kept_bytes + num_bytes > _MAX_KEPT_BYTES:
            return False
        self._kept_bytes += num_bytes
        return True


class TensorInfo(Struct, frozen=True):
    """Where a tensor lies; ``num_bytes`` is 0 for a type this module does not know."""

    name: bytes
    num_elements: int
    num_bytes: int
    offset: int


def read_counts(reader: HeaderReader) -> tuple[int, int]:
    """Number of tensors, number of key-value pairs."""
    if reader.file_bytes < 24 or reader.take(4) != b"GGUF":
        raise BadHeaderError("It is not a GGUF file.")
    version = reader.whole(_U32)
    if version & 0xFFFF == 0:
        raise BadHeaderError("It is a big-endian GGUF file; only little-endian ones can be used.")
    if version not in (2, 3):
        raise BadHeaderError(f"It is a GGUF file of version {version}; 2 and 3 can be used.")
    num_tensors, num_values = reader.whole(_U64), reader.whole(_U64)
    if num_tensors > _MAX_TENSORS or num_values > _MAX_VALUES:
        raise BadHeaderError(
            f"It claims {num_tensors:,} tensors and {num_values:,} values,"
            f" more than {_MAX_TENSORS:,}."
        )
    return num_tensors, num_values


def read_tensor(reader: HeaderReader) -> TensorInfo:
    name = reader.string(_MAX_TENSOR_NAME_BYTES, "A tensor's name")
    num_dims = reader.whole(_U32)
    if num_dims > _MAX_DIMS:
        raise BadHeaderError(f"The tensor {_shown(name)!r} has {num_dims:,} dimensions.")
    shape = [reader.whole(_U64) for _ in range(num_dims)]
    kind, offset = reader.whole(_U32), reader.whole(_U64)
    num_elements = 1
    for length in shape:
        num_elements *= length
    if max([num_elements, *shape]) >= 2**63 or kind > _MAX_TENSOR_TYPE:
        raise BadHeaderError(f"The tensor {_shown(name)!r} has an impossible shape or type.")
    per_block, block_bytes = _BLOCKS.get(kind, (1, 0))
    if shape and shape[0] % per_block:
        raise BadHeaderError(f"The tensor {_shown(name)!r} has rows of broken blocks.")
    return TensorInfo(name, num_elements, num_elements // per_block * block_bytes, offset)


def check_extents(tensors: list[TensorInfo], alignment: int, available: int) -> None:
    """Refuse tensors that do not lie inside the ``available`` bytes."""
    for tensor in tensors:
        if tensor.offset % alignment:
            raise BadHeaderError(f"The tensor {_shown(tensor.name)!r} is not aligned.")
    needed = max((tensor.offset + tensor.num_bytes for tensor in tensors), default=0)
    if needed > max(available, 0):
        raise BadHeaderError(f"It is cut short: {needed - available:,} bytes are missing.")


def _shown(raw: bytes) -> str:
    """For an error message; it is shown with ``!r``, which escapes control characters."""
    return raw[:80].decode("utf-8", "replace")
