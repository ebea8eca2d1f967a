"""The app as a conversation in lines."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from ssr_local.api import Solver
from ssr_local.cli import plain
from ssr_local.cli.plain_run import DURING_RUNS, Speaker, at_work_words
from ssr_local.cli.signals import stopping
from ssr_local.cli.typed import TypedLines
from ssr_local.core.errors import Interrupted
from ssr_local.core.events import (
    AnyEvent,
    PathOpened,
    RunMeasured,
    RunPaused,
    RunResumed,
    StepDrafted,
    StepVerified,
    read_events,
)
from ssr_local.core.records import ModelUsage, Strategy, Usage
from ssr_local.core.tree import Tree
from ssr_local.models.download import Progress
from tests.unit.cli.program import Program, child_of, linux

TUI = ("tui", "--plain")
DEMO = (*TUI, "--pair", "demo")
Say = Callable[..., str]
BY_HAND = "3"  # slow enough that what is typed reaches the run


@pytest.fixture
def slow(tmp_path: Path) -> Program:
    return Program(tmp_path, speed=BY_HAND)


@pytest.fixture
def say(program: Program) -> Say:
    def say(*lines: str) -> str:
        typed = "".join(f"{line}\n" for line in lines)
        done = program.here(*DEMO, stdin=typed.encode("utf-8", "surrogateescape"))
        text = (done.stdout + done.stderr).decode()
        assert done.returncode == 0
        assert "\x1b" not in text
        return text

    return say


def test_a_problem_is_solved_in_sentences(program: Program) -> None:
    done = program.here(*DEMO, "How many hens?")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    for words in (
        "The draft is ready after",
        "Strategies: chosen A algebraic simplification 0.32; chosen I",
        "Path 1, strategy A, begins: algebraic simplification",
        "Path 1, strategy A, step 1, by the draft, kept with 8.0 of 9: Let h be",
        "Path 1, strategy A, step 3, by the draft, rejected with 2.2 of 9: Dividing",
        "Path 1, strategy A, step 3, by the target, rewritten: Dividing",
        "Path 3, strategy K, ends, answer: 21",
        "Most votes: 18, from paths 1, 2, mean score 8.0.",
        "Also: 21, from path 3, mean score",
        "Answer: 18",
        "10 of 12 drafted steps kept",
    ):
        assert words in text, words


SOLVED = "Answer: 18"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["/set paths 2", "/set max-tokens 900", "hens"], ["paths is 2", "ssr, 2 paths"]),
        (["hens", "/set mode fast1", "/again"], [SOLVED, "enough answers are in"]),
        (["/set method draft", "hens"], ["Path 1, strategy M, step 1, by the draft, Let h be"]),
        (["/set seed 5", "/set seed none", "/set"], ["seed: none (option)"]),
        (["/set gpu-layers auto", "/set"], ["gpu_layers: -1 (option)"]),
        (["/set"], ["verifier: min-likelihood (default)", "pair: demo (option)"]),
        (["/set pair nope", "x", "/set pair demo", "x"], ["nope", SOLVED]),
        (["hens", "/show 1"], ["Step 2, by the draft: accepted, score 7.8: Heads",
                               "3, by the target: rewritten", "for the draft's step: Dividing"]),
        (["hens", "/show 9"], ["There is no path '9'.\nPaths are: 1, 2, 3."]),
        (["hens", "/answer"], ["kept;", "Problem> Most votes: 18"]),
        (["/strategies"], ["K, casework and construction: "]),
        (["/show 1"], ["There is no path '1'.\nPaths are: none."]),
        (["/answer", "/export a.json"], ["No run has ended yet."] * 2),
        (["/export a.jsonl"], ["There is no run yet."]),
        (["/again"], ["There is no problem yet."]),
        (['"""', "one"], [SOLVED]),
        (["/xyzzy\x1b]0;t\x07"], ["There is no command '/xyzzy", "Type /help"]),
        (["/SHOW"], ["/show takes 1 argument.\nType: /show N"]),
        (["/quit now"], ["/quit takes no arguments."]),
        (['/show "1'], ["cannot be read"]),
        (["/set paths many"], ["Option 'paths' cannot be 'many'.", "(1 to 12)"]),
        (["/set paths"], ["Type: /set [NAME VALUE]"]),
        (["/set verifier vibes"], ["Option 'verifier' cannot be 'vibes'.\nAccepted: "]),
        (["/set paht 2", "/save paht 2"], ["no option 'paht'.", "Did you mean paths?"] * 2),
        (["/export x.txt"], ["neither a .jsonl nor a .json"]),
        (["hens", "/export ~nobody-here/x.json", "/answer"], ["cannot be written.", SOLVED]),
        (["hens", f"/export {'x' * 300}.json", "/answer"], ["cannot be written.", SOLVED]),
        (["/replay nowhere.jsonl", "/strategies"], ["cannot be read.", "K, casework"]),
        (["/replay ~nobody-here/x", "/strategies"], ["cannot be read.", "K, casework"]),
        (["/replay a\0b", "a\0b", "/strategies"], ["cannot be read", "NUL", "K, casework"]),
        (["caf\udce9", "hens"], ["The problem is not valid text.", SOLVED]),
    ],
)  # fmt: skip
def test_what_is_typed_at_the_prompt(say: Say, lines: list[str], words: list[str]) -> None:
    text = say(*lines)
    assert all(text.count(one) >= words.count(one) for one in words), text


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (['"""', "/one", "", "two", ' """ '], "/one\n\ntwo"),
        (["one \\", "/two\\", "three"], "one \n/two\nthree"),
        (["/one\\", "two"], "/one\ntwo"),
    ],
)
def test_several_lines_are_one_problem(
    say: Say, tmp_path: Path, lines: list[str], problem: str
) -> None:
    say(*lines, "/export a.json")
    assert json.loads((tmp_path / "a.json").read_bytes())["problem"] == problem


