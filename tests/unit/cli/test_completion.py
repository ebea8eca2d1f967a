"""Completion, by the scripts that shells are given."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.program import Program

ASK = """
eval "$(ssr-local completion bash)"
COMP_WORDS=({words}) COMP_CWORD={index}
_ssr_local_completion ssr-local
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(program: Program, shell: str) -> None:
    done = program.here("completion", shell)
    assert (done.returncode, done.stderr) == (0, b"")
    assert f"_SSR_LOCAL_COMPLETE={shell}_complete".encode() in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["ssr-local", "mod"], "models"),
        (["ssr-local", "solve", "--met"], "--method"),
        (["ssr-local", "solve", "--method", "spec"], "specreason"),
        (["ssr-local", "solve", "--target", "qwen2.5-coder-1"], "qwen2.5-coder-1.5b"),
        (["ssr-local", "models", "pull", "def"], "default"),
    ],
)
def test_bash_completes(program: Program, tmp_path: Path, words: list[str], found: str) -> None:
    command = tmp_path / "ssr-local"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ssr_local "$@"\n')
    command.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", ASK.format(words=" ".join(words), index=len(words) - 1)],
        env=program.env | {"PATH": f"{tmp_path}:{program.env['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found in done.stdout.split(), done
