"""What tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.program import Program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The command, with folders of the test's own."""
    return Program(tmp_path)