def test_the_help_names_every_command(say: Say) -> None:
    text = say("/help")
    for sign, table in (("/", plain.BETWEEN_RUNS), ("", DURING_RUNS)):
        for name, entry in table.items():
            assert f"  {sign}{name} {entry.arguments}".rstrip() + f": {entry.about}\n" in text


def test_another_seed_and_the_same_problem(say: Say, tmp_path: Path) -> None:
    text = say("/set seed 7", "hens", "/again", "/export a.json", "/quit", "cows")
    seeds = re.findall(r"seed (\d+)", text)
    assert (seeds[0], len(seeds), len(set(seeds))) == ("7", 2, 2)  # after /quit nothing is done
    assert json.loads((tmp_path / "a.json").read_bytes())["problem"] == "hens"


def test_exports_can_be_read_and_are_never_in_place_of_something(say: Say, tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "elsewhere")
    text = say("hens", "/export run.jsonl", "/export run.json", "/answer", "/export run.json")
    assert text.count("exists already.") == 1
    assert "exists already." in say("hens", "/export link.jsonl")
    assert not (tmp_path / "elsewhere").exists()
    assert json.loads((tmp_path / "run.json").read_bytes())["answer"] == "18"
    again = say("/replay run.jsonl", "/show 3")
    assert "Path 3, strategy K, ends, answer: 21" in again
    assert "Path 3, strategy K, casework and construction:" in again
    log = tmp_path / "run.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    assert "the log ends before the run did" in say("/replay run.jsonl")


def test_a_setting_that_is_saved_is_there_the_next_time(program: Program, say: Say) -> None:
    config = program.configure("# mine\nseed = 3  # lucky\n")
    say("/save paths 1", "/save seed none", "/save mode nonsense")
    assert config.read_text() == "# mine\npaths = 1\n"
    assert "ssr, 1 paths" in say("hens")


def test_textual_is_not_loaded(program: Program) -> None:
    for name in ("textual", "ssr_local_tui"):
        (program.folder / "shadow" / name).mkdir(parents=True)
        (program.folder / "shadow" / name / "__init__.py").write_text("raise SystemExit('loaded')")
    program.env["PYTHONPATH"] = f"{program.folder / 'shadow'}:{program.env['PYTHONPATH']}"
    done = program.run(*DEMO, stdin=b"/strategies\n")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"K, casework" in done.stdout


# Without a program around ------------------------------------------------------------


def test_a_silence_is_broken_and_only_a_silence(capsys: pytest.CaptureFixture[str]) -> None:
    words = iter(["", *[f"at work {number}" for number in range(9)]])
    speaker = Speaker(silence_s=0.2)
    with speaker.at_work(lambda: next(words)):
        for _ in range(6):
            time.sleep(0.05)
            speaker.say("busy")
        assert capsys.readouterr().out == "busy\n" * 6
        time.sleep(0.5)
    assert capsys.readouterr().out in ("at work 0\n", "at work 0\nat work 1\n")


OPENED = PathOpened(path=0, strategy=Strategy("A", "a", "a"), selection_score=None)
DRAFTED = StepDrafted(path=0, step=0, author="draft", text="x", num_tokens=9)
MEASURED = RunMeasured(
    usage=Usage(draft=ModelUsage(decode_tokens=30), target=ModelUsage(decode_tokens=4)),
    timing_s={"total": 1.0},  # type: ignore[arg-type]
    kv_cells={},
)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([], "Still fetching big: 120 MB of 491 MB."),
        ([OPENED], "Still working: 0 steps, 0 tokens, 7 s."),
        ([OPENED, DRAFTED, MEASURED], "Still working: 1 steps, 34 tokens, 7 s."),
        ([OPENED, RunPaused()], ""),
        ([OPENED, RunPaused(), RunResumed()], "Still working: 0 steps, 0 tokens, 7 s."),
    ],
)
def test_what_breaks_a_silence(events: list[AnyEvent], words: str) -> None:
    download = Progress(
        name="big\x1b[2J", phase="fetching", source="hub", done_bytes=120_000_000,
        total_bytes=491_000_000, speed=None, eta_s=None,
    )  # fmt: skip
    tree = Tree()
    tree.apply_all(events)
    assert at_work_words(tree, 7, download) == words


