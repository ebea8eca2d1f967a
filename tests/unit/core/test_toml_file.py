from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.core.errors import ConfigError
from ssr_local.core.toml_file import decode_text, parse_toml, read_bounded


@pytest.mark.parametrize(
    ("data", "table"),
    [
        (b"", {}),
        ("a = 'é'", {"a": "é"}),
        (b"\xef\xbb\xbfa = 1", {"a": 1}),
        ("a.b.c = 1", {"a": {"b": {"c": 1}}}),
    ],
)
def test_tables_are_read(data: bytes | str, table: dict[str, Any]) -> None:
    assert parse_toml(data, "x.toml") == table


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"a = 1\nb =", "x.toml, line 2: not valid TOML"),
        (b"a = " + b"[" * 100_000, "x.toml: nested too deeply"),
        (b"a = " + b"9" * 5_000, "x.toml: not valid TOML"),
        (b"a" + b".a" * 60 + b" = 1", "line 1: too many dots"),
        (b"[1" + b" . 1e-1" * 60 + b"]", "line 1: too many dots"),
        (b"x = 1\n1" + b".1" * 60 + b" = 1", "line 2: too many dots"),
        (b"a = {b" + b".1" * 60 + b" = 1}", "line 1: too many dots"),
        (b"a = 1 # " + b"." * 60, "line 1: too many dots"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(data: bytes, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_toml(data, "x.toml")
    assert where in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize("inside", ["knots = [{}]", "knots = [\n  {},\n]", "\t- = [{}]  "])
def test_long_lists_of_numbers_have_as_many_dots_as_they_like(inside: str) -> None:
    pairs = ", ".join(f"[-{n}.5e-1, {n}.25]" for n in range(40))
    ((_, knots),) = parse_toml(inside.format(pairs), "x.toml").items()
    assert knots == [[-(n + 0.5) / 10, n + 0.25] for n in range(40)]


@pytest.mark.parametrize(
    "line", [" " * 10**6 + "x", "a" * 10**6, "1" * 10**6 + "x", ". " * 500_000]
)
def test_looking_at_a_line_takes_no_time(line: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ConfigError):
        parse_toml("." * 60 + line, "x.toml")
    with pytest.raises(ConfigError):
        parse_toml(line + "." * 60, "x.toml")
    assert time.perf_counter() - started < 30


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    message = "x.toml"
    try:
        assert isinstance(parse_toml(text, "x.toml"), dict)
    except ConfigError as error:
        message = str(error)
    assert message.startswith("x.toml")
    assert all(line.isprintable() for line in message.split("\n"))


def test_only_bounded_regular_files_are_read(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(b"12345")
    assert read_bounded(file, 5) == b"12345"
    with pytest.raises(ConfigError, match="too large"):
        read_bounded(file, 4)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ConfigError, match="not a regular file"):
            read_bounded(path, 5)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_bounded(tmp_path / "a\0b", 5)
    with pytest.raises(FileNotFoundError):
        read_bounded(tmp_path / "none", 5)


def test_text_that_is_not_utf_8_is_named_with_byte_and_line() -> None:
    with pytest.raises(ConfigError, match=r"x, line 3: not UTF-8.*\n.*0xfc at offset 5"):
        decode_text(b"a\nb\n \xfc", "x")
