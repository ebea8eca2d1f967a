"""The app as a conversation in lines."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ssr_local.cli.plain import BETWEEN_RUNS, DURING_RUNS
from ssr_local.events import RunEnded, StepVerified, read_events
from tests.unit.cli.program import Program

TUI = ("tui", "--plain", "--pair", "demo")
BY_HAND = 0.8  # slow enough that what is typed reaches the run


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def said(program: Program, *lines: str, problem: str | None = None) -> str:
    """All that is printed when these lines come through a pipe."""
    arguments = (*TUI, problem) if problem else TUI
    done = program.run(*arguments, stdin="".join(f"{line}\n" for line in lines).encode())
    assert done.returncode == 0, done.stderr.decode()
    assert b"\x1b" not in done.stdout
    return done.stdout.decode() + done.stderr.decode()


def test_a_problem_is_solved_in_sentences(program: Program) -> None:
    text = said(program, "How many hens?")
    for words in (
        "Strategies: A, algebraic simplification;",
        "Path 1 A, step 3 rejected",
        "Path 1 A, step 3 rewritten",
        "Path 3 K, ends, answer: 21",
        "Most votes: 18  (paths 1, 2",
        "Answer: 18",
    ):
        assert words in text, words


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['"""', "first", "second", '"""'], "Answer: 18"),
        (["first \\", "second"], "Answer: 18"),
        (["/set paths 2", "hens"], "ssr, 2 paths"),
        (["hens", "/set mode fast1", "/again"], "enough answers are in"),
        (["hens", "/show 3"], "Step 3, by the draft"),
        (["hens", "/answer"], "Most votes: 18"),
        (["/strategies"], "K, casework and construction: "),
        (["/set"], "verifier: "),
        (["/show 1"], "No run has ended yet."),
        (["hens", "/show 9"], "There is no path '9'."),
        (["/shwo 1"], "Did you mean /show?"),
        (["/show"], "Type: /show N"),
        (["/again"], "There is no problem yet."),
        (["/set paths many"], "Option 'paths' cannot be 'many'."),
        (["/set paht 2"], "There is no option 'paht'."),
        (["/export x.txt"], "neither a .jsonl nor a .json"),
        (["/replay nowhere.jsonl"], "nowhere.jsonl cannot be opened."),
        (['/show "1'], "cannot be read"),
        (["   ", "/quit", "hens"], "Problem> "),
    ],
)
def test_what_is_typed_at_the_prompt(program: Program, lines: list[str], words: str) -> None:
    assert words in said(program, *lines)


def test_after_quit_nothing_more_is_done(program: Program) -> None:
    assert "Answer" not in said(program, "/quit", "hens")


def test_the_help_names_every_command(program: Program) -> None:
    text = said(program, "/help")
    assert all(f"  /{name}" in text for name in BETWEEN_RUNS)
    assert all(f"  {name}" in text for name in DURING_RUNS)


def test_another_seed_and_the_same_problem(program: Program) -> None:
    text = said(program, "/export a.jsonl", "/again", problem="hens")
    seeds = [line.rpartition("seed ")[2] for line in text.splitlines() if "verifier" in line]
    assert len(set(seeds)) == 2


def test_exports_can_be_read_and_are_never_replaced(program: Program) -> None:
    text = said(program, "hens", "/export run.jsonl", "/export run.json", "/export run.json")
    assert "run.json exists already." in text
    assert json.loads((program.folder / "run.json").read_bytes())["answer"] == "18"
    with (program.folder / "run.jsonl").open("rb") as file:
        events = list(read_events(file, "run.jsonl"))
    assert isinstance(events[-1], RunEnded)
    again = said(program, "/replay run.jsonl")
    assert "Path 3 K, ends, answer: 21" in again


def test_a_setting_that_is_saved_is_there_the_next_time(program: Program) -> None:
    said(program, "/save paths 1")
    assert "ssr, 1 paths" in said(program, "hens")


# On a terminal ---------------------------------------------------------------------


def typing(*turns: tuple[str, bytes]) -> Callable[[bytes, int], None]:
    """Sends each line when its words have been printed since the last one."""
    waiting, seen = list(turns), 0

    def react(text: bytes, pid: int) -> None:
        nonlocal seen
        while waiting and waiting[0][0].encode() in text[seen:]:
            words, line = waiting.pop(0)
            seen = text.find(words.encode(), seen) + len(words)
            if line == b"\x03":
                os.kill(pid, signal.SIGINT)
            else:
                os.write(react.terminal, line)  # type: ignore[attr-defined]

    return react


def on_terminal(program: Program, *turns: tuple[str, bytes], speed: float) -> tuple[int, str]:
    program.env["SSR_LOCAL_DEMO_SPEED"] = str(speed)
    react = typing(*turns)
    read = program._read_terminal

    def reading(terminal: int, pid: int, react: Callable[[bytes, int], None]) -> bytes:
        react.terminal = terminal  # type: ignore[attr-defined]
        return read(terminal, pid, react)

    program._read_terminal = reading  # type: ignore[method-assign]
    return program.on_terminal(*TUI, react=react)


QUIT = ("Problem> ", b"/quit\n")


@pytest.mark.parametrize(
    ("after", "line", "words"),
    [
        ("step 1 kept", b"stop\n", "stopped"),
        ("step 1 kept", b"drop 2\n", "ends, dropped"),
        ("step 1 kept", b"add e\n", "Path 4 E, "),
        ("step 3 rejected", b"drop x\n", "Type: drop N"),
    ],
)
def test_a_run_is_steered_by_what_is_typed(
    program: Program, after: str, line: bytes, words: str
) -> None:
    code, text = on_terminal(program, ("Problem> ", b"hens\n"), (after, line), QUIT, speed=BY_HAND)
    assert code == 0
    assert words in text


def test_pause_and_go_on(program: Program) -> None:
    code, text = on_terminal(
        program,
        ("Problem> ", b"hens\n"),
        ("step 1 kept", b"pause\n"),
        ("Paused.", b"resume\n"),
        ("Going on.", b""),
        QUIT,
        speed=2,
    )
    assert code == 0
    assert "Answer: 18" in text


def test_a_step_is_kept_against_the_target(program: Program) -> None:
    code, text = on_terminal(
        program,
        ("Problem> ", b"hens\n"),
        ("Path 1 A, step 3 rejected", b"keep 1\n"),
        ("Problem> ", b"/export run.jsonl\n"),
        ("Written", b""),
        QUIT,
        speed=BY_HAND,
    )
    assert code == 0, text
    with (program.folder / "run.jsonl").open("rb") as file:
        changed = [
            e for e in read_events(file, "x") if isinstance(e, StepVerified) and e.overridden
        ]
    assert [(event.path, event.step, event.verdict.accepted) for event in changed] == [(0, 2, True)]


def test_ctrl_c_stops_the_run_and_the_conversation_goes_on(program: Program) -> None:
    code, text = on_terminal(
        program, ("Problem> ", b"hens\n"), ("step 1 kept", b"\x03"), QUIT, speed=BY_HAND
    )
    assert code == 0
    assert "Stopping; once more ends at once." in text
    assert "drafted steps kept" in text


def test_ctrl_c_twice_at_the_prompt_leaves(program: Program) -> None:
    started = time.monotonic()
    code, text = on_terminal(
        program, ("Problem> ", b"\x03"), ("Once more leaves", b"\x03"), speed=0
    )
    assert (code, "Interrupted." in text) == (130, True)
    assert time.monotonic() - started < 30
