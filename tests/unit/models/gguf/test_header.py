"""The header reader against real writers' files and against hostile ones."""

from __future__ import annotations

import contextlib
import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ssr_local.core.errors import ModelDamagedError, ModelNotFoundError
from ssr_local.models.gguf.header import GGUFHeader, estimate_kv_bytes, read_header
from tests.tiny_gguf import CHATML, token_texts, write_tiny_model

U32, STRING, ARRAY, U64 = 4, 8, 9, 10
ARCHITECTURE = "general.architecture"


def string(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def text_value(key: str, value: str | bytes) -> bytes:
    return string(key) + struct.pack("<I", STRING) + string(value)


def number_value(key: str, value: int, kind: int = U32) -> bytes:
    return string(key) + struct.pack("<I", kind) + struct.pack("<I" if kind == U32 else "<Q", value)


def array_head(key: str, kind: int, count: int) -> bytes:
    return string(key) + struct.pack("<IIQ", ARRAY, kind, count)


def tensor(name: str = "t", shape: tuple[int, ...] = (8,), kind: int = 0, offset: int = 0) -> bytes:
    dims = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return string(name) + dims + struct.pack("<IQ", kind, offset)


def counts(num_tensors: int, num_values: int, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, num_tensors, num_values)


QWEN = text_value(ARCHITECTURE, "qwen2")


def gguf_bytes(*values: bytes, tensors: tuple[bytes, ...] = (), data: bytes = b"") -> bytes:
    """A file with an architecture, these values and tensors, and data at the next 32 bytes."""
    raw = counts(len(tensors), len(values) + 1) + QWEN + b"".join(values) + b"".join(tensors)
    return raw + bytes(-len(raw) % 32) + data


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], GGUFHeader]:
    def read_bytes(raw: bytes) -> GGUFHeader:
        path = tmp_path / "model.gguf"
        path.write_bytes(raw)
        return read_header(path)

    return read_bytes


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gguf")
    return write_tiny_model(folder / "tiny.gguf", num_layers=3, name="Tiny one")


@pytest.fixture(scope="module")
def data_bounds(tiny: Path) -> tuple[int, int]:
    """Where the tensors of the file begin and end."""
    other = gguf.GGUFReader(str(tiny))
    end = max(int(one.data_offset + one.n_bytes) for one in other.tensors)
    return other.data_offset, end


def test_it_reads_what_the_gguf_package_reads(tiny: Path) -> None:
    header, other = read_header(tiny), gguf.GGUFReader(str(tiny))
    assert header.num_parameters == sum(int(one.n_elements) for one in other.tensors)
    assert header.file_bytes == tiny.stat().st_size
    fields = {k: f for k, f in other.fields.items() if not k.startswith("GGUF.")}
    assert set(header.metadata) | set(header.array_lengths) == set(fields)
    for key, value in header.metadata.items():
        assert value == fields[key].contents()
    for key, length in header.array_lengths.items():
        assert length == len(fields[key].data)


def test_properties_of_a_transformer(tiny: Path) -> None:
    header = read_header(tiny)
    assert (header.architecture, header.title) == ("qwen2", "Tiny one")
    assert (header.num_layers, header.context_length, header.embedding_length) == (3, 2048, 64)
    assert header.num_heads == 4
    assert header.vocabulary_size == len(token_texts("bytes-a"))
    assert header.file_type == "F32"
    assert header.metadata["tokenizer.chat_template"] == CHATML
    assert estimate_kv_bytes(header, 100) == 100 * 2 * 3 * 2 * (16 + 16)


def test_properties_of_a_recurrent_model(tmp_path: Path) -> None:
    header = read_header(write_tiny_model(tmp_path / "m.gguf", arch="mamba", chat_template=None))
    assert header.architecture == "mamba"
    assert "tokenizer.chat_template" not in header.metadata
    assert header.num_heads == 0
    assert estimate_kv_bytes(header, 1000) == 0


def test_heads_that_differ_by_layer(read: Callable[[bytes], GGUFHeader]) -> None:
    header = read(
        gguf_bytes(
            number_value("qwen2.block_count", 3),
            number_value("qwen2.embedding_length", 64),
            number_value("qwen2.attention.head_count", 8),
            array_head("qwen2.attention.head_count_kv", U32, 3) + struct.pack("<3I", 4, 0, 2),
            number_value("qwen2.attention.key_length", 32),
            number_value("qwen2.attention.value_length", 16),
        )
    )
    assert header.num_heads == 8
    assert estimate_kv_bytes(header, 10) == 10 * 2 * (4 + 0 + 2) * (32 + 16)


