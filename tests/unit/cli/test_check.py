"""``ssr-local check``, with the demonstration's models."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.unit.cli.program import Program, remarks

DEMO = ("check", "--pair", "demo")
PROBLEM = "A farm has hens and cows. How many hens?"
GOOD = (
    "Let h be the number of hens and c the number of cows.\n\n"
    "Heads give h + c = 30, and legs give 2h + 4c = 84.\n\n"
)
BAD = "Dividing the second equation by 2 gives h + 2c = 84.\n\nThe answer is 19.\n"


@pytest.fixture(autouse=True)
def _solutions(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text(GOOD + BAD, encoding="utf-8")
    (tmp_path / "good.txt").write_text(GOOD, encoding="utf-8")


def test_a_wrong_step_is_shown_and_how_it_goes_only_when_asked(program: Program) -> None:
    done = program.here(*DEMO, PROBLEM, "--steps", "bad.txt")
    text = done.stdout.decode()
    assert done.returncode == 1
    assert "Step 3: wrong by algebra" in text
    assert "The first step to look at again is step 3." in text
    assert "Answer: 19. The models come to 18." in text
    assert "h + 2c = 42" not in text
    assert "With --reveal" in text
    done = program.here(*DEMO, PROBLEM, "--steps", "bad.txt", "--reveal", "--no-vote")
    assert "Dividing the second equation by 2 gives h + 2c = 42." in done.stdout.decode()
    assert "The models come" not in done.stdout.decode()


def test_a_good_start_is_accepted(program: Program) -> None:
    done = program.here(*DEMO, PROBLEM, "--steps", "good.txt", "--no-vote")
    assert done.returncode == 0
    assert "Nothing wrong was found." in done.stdout.decode()


def test_json_has_what_was_promised(program: Program) -> None:
    done = program.here(*DEMO, "-", "--steps", "bad.txt", "--json", stdin=PROBLEM.encode())
    result = json.loads(done.stdout)
    assert [step["accepted"] for step in result["steps"]][:3] == [True, True, False]
    assert {"text", "accepted", "score", "algebra", "reason"} <= set(result["steps"][0])
    assert (result["answer"], result["answer_accepted"]) == ("19", False)
    done = program.here(*DEMO, PROBLEM, "--steps", "-", "--json", "--no-vote", stdin=GOOD.encode())
    assert json.loads(done.stdout)["first_bad"] is None


def test_a_class_goes_on_where_it_was(program: Program) -> None:
    (program.folder / "class.csv").write_text(
        f'student,problem,solution\nAda,{PROBLEM},"{GOOD}"\nBob,{PROBLEM},"{GOOD}{BAD}"\n'
    )
    arguments = (*DEMO, "--class", "class.csv", "--no-vote")
    done = program.here(*arguments)
    assert done.returncode == 1  # Bob's is not accepted
    assert remarks(done) == ["Ada: nothing wrong found", "Bob: step 3 to look at"]
    assert "| Bob |" in (program.folder / "class" / "report.md").read_text()
    assert remarks(program.here(*arguments)) == []


def test_ctrl_c_on_a_terminal_keeps_the_judged_steps(program: Program) -> None:
    program.env["SSR_LOCAL_DEMO_SPEED"] = "1"  # the vote takes long
    pressed: list[float] = []

    def react(text: bytes, pid: int) -> None:
        if not pressed and b"Step 4" in text:
            pressed.append(time.monotonic())
            os.kill(pid, signal.SIGINT)

    code, text = program.on_terminal(*DEMO, PROBLEM, "--steps", "bad.txt", react=react)
    assert time.monotonic() - pressed[0] < 4  # and not the ten seconds of the vote
    assert code == 130
    assert "Stopping; once more ends at once." in text
    assert "Step 3: wrong by algebra" in text
    assert "The models come to" not in text
    (entry,) = json.loads(program.here("history", "list", "--json").stdout)
    assert entry["status"] == "cancelled"
    shown = program.here("history", "show", str(entry["id"])).stdout.decode()
    assert "Step 3: wrong by algebra" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Give a problem and its worked solution."),
        (("x",), "Give a problem and its worked solution."),
        (("x", "--steps", "nowhere.txt"), "nowhere.txt cannot be read."),
        (("-", "--steps", "-"), "cannot be both"),
        (("x", "--class", "class.csv"), "Give either"),
        (("--class", "class.csv", "--json"), "--json is for one solution."),
        (("x", "--steps", "good.txt", "--out", "there"), "--out is where the report"),
        (("--class", "nowhere.csv"), "nowhere.csv cannot be read."),
        (("x", "--steps", "/dev/null"), "There are no steps."),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], words: str, program: Program) -> None:
    done = program.here(*DEMO, *arguments)
    assert done.returncode == 2
    assert words in done.stderr.decode()
