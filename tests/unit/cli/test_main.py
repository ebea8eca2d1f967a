from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ssr_local import cli
from ssr_local.version import VERSION
from tests.unit.cli.program import Program


def test_version(program: Program) -> None:
    assert VERSION.encode() in program.here("--version").stdout


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", cli._COMMANDS)
def test_every_command_has_help(program: Program, command: str, flag: str) -> None:
    assert command.encode() in program.here(flag).stdout
    shown = program.here(command, flag)
    assert shown.returncode == 0
    assert shown.stdout.startswith(f"Usage: ssr-local {command}".encode())
    assert shown.stderr == b""


WRONG: list[tuple[str, ...]] = [
    (),
    ("slove",),
    ("--nonsense",),
    ("solve",),
    ("solve", "a", "--file", "b"),
    ("solve", "a", "--paths", "many"),
    ("solve", "a", "--paths", "99"),
    ("solve", "a", "--pair", "demo", "--strategies", "/nowhere.toml"),
    ("solve", "a", "--pair", "demo", "--events", "/nowhere/run.jsonl"),
    ("solve", "a", "--pair", "demo", "--events", "."),
    ("solve", "--pair", "demo", "--file", "/nowhere.txt"),
    ("solve", "--pair", "demo", "--file", "."),
    ("solve", "--pair", "demo", ""),
    ("replay",),
    ("replay", "/nowhere.jsonl"),
    ("replay", "."),
    ("replay", "/dev/null"),
    ("hint", "a", "--level", "0"),
    ("practice", "--drop"),
    ("models", "path"),
    ("models", "rm"),
    ("config", "set", "paths", "many"),
    ("config", "set", "nonsense", "1"),
    ("config", "unset", "nonsense"),
    ("doctor", "--threads", "-5"),
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage(program: Program, arguments: tuple[str, ...]) -> None:
    done = program.here(*arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.strip()
    assert len(done.stderr.splitlines()) < 30


@pytest.mark.parametrize(
    "arguments",
    [
        ("solve", "a", "--draft", "/nowhere/model.gguf"),
        ("solve", "a", "--target", "no-such-model"),
        ("solve", "a", "--pair", "no-such-pair"),
        ("models", "pull", "no-such-model"),
        ("models", "path", "no-such-model"),
    ],
    ids=" ".join,
)
def test_a_model_that_is_not_there(program: Program, arguments: tuple[str, ...]) -> None:
    done = program.here(*arguments)
    assert done.returncode == 3
    assert done.stdout == b""
    assert arguments[-1].encode() in done.stderr
    assert len(done.stderr.splitlines()) <= 3


@pytest.mark.parametrize(
    "argument", [b"--\x1b]0;evil\x07", b"\x1b[2Jslove", b"--file=\x1b[31m/nowhere", b"\xff\xfe"]
)
def test_what_was_typed_cannot_steer_the_terminal(program: Program, argument: bytes) -> None:
    for arguments in ((argument,), (b"solve", b"a", b"b", argument), (b"replay", argument)):
        done = program.here(*arguments)
        assert done.returncode == 2
        assert b"\x1b" not in done.stderr
        assert b"\x07" not in done.stderr


def test_a_configuration_that_is_wrong_is_named(program: Program) -> None:
    program.configure("pahts = 3\n")
    done = program.here("solve", "a", "--pair", "demo")
    assert done.returncode == 2
    assert b"config.toml" in done.stderr
    assert b"paths" in done.stderr


def test_a_mistyped_variable_is_a_warning(program: Program) -> None:
    program.env["SSR_LOCAL_PAHTS"] = "3"
    done = program.here("solve", "a", "--pair", "demo")
    assert done.returncode == 0
    assert done.stdout == b"18\n"
    assert b"Warning: SSR_LOCAL_PAHTS" in done.stderr


@pytest.mark.parametrize("closed", ["0", "1", "2", "0 1 2"])
def test_streams_that_are_closed(program: Program, closed: str) -> None:
    """As under ``ssr-local solve ... >&-`` or a service without streams."""
    redirects = " ".join(f"{fd}{'<' if fd == '0' else '>'}&-" for fd in closed.split())
    command = f'exec "{sys.executable}" -m ssr_local solve --pair demo farm {redirects}'
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=program.folder,
        env=program.env,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert (b"demonstration" in done.stderr) is ("2" not in closed)
    assert done.stdout == (b"" if "1" in closed else b"18\n")


def test_a_disk_that_is_full(program: Program) -> None:
    with Path("/dev/full").open("wb") as full:
        process = program.start("models", "list", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith(b"Error: ")
    assert b"Traceback" not in err
    assert b"Exception ignored" not in err
