from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from ssr_local.version import VERSION
from tests.unit.cli.program import Program, child_of, linux, remarks

DEMO = ("solve", "--pair", "demo")


@pytest.fixture
def slow(tmp_path: Path) -> Program:
    return Program(tmp_path, speed="0.5")


def test_without_a_terminal_only_the_answer_is_printed(program: Program) -> None:
    done = program.here(*DEMO, "How many hens?")
    assert (done.returncode, done.stdout, remarks(done)) == (0, b"18\n", [])


@pytest.mark.parametrize("how", ["-", "--file", "--file with a mark"])
def test_where_the_problem_comes_from(program: Program, how: str) -> None:
    problem = "Wie viele Hühner? 数\n"
    if how == "-":
        done = program.here(*DEMO, "--json", "-", stdin=problem.encode())
    else:
        encoding = "utf-8-sig" if "mark" in how else "utf-8"
        (program.folder / "problem.txt").write_text(problem, encoding=encoding)
        done = program.here(*DEMO, "--json", "--file", "problem.txt")
    assert json.loads(done.stdout)["problem"] == problem.strip()


def solved(program: Program, *more: str) -> dict[str, Any]:
    done = program.here(*DEMO, "How many hens?", "--json", *more)
    assert (done.returncode, remarks(done)) == (0, [])
    assert done.stdout.count(b"\n") == 1
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_json(program: Program) -> None:
    result = solved(program, "--seed", "7")
    assert (result["answer"], result["status"], result["version"]) == ("18", "answered", VERSION)
    options = result["options"]
    assert (options["seed"], options["method"], options["pair"]) == (7, "ssr", "demo")
    assert {path["strategy"] for path in result["paths"]} == {"A", "I", "K"}
    for path in result["paths"]:
        assert (path["end_reason"], len(path["answer"])) == ("answered", 2)
        assert 0 <= path["mean_score"] <= 9
        assert 0 < path["selection_score"] < 1
        for step in path["steps"]:
            assert set(step) >= {"text", "author", "score", "accepted"}
            assert ("draft_text" in step) is (step["author"] == "target")
    rewritten = [s for p in result["paths"] for s in p["steps"] if s["author"] == "target"]
    assert [(step["score"], step["accepted"]) for step in rewritten] == [(9, False)] * 2
    votes = [(group["answer"], group["winner"]) for group in result["votes"]]
    assert votes == [("18", True), ("21", False)]
    for role in ("draft", "target"):
        assert result["models"][role]["name"] == f"demo-{role}"
        assert result["usage"][role]["prefill_tokens"] > 0
        assert result["usage"][role]["decode_tokens"] > 0
    timing = dict(result["timing_s"])
    total = timing.pop("total")
    assert set(timing) >= {"selection", "draft", "verify", "rewrite"}
    assert sum(timing.values()) <= total
    assert result["acceptance_rate"] == pytest.approx(10 / 12)
    assert 0 < result["flops"]["decode"] < result["flops"]["total"]


def test_options_reach_the_run(program: Program) -> None:
    program.env["SSR_LOCAL_MAX_STEPS"] = "9"
    result = solved(program, "--paths", "2", "--gpu-layers", "auto", "--mode", "fast1")
    options = result["options"]
    assert (options["paths"], options["gpu_layers"], options["max_steps"]) == (2, -1, 9)
    assert len(result["paths"]) == 2
    assert "early_exit" in {path["end_reason"] for path in result["paths"]}


def test_the_log_replays_to_the_same_result(program: Program) -> None:
    result = solved(program, "--events", "run.jsonl")
    again = program.here("replay", "--json", "run.jsonl")
    assert again.returncode == 0
    assert json.loads(again.stdout) == result


