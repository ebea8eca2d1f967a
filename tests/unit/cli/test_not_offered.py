"""Options and values that the command line offers no more: it names what replaces them."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from ssr_local.cli import check, solve
from tests.unit.cli.program import AS_FROM_THE_SHELL


@pytest.mark.parametrize(
    ("command", "option", "value", "instead"),
    [
        (solve.command, "--verifier", "combined", "Use min-likelihood"),
        (check.command, "--verifier", "yes-no", "Use min-likelihood"),
        (solve.command, "--selection", "random", "ssr-m3+random"),
        (solve.command, "--selection-permutations", "3", "ssr-m3+perm=2"),
    ],
)
def test_it_is_refused_with_what_replaces_it(
    command: object, option: str, value: str, instead: str
) -> None:
    found = CliRunner().invoke(command, ["problem", option, value], **AS_FROM_THE_SHELL)  # type: ignore[arg-type]
    assert found.exit_code == 2
    assert option in found.output
    assert instead in " ".join(found.output.split())


def test_help_does_not_name_them() -> None:
    shown = CliRunner().invoke(solve.command, ["--help"], **AS_FROM_THE_SHELL).output
    assert "--selection " in shown
    assert "permutations" not in shown
    assert "combined" not in shown