class Told:
    """Stands in for a solver: how often it was told to stop."""

    num_cancels = 0
    worker_pid = 1

    def cancel(self) -> None:
        self.num_cancels += 1


def test_a_signal_before_the_run_has_begun_is_not_lost() -> None:
    told = Told()
    with stopping(cast(Solver, told), lambda line: None) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        deadline = time.monotonic() + 10
        while not told.num_cancels and time.monotonic() < deadline:
            time.sleep(0.01)
        told.num_cancels = 0
        assert list(stop.watch([DRAFTED, DRAFTED])) == [DRAFTED, DRAFTED]
    assert (told.num_cancels, stop.exit_code) == (1, 130)


@pytest.mark.parametrize(("within_s", "code"), [(60.0, 130), (0.0, 0)])
def test_two_presses_leave_only_in_quick_succession(
    program: Program, monkeypatch: pytest.MonkeyPatch, within_s: float, code: int
) -> None:
    def pressed(_self: TypedLines, _prompt: str) -> str:
        presses.append(1)
        if len(presses) > 2:
            raise EOFError
        raise KeyboardInterrupt

    presses: list[int] = []
    monkeypatch.setattr(plain, "_TWICE_WITHIN_S", within_s)
    monkeypatch.setattr(TypedLines, "ask", pressed)
    assert program.here(*DEMO).returncode == code


def test_a_question_is_not_answered_by_a_line_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = TypedLines()
    lines._waiting = ["yes"]
    monkeypatch.setattr(sys, "stdin", io.StringIO("no\n"))
    assert lines.ask("Sure? ", typed_ahead=False) == "no"
    assert lines.ask("Problem> ") == "yes"


def test_being_stopped_is_no_error(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_args: object, **_changes: object) -> Iterator[AnyEvent]:
        raise Interrupted("Stopped before the run had begun.")

    monkeypatch.setattr(Solver, "stream", stopped)
    text = say("hens")
    assert "Problem> Stopped before" in text
    assert "Error" not in text


# On a terminal ------------------------------------------------------------------------

PRESS = b"\x03"
Turn = tuple[str, bytes | Callable[[int], None]]
"""What has to be printed, then what is typed, or done to the process of that id."""


def typed(program: Program, *turns: Turn, arguments: tuple[str, ...] = DEMO) -> tuple[int, str]:
    """Exit code and text; each line is typed when its words have come since the last one."""
    waiting, seen = list(turns), 0

    def react(text: bytes, pid: int) -> bytes:
        nonlocal seen
        keys = b""
        while waiting and (found := text.find(waiting[0][0].encode(), seen)) >= 0:
            words, turn = waiting.pop(0)
            seen = found + len(words)
            if turn == PRESS:
                time.sleep(0.3)  # a signal just before readline looks for keys waits for one
            if isinstance(turn, bytes):
                keys += turn
            else:
                turn(pid)
        return keys

    code, text = program.on_terminal(*arguments, react=react)
    assert not waiting, (waiting, text)
    return code, text.replace("\r\n", "\n")


ASK: Turn = ("Problem> ", b"hens\n")
QUIT: Turn = ("Problem> ", b"/quit\n")
FIRST = "step 1, by the draft, kept"
FIRST_OF_1 = f"Path 1, strategy A, {FIRST}"


STEERED = (
    ("drop 2", "Path 2, strategy I, ends, dropped"),
    ("ADD e", "Path 4, strategy E, begins"),
    ("add z", "No path was added on Z"),
    ("reject 1", "step 1, by the draft, rejected"),
    ("drop 2", "No path '2' goes on. Those that do: 1, 3, 4."),
    ("keep 99999999999999999999", "No path '99999999999999999999' goes on."),
    ("drop", "Type: drop N"),
    ("pasue", "There is no command 'pasue'. Did you mean pause?"),
    ("/set paths 2", "waits until the run is over."),
)