def test_a_run_without_an_answer(program: Program) -> None:
    done = program.here(*DEMO, "How many hens?", "--max-steps", "1")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"No path came to an answer" in done.stderr
    assert b"got this far" in done.stderr
    assert b"\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        ([""], b"", b"empty"),
        (["-"], b"", b"empty"),
        (["-"], b"\xef\xbb\xbf", b"empty"),
        (["-"], b"a\0b", b"NUL"),
        (["-"], b"caf\xe9", b"UTF-8"),
        (["-"], b"x" * 1_000_000, b"characters"),
        (["-"], b"x" * 1_000_001, b"longer than"),
        ([b"caf\xe9"], b"", b"not valid"),
        (["--file", "latin.txt"], b"", b"UTF-8"),
        (["--file", "huge.txt"], b"", b"longer than"),
        (["--file", "/dev/zero"], b"", b"longer than"),
        (["--strategies", b"\xff.toml", "x"], b"", b""),
        (["--events", b"/nowhere/\xff", "x"], b"", b"cannot be written"),
    ],
)
def test_a_problem_that_cannot_be_used(
    program: Program, arguments: list[str | bytes], stdin: bytes, words: bytes
) -> None:
    (program.folder / "latin.txt").write_bytes("Hühner".encode("latin-1"))
    (program.folder / "huge.txt").write_bytes(b"x" * 2_000_000)
    done = program.here(*DEMO, *arguments, stdin=stdin)
    assert (done.returncode, done.stdout) == (2, b"")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert len(done.stderr) < 1000


def test_an_event_log_that_cannot_be_written(program: Program) -> None:
    done = program.here(*DEMO, "x", "--events", "/dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: The event log /dev/full cannot be written.")


@linux
def test_a_worker_that_is_killed(slow: Program) -> None:
    process = slow.start(*DEMO, "x", "--events", "run.jsonl")
    wait_for_log(slow, b"StepDelta")
    os.kill(child_of(process.pid), signal.SIGKILL)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (4, b"")
    _note, *said = err.splitlines()
    assert said[0].startswith(b"Error: The worker process")
    assert b"signal 9" in err
    assert len(said) <= 3
    cut_off = slow.here("replay", "run.jsonl")
    assert cut_off.returncode == 1
    assert b"ends before the run did" in cut_off.stderr


def wait_for_log(program: Program, words: bytes) -> None:
    log = program.folder / "run.jsonl"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if log.exists() and words in log.read_bytes():
            return
        time.sleep(0.02)
    raise TimeoutError("the run did not get that far")


@pytest.mark.parametrize(
    ("number", "code", "as_json"),
    [(signal.SIGINT, 130, True), (signal.SIGTERM, 143, False)],
    ids=["INT", "TERM"],
)
def test_one_signal_keeps_what_there_is(
    slow: Program, number: signal.Signals, code: int, as_json: bool
) -> None:
    more = ("--json",) if as_json else ()
    process = slow.start(*DEMO, "x", "--events", "run.jsonl", *more)
    wait_for_log(slow, b"StepVerified")
    started = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - started < 2
    assert process.returncode == code
    assert b"Stopping" in err
    assert b"Traceback" not in err
    if as_json:
        result = json.loads(out)
        assert result["status"] == "cancelled"
        assert any(path["steps"] for path in result["paths"])
        assert json.loads(slow.here("replay", "--json", "run.jsonl").stdout) == result
    else:
        assert out == b""
        assert b"got this far" in err


@linux
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_two_signals_end_at_once_whatever_the_worker_does(
    slow: Program, number: signal.Signals, code: int
) -> None:
    process = slow.start(*DEMO, "x", "--events", "run.jsonl")
    wait_for_log(slow, b"StepDelta")
    worker = child_of(process.pid)
    os.kill(worker, signal.SIGSTOP)
    process.send_signal(number)
    time.sleep(0.2)
    assert process.poll() is None
    started = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - started < 2
    assert process.returncode == code
    assert b"Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_reader_that_has_seen_enough(program: Program) -> None:
    doctor = ("doctor", "--no-speed", "--pair", "demo")
    others = (("--help",), ("models", "list"), doctor)
    for arguments in (*others, (*DEMO, "x", "--json")):
        process = program.start(*arguments)
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        assert process.wait(30) == 0
        assert not err or err.startswith(b"Note: This is the demonstration")
        assert err.count(b"\n") <= 1


def test_a_terminal_shows_all_that_happens(program: Program) -> None:
    code, text = program.on_terminal(*DEMO, "How many hens?")
    assert code == 0
    plain = plain_text(text)
    for words in (
        "Loading demo-draft (draft)",
        "Loading demo-target (target)",
        "ready after",
        "ssr, 3 paths, verifier min-likelihood, seed",
        "Note: This is the demonstration: the same scripted run",
        "Strategies: *A algebraic simplification 0.32",
        "[1A] step 1 kept 8.0  Let h be the number of hens",
        "[1A] step 3 rejected 2.2  Dividing the second equation by 2 gives h + 2c = 84.",
        "[1A] step 3 rewritten  Dividing the second equation by 2 gives h + 2c = 42.",
        "[3K] ends, answer: 21",
        "* 18  (paths 1, 2, mean score",
        "  21  (paths 3, mean score",
        "Answer: 18",
        "10 of 12 drafted steps kept",
    ):
        assert words in plain, words