def test_version_2_and_another_alignment(read: Callable[[bytes], GGUFHeader]) -> None:
    raw = counts(1, 2, version=2) + QWEN + number_value("general.alignment", 64)
    raw += tensor("t", (32, 2), kind=2)
    header = read(raw + bytes(-len(raw) % 64) + bytes(36))
    assert header.num_parameters == 64
    with pytest.raises(ModelDamagedError, match="36 bytes are missing"):
        read(raw + bytes(-len(raw) % 64))


def test_a_tensor_type_from_the_future_is_left_to_llama_cpp(
    read: Callable[[bytes], GGUFHeader],
) -> None:
    assert read(gguf_bytes(tensors=(tensor(kind=99),), data=bytes(8))).num_parameters == 8


def bad_extent(**options: Any) -> bytes:
    return gguf_bytes(tensors=(tensor(**options),), data=bytes(32))


HOSTILE = {
    "empty": (b"", "not a GGUF"),
    "other format": (b"PK\x03\x04" + bytes(60), "not a GGUF"),
    "only the magic": (b"GGUF", "not a GGUF"),
    "version 1": (counts(0, 0, version=1), "version 1"),
    "version 4": (counts(0, 0, version=4), "version 4"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    "2^63 tensors": (counts(2**63, 0), "claims"),
    "2^63 values": (counts(0, 2**63), "claims"),
    "2^64-1 of both": (counts(2**64 - 1, 2**64 - 1), "claims"),
    "many values in nothing": (counts(0, 60_000), "does not end"),
    "many tensors in nothing": (counts(60_000, 1) + QWEN, "does not end"),
    "key of 2^63 bytes": (counts(0, 1) + struct.pack("<Q", 2**63), "allowed"),
    "empty key": (gguf_bytes(text_value("", "x")), "empty or stands"),
    "a key twice": (gguf_bytes(text_value("k", "x"), text_value("k", "y")), "twice"),
    "string beyond the file": (
        gguf_bytes(string("k") + struct.pack("<IQ", STRING, 1_000)),
        "does not end",
    ),
    "string of 2^64-1": (
        gguf_bytes(string("k") + struct.pack("<IQ", STRING, 2**64 - 1)),
        "does not end",
    ),
    "unknown type": (gguf_bytes(string("k") + struct.pack("<I", 13)), "unknown type"),
    "array of 2^63 numbers": (gguf_bytes(array_head("k", U64, 2**63)), "does not end"),
    "array of 2^63 strings": (gguf_bytes(array_head("k", STRING, 2**63)), "strings"),
    "array of arrays": (gguf_bytes(array_head("k", ARRAY, 1)), "elements of type 9"),
    "array of nonsense": (gguf_bytes(array_head("k", 77, 0)), "elements of type 77"),
    "43 bytes": (
        counts(0, 1) + struct.pack("<Q", 3) + b"abc" + struct.pack("<I", ARRAY) + b"\x09\0\0\0",
        "does not end",
    ),
    "no architecture": (counts(0, 1) + text_value("a", "b"), "architecture"),
    "architecture is a number": (counts(0, 1) + number_value(ARCHITECTURE, 3), "architecture"),
    "alignment 0": (gguf_bytes(number_value("general.alignment", 0)), "power of two"),
    "alignment 3": (gguf_bytes(number_value("general.alignment", 3)), "power of two"),
    "alignment is text": (gguf_bytes(text_value("general.alignment", "32")), "power of two"),
    "alignment beyond the file": (
        gguf_bytes(number_value("general.alignment", 2**31), tensors=(tensor(),), data=bytes(32)),
        "cut short",
    ),
    "tensor cut short": (bad_extent(shape=(9,)), "4 bytes are missing"),
    "tensor beyond the file": (bad_extent(offset=2**63), "cut short"),
    "tensor not aligned": (bad_extent(shape=(1,), offset=8), "aligned"),
    "tensor of 2^80 elements": (bad_extent(shape=(2**40, 2**40)), "impossible"),
    "tensor of 0 x 2^63": (bad_extent(shape=(0, 2**63)), "impossible"),
    "tensor with 5 dimensions": (bad_extent(shape=(1, 1, 1, 1, 1)), "5 dimensions"),
    "tensor with broken blocks": (bad_extent(shape=(8,), kind=2), "broken blocks"),
    "tensor of type 2^31": (bad_extent(kind=2**31), "impossible"),
    "tensor with a long name": (bad_extent(name="n" * 64), "63"),
    "a tensor twice": (gguf_bytes(tensors=(tensor(), tensor()), data=bytes(32)), "one name"),
}


@pytest.mark.parametrize(("raw", "why"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files(read: Callable[[bytes], GGUFHeader], raw: bytes, why: str) -> None:
    with pytest.raises(ModelDamagedError) as caught:
        read(raw)
    assert "model.gguf" in caught.value.what
    assert why in caught.value.why
    assert caught.value.next_step
    assert caught.value.__cause__ is None
    assert len(str(caught.value).splitlines()) == 3


def test_names_in_errors_hold_no_escape_sequences(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31mb.gguf"
    path.write_bytes(gguf_bytes(*[text_value("k\x1b]0;title\x07", "v")] * 2))
    with pytest.raises(ModelDamagedError) as caught:
        read_header(path)
    assert "\x1b" not in str(caught.value)
    assert "\x07" not in str(caught.value)
    assert "ab.gguf" in str(caught.value)


def read_large(path: Path, head: bytes) -> None:
    """Read what claims to be 2 GiB long."""
    path.write_bytes(head)
    os.truncate(path, 2 * 2**30)
    with contextlib.suppress(ModelDamagedError):
        read_header(path)


LARGE = {
    # Zeros read as empty strings, empty keys and nameless tensors: as many as may be.
    "strings": counts(0, 2) + QWEN + array_head("k", STRING, 2_000_000),
    "too many strings": counts(0, 2) + QWEN + array_head("k", STRING, 4_000_000),
    "numbers": counts(0, 2) + QWEN + array_head("k", U64, 2**27),
    "long string": counts(0, 2) + QWEN + string("k") + struct.pack("<IQ", STRING, 2**29),
    "small arrays": counts(0, 7_000)
    + b"".join(array_head(f"{number:04}", U64, 1_000) + bytes(8_000) for number in range(7_000)),
    "small values": counts(0, 65_000)
    + b"".join(number_value(f"{number:05}", number) for number in range(65_000)),
    "tensors": counts(65_000, 1) + QWEN + b"".join(tensor(f"{n:05}") for n in range(65_000)),
}


@pytest.mark.parametrize("head", LARGE.values(), ids=LARGE.keys())
def test_work_is_bounded(tmp_path: Path, head: bytes) -> None:
    started = time.perf_counter()
    read_large(tmp_path / "large.gguf", head)
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("name", ["numbers", "long string", "small arrays", "small values"])
def test_memory_is_bounded(tmp_path: Path, name: str) -> None:
    tracemalloc.start()
    read_large(tmp_path / "large.gguf", LARGE[name])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 160 * 2**20


def test_long_strings_are_skipped_and_said(read: Callable[[bytes], GGUFHeader]) -> None:
    template = "tokenizer.chat_template"
    header = read(gguf_bytes(text_value(template, b"x" * (2**20 + 1)), text_value("k", "v")))
    assert template not in header.metadata
    assert header.long_strings == {template: 2**20 + 1}
    assert header.metadata["k"] == "v"


def test_control_characters_stay_in_the_record_and_leave_the_display(
    read: Callable[[bytes], GGUFHeader],
) -> None:
    name = "Evil\x1b]0;owned\x07 \x1b[2Jmodel\r\n\u202e3\x00"
    header = read(gguf_bytes(text_value("general.name", name), text_value("bad", b"\xff\xfe")))
    assert header.metadata["general.name"] == name
    assert header.title == "Evil model 3"
    assert header.metadata["bad"] == "\ufffd\ufffd"


@pytest.mark.parametrize("values", [(), (text_value("general.name", "\x1b[0m \x07"),)])
def test_a_model_without_a_name_is_called_after_its_file(
    read: Callable[[bytes], GGUFHeader], values: tuple[bytes, ...]
) -> None:
    assert read(gguf_bytes(*values)).title == "model.gguf"


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        (text_value("qwen2.block_count", "24"), "num_layers"),
        (number_value("qwen2.block_count", 0), "num_layers"),
        (number_value("other", 1), "context_length"),
        (number_value("other", 1), "vocabulary_size"),
        (number_value("general.name", 1), "title"),
        (text_value("general.file_type", "15"), "file_type"),
        (string("qwen2.attention.head_count") + struct.pack("<I?", 7, True), "num_heads"),
        (string("qwen2.attention.head_count") + struct.pack("<If", 6, 4.0), "num_heads"),
    ],
)
def test_values_of_the_wrong_kind_are_named_when_asked_for(
    read: Callable[[bytes], GGUFHeader], value: bytes, attribute: str
) -> None:
    header = read(gguf_bytes(value))
    with pytest.raises(ModelDamagedError, match="makes no sense"):
        getattr(header, attribute)


MAKE_FIFO = [os.mkfifo] if hasattr(os, "mkfifo") else []


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir, *MAKE_FIFO])
def test_what_is_no_file_is_not_found(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "nothing.gguf"
    make(path)
    with pytest.raises(ModelNotFoundError, match=r"nothing\.gguf"):
        read_header(path)


PROPERTIES = [
    name
    for name in dir(GGUFHeader)
    if isinstance(getattr(GGUFHeader, name), property) and not name.startswith("_")
]


def read_all(path: Path) -> None:
    """Everything a header can tell; raises nothing but ModelDamagedError."""
    try:
        header = read_header(path)
    except ModelDamagedError:
        return
    for name in PROPERTIES:
        try:
            getattr(header, name)
        except ModelDamagedError:
            continue
    try:
        assert estimate_kv_bytes(header, 4096) >= 0
    except ModelDamagedError:
        return


_INTERESTING = st.sampled_from(
    [0, 1, 8, 9, 10, 2**16, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
)


@settings(max_examples=300, deadline=2000, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mutations_raise_only_model_damaged(
    tiny: Path, data_bounds: tuple[int, int], data: st.DataObject
) -> None:
    raw = bytearray(tiny.read_bytes())
    header_bytes, _ = data_bounds
    for _ in range(data.draw(st.integers(1, 4))):
        # Half of the changes where counts, types and the first keys are.
        at = data.draw(st.integers(0, 600) | st.integers(0, header_bytes - 8))
        if data.draw(st.booleans()):
            raw[at : at + 8] = struct.pack("<Q", data.draw(_INTERESTING))
        else:
            raw[at] = data.draw(st.integers(0, 255))
    path = tiny.with_name("mutated.gguf")
    path.write_bytes(raw)
    read_all(path)


@settings(max_examples=150, deadline=2000, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_truncations_are_always_found(
    tiny: Path, data_bounds: tuple[int, int], data: st.DataObject
) -> None:
    raw = tiny.read_bytes()
    length = data.draw(st.integers(0, data_bounds[1] - 1))
    path = tiny.with_name("truncated.gguf")
    path.write_bytes(raw[:length])
    with pytest.raises(ModelDamagedError):
        read_header(path)


@settings(max_examples=100, deadline=2000, suppress_health_check=list(HealthCheck))
@given(raw=st.binary(max_size=400))
def test_random_bytes_raise_only_model_damaged(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "random.gguf"
    path.write_bytes(raw)
    read_all(path)
    path.write_bytes(counts(1, 2) + QWEN + raw)
    read_all(path)


# Split models -------------------------------------------------------------------------


@pytest.fixture
def split(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny.gguf", num_layers=3, name="Tiny one", split_tensors=15)


def test_the_header_of_a_split_model_is_of_all_its_files(tiny: Path, split: Path) -> None:
    paths = sorted(split.parent.glob("*.gguf"))
    assert [path.name for path in paths] == [f"tiny-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    header, whole = read_header(split), read_header(tiny)
    assert header.num_parameters == whole.num_parameters
    assert header.file_bytes == sum(path.stat().st_size for path in paths)
    assert (header.title, header.num_layers) == (whole.title, whole.num_layers)


def test_a_split_model_that_is_not_whole_says_which_part(split: Path) -> None:
    last = split.with_name("tiny-00003-of-00003.gguf")
    data = last.read_bytes()
    last.write_bytes(data[:-100])
    with pytest.raises(ModelDamagedError, match=r"tiny-00003-of-00003\.gguf: It is cut short"):
        read_header(split)
    last.unlink()
    with pytest.raises(ModelDamagedError, match=r"tiny-00003-of-00003\.gguf, is not there"):
        read_header(split)
    with pytest.raises(ModelDamagedError, match="architecture"):
        read_header(split.with_name("tiny-00002-of-00003.gguf"))
    moved = split.rename(split.with_name("renamed.gguf"))
    with pytest.raises(ModelDamagedError, match="-00001-of-00003"):
        read_header(moved)
