"""``ssr-local hint``, with the demonstration's models."""

from __future__ import annotations

import json

from tests.unit.cli.program import Program, remarks

DEMO = ("hint", "--pair", "demo", "A farm has hens and cows. How many hens?")


def test_a_hint_is_printed_alone(program: Program) -> None:
    done = program.here(*DEMO, "--level", "3")
    assert (done.returncode, remarks(done)) == (0, [])
    assert done.stdout.decode() == "Let h be the number of hens and c the number of cows.\n"


def test_after_the_students_steps(program: Program) -> None:
    steps = "Let h be the number of hens and c the number of cows.\n\nSo 2 + 2 = 5.\n"
    done = program.here(*DEMO, "--level", "3", "--steps", "-", stdin=steps.encode())
    assert remarks(done) == ["Step 2 is to be looked at again: the hint is for that one."]
    assert "Heads give" in done.stdout.decode()


def test_json(program: Program) -> None:
    hint = json.loads(program.here(*DEMO, "--json").stdout)
    assert (hint["level"], hint["strategy"]) == (1, "algebraic simplification")
    assert hint["withheld"] is False