def plain_text(text: str) -> str:
    """What a terminal is sent, without colours and the moves that redraw the last rows."""
    plain = re.sub(r"\x1b\[([0-9;]*[mAK]|\?25[lh])", "", text)
    assert "\x1b" not in plain
    return plain


@pytest.mark.parametrize(
    ("options", "environment", "columns", "words", "absent"),
    [
        (["--method", "draft"], {}, 80, r"\[1M\] step 1 Let h be", "kept"),
        ([], {"NO_COLOR": "1"}, 80, "Answer: 18", r"\x1b\[[0-9;]*3[0-9]"),
        ([], {"TERM": "dumb"}, 80, "Answer: 18", "paths go on"),
        ([], {}, 20, "Answer: 18", "Traceback"),
    ],
    ids=["draft alone", "no colour", "cannot redraw", "tiny"],
)
def test_other_terminals_and_methods(
    program: Program,
    options: list[str],
    environment: dict[str, str],
    columns: int,
    words: str,
    absent: str,
) -> None:
    program.env |= environment
    code, text = program.on_terminal(*DEMO, "x", *options, rows=columns // 4, columns=columns)
    assert code == 0
    assert re.search(words, plain_text(text))
    assert not re.search(absent, text)


def test_a_command_that_fails_leaves_an_old_log_alone(program: Program) -> None:
    log = program.folder / "log.jsonl"
    log.write_text("an old log\n")
    failed = program.here("solve", "--pair", "nope", "--events", str(log), "x")
    assert failed.returncode == 3
    assert log.read_text() == "an old log\n"
    assert program.here(*DEMO, "x", "--events", str(log)).returncode == 0
    assert "an old log" not in log.read_text()
    assert len(log.read_text().splitlines()) > 10


def test_the_last_rows_say_what_goes_on_until_ctrl_c(slow: Program) -> None:
    slow.env["SSR_LOCAL_DEMO_SPEED"] = "1"
    rows = [rb"\[1A\] drafts step 1  Let h", rb"\[1A\] writes step 3  Dividing", b"3 paths go on"]
    pressed: list[float] = []

    def react(text: bytes, pid: int) -> None:
        if not pressed and all(re.search(row, text) for row in rows):
            pressed.append(time.monotonic())
            os.kill(pid, signal.SIGINT)

    code, text = slow.on_terminal(*DEMO, "How many hens?", react=react)
    assert time.monotonic() - pressed[0] < 3
    assert code == 130
    for words in ("Stopping; once more ends at once.", "ends, stopped", "Stopped before there was"):
        assert words in plain_text(text)
    assert text.rstrip().endswith("\x1b[2K"), "the rows are taken away"


def test_json_on_a_terminal_is_json(program: Program) -> None:
    code, text = program.on_terminal(*DEMO, "x", "--json")
    assert code == 0
    assert json.loads(text.splitlines()[-1])["answer"] == "18"


def test_a_terminal_without_the_characters(program: Program) -> None:
    program.env["PYTHONIOENCODING"] = "latin-1"
    pool = program.folder / "pool.toml"
    pool.write_text(
        'name = "p"\ndescription = "d"\nanswer = "boxed"\ninstruction = "Box it."\n'
        '[[strategies]]\nletter = "A"\nname = "数 √"\nadvice = "Do it."\n',
        encoding="utf-8",
    )
    code, text = program.on_terminal(*DEMO, "x", "--strategies", str(pool))
    assert (code, "\\u6570" in text) == (0, True)
    done = program.run(*DEMO, "数", "--json")
    assert json.loads(done.stdout)["problem"] == "数"


def test_misleading_names_in_the_current_folder(program: Program) -> None:
    for name in ("records", "events", "errors", "numpy", "jinja2", "sympy", "secrets"):
        (program.folder / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    done = program.run(*DEMO, "x")
    assert (done.returncode, done.stdout, remarks(done)) == (0, b"18\n", [])


def test_help_says_defaults_and_exit_codes_and_nothing_that_is_not_offered(
    program: Program,
) -> None:
    shown = " ".join(program.here("solve", "--help").stdout.decode().split())
    for words in ("[default: auto]", "130: stopped", "--selection "):
        assert words in shown
    for words in ("permutations", "combined"):
        assert words not in shown