def test_a_run_is_steered_by_what_is_typed(slow: Program) -> None:
    """All while it is paused: then every line has its answer before the next is typed."""
    turns = [("Paused.", b"")]
    for line, words in STEERED:
        turns = [*turns[:-1], (turns[-1][0], f"{line}\n".encode()), (words, b"")]
    turns = [*turns[:-1], (turns[-1][0], b"resume\n"), ("Going on.", b"stop\n")]
    code, text = typed(slow, ASK, (FIRST_OF_1, b"pause\n"), *turns, QUIT, ("is 2", b""))
    assert code == 0
    assert "Stopped before there was an answer." in text
    assert text.index("Stopped before") < text.index("paths is 2")


def test_a_verdict_is_changed_and_the_run_goes_on(slow: Program) -> None:
    keep: Turn = ("Path 1, strategy A, step 3, by the draft, rejected", b"keep 1\n")
    code, text = typed(slow, ASK, keep, ("Answer", b""), ("Problem> ", b"/export r.jsonl\n"), QUIT)
    assert code == 0, text
    with (slow.folder / "r.jsonl").open("rb") as file:
        verdicts = [event for event in read_events(file, "") if isinstance(event, StepVerified)]
    changed = [(e.path, e.step, e.verdict.accepted) for e in verdicts if e.overridden]
    assert changed == [(0, 2, True)]


@pytest.mark.parametrize("when", [FIRST, "Loading demo-draft"])
def test_ctrl_c_stops_a_run_and_the_next_one_works(slow: Program, when: str) -> None:
    again: Turn = ("Problem> ", b"/set mode fast1\n")
    code, text = typed(
        slow, ASK, (when, PRESS), ("Stopping;", b""), again, ASK, (SOLVED, b""), QUIT
    )
    assert code == 0
    assert "Stopp" in text.partition("Stopping;")[2].partition("Problem>")[0]


@linux
def test_ctrl_c_twice_ends_a_run_that_does_not_answer(slow: Program) -> None:
    worker: list[int] = []

    def hang(pid: int) -> None:
        worker.append(child_of(pid))
        os.kill(worker[0], signal.SIGSTOP)
        os.kill(pid, signal.SIGINT)

    code, text = typed(slow, ASK, (FIRST, hang), ("Stopping;", PRESS))
    assert (code, "Interrupted." in text) == (130, True)
    with pytest.raises(ProcessLookupError):
        os.kill(worker[0], 0)


@linux
def test_the_conversation_survives_its_worker(slow: Program) -> None:
    def crash(pid: int) -> None:
        os.kill(child_of(pid), signal.SIGKILL)

    starts = "The next problem starts a new worker."
    one: Turn = ("Problem> ", b"/set mode fast1\n")
    code, text = typed(slow, ASK, (FIRST, crash), (starts, b""), one, ASK, ("Answer: ", b""), QUIT)
    assert code == 0
    assert "Error: The worker process" in text


def test_sigterm_ends_the_program_after_what_there_is(slow: Program) -> None:
    code, text = typed(slow, ASK, (FIRST, lambda pid: os.kill(pid, signal.SIGTERM)))
    assert (code, "Stopped before there was an answer." in text) == (143, True)


@pytest.mark.parametrize(
    ("turns", "code", "words"),
    [
        ([("Problem> ", PRESS), ("twice within", PRESS)], 130, "Interrupted."),
        ([("Problem> ", b"\x04")], 0, "Problem> "),
        ([("Problem> ", b'"""\none\n'), ("More> ", PRESS), QUIT], 0, "twice within"),
    ],
)
def test_ways_out_of_the_prompt(program: Program, turns: list[Turn], code: int, words: str) -> None:
    ended, text = typed(program, *turns)
    assert (ended, words in text) == (code, True)


def test_ctrl_c_in_a_replay_leaves_the_replay(program: Program) -> None:
    program.here("solve", "--pair", "demo", "x", "--events", "run.jsonl")
    replay = (*DEMO, "--replay", "run.jsonl", "--speed", "0.001")
    code, text = typed(program, ("Loading", PRESS), QUIT, arguments=replay)
    assert (code, "Answer" in text) == (0, False)


@pytest.mark.parametrize("answer", [b"n\n", b"\x04", PRESS])
def test_nothing_is_downloaded_unasked(program: Program, answer: bytes) -> None:
    question: Turn = ("y or n> ", answer)
    code, text = typed(program, ASK, question, QUIT, arguments=TUI)
    assert code == 0
    assert re.search(r"Models are missing\. Downloaded first, once: [\d.]+ GB\.", text)
    assert not list(program.folder.glob("data/**/*.gguf*"))


def test_nothing_moves_on_the_terminal(program: Program) -> None:
    program.env["TERM"] = "dumb"  # readline alone writes sequences, and none to such a terminal
    code, text = typed(program, ASK, QUIT)
    assert (code, SOLVED in text) == (0, True)
    assert "\x1b" not in text
    assert "\r" not in text.replace("Problem> /quit\r", "")
