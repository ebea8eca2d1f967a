"""``ssr-local bench`` as a user runs it, on the scripted pair."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from ssr_local.bench.provenance import prompt_hash
from ssr_local.bench.records import Row
from ssr_local.bench.store import ROWS, WALKS
from ssr_local.cli.bench.parameters import kept_in
from ssr_local.core.line_file import read_lines
from tests.unit.bench.labels.made_walks import planted

from .program import Program

METHODS = ("target", "draft", "ssr-m3", "parallel-3-fast2")
NUM_ROWS = 3 * len(METHODS)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    (tmp_path / "p.jsonl").write_text(
        "".join(
            json.dumps({"id": f"farm/{i}", "problem": f"Farm {i}?", "answer": answer}) + "\n"
            for i, answer in enumerate(("18", "19", "18"))
        )
    )
    return Program(tmp_path)


@pytest.fixture
def slow(program: Program) -> Program:
    return Program(program.folder, speed="8")


def run_arguments(*more: str, out: str = "out") -> tuple[str, ...]:
    data = ("--task", "gsm8k", "--data", "p.jsonl", "--pair", "demo")
    return ("bench", "run", *data, "--methods", ",".join(METHODS), "--out", out, *more)


def rows(program: Program, out: str = "out") -> list[Row]:
    return list(read_lines(program.folder / out / ROWS, Row))


def wait_for_rows(program: Program, count: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    path = program.folder / "out" / ROWS
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.01)
    raise TimeoutError("there were never so many rows")


def test_from_rows_to_a_report(program: Program) -> None:
    done = program.here(*run_arguments())
    assert done.returncode == 0, done.stderr
    assert b"[12/12]" in done.stderr
    counts = Counter(row.outcome for row in rows(program))
    assert set(counts) == {"right", "wrong"}
    said = f"{counts['right']} right, {counts['wrong']} wrong\n"
    assert done.stdout.decode().startswith(said)
    assert all(row.outcome == "wrong" for row in rows(program) if row.problem == "farm/1")
    again = program.here(*run_arguments())
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert b"0 of 12 rows to do" in again.stderr
    report = program.here("bench", "report", "out")
    assert report.returncode == 0, report.stderr
    text = (program.folder / "out" / "report.md").read_text()
    assert all(f"| {method} " in text for method in METHODS)
    assert text.count("![") == len(list((program.folder / "out").glob("*.png"))) == 2
    assert report.stdout.decode().strip() in text
    figures = json.loads((program.folder / "out" / "report.json").read_bytes())
    assert {one["method"] for one in figures["tasks"][0]["methods"]} == set(METHODS)


def test_a_bench_in_other_words_beside_another_baseline(program: Program) -> None:
    asked = run_arguments("--methods", "target,ssr-m3", "--prompt", "short")
    done = program.here(*asked)
    assert done.returncode == 0, done.stderr
    assert {row.result.options["prompt"] for row in rows(program) if row.result} == {"short"}
    assert {row.prompt_hash for row in rows(program)} == {prompt_hash("maths", "short")}
    refused = program.here(*asked[:-2])
    assert refused.returncode == 2
    assert b"was begun with prompt = 'short'" in refused.stderr
    report = program.here(
        "bench", "report", "out", "--no-plots", "--baseline", "ssr-m3+prompt=short"
    )
    assert report.returncode == 0, report.stderr
    (task,) = json.loads((program.folder / "out" / "report.json").read_bytes())["tasks"]
    assert task["baseline"] == "ssr-m3+prompt=short"
    beside = {one["method"]: one["target"] is not None for one in task["methods"]}
    assert beside == {"ssr-m3+prompt=short": False, "target+prompt=short": True}


@pytest.mark.parametrize(
    "count", [1, *(pytest.param(count, marks=pytest.mark.slow) for count in (4, 9))]
)
def test_a_bench_that_is_killed_goes_on_and_counts_nothing_twice(
    program: Program, slow: Program, count: int
) -> None:
    process = slow.start(*run_arguments())
    try:
        wait_for_rows(slow, count, process)
        second = program.here(*run_arguments())
        assert second.returncode == 2
        assert b"is in use" in second.stderr
    finally:
        process.kill()
        process.communicate()
    before = rows(program)
    assert count <= len(before) < NUM_ROWS
    done = program.here(*run_arguments())
    assert done.returncode == 0, done.stderr
    after = rows(program)
    assert after[: len(before)] == before
    assert len({row.key for row in after}) == len(after) == NUM_ROWS


def test_a_bench_that_is_stopped_says_that_nothing_is_lost(slow: Program) -> None:
    process = slow.start(*run_arguments())
    wait_for_rows(slow, 2, process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 143
    assert b"kept in out" in err
    assert b"Traceback" not in err
    assert 2 <= len(rows(slow)) < NUM_ROWS


def test_an_interrupt_says_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), kept_in(Path("out")):
        raise KeyboardInterrupt
    assert "kept in out" in capsys.readouterr().err


def test_problems_come_with_the_package_and_can_be_left_out(program: Program) -> None:
    arguments = ("--task", "selfcheck", "--pair", "demo", "--skip", "1", "--limit", "2")
    done = program.here("bench", "run", *arguments, "--methods", "target", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert [row.problem for row in rows(program)] == ["selfcheck/02", "selfcheck/03"]


def test_throughput_has_a_directory_of_its_own(program: Program) -> None:
    # Three problems are there: no more can be in a batch.
    assert program.here(*run_arguments("--concurrency", "16")).returncode == 0
    assert {row.concurrency for row in rows(program)} == {16}
    assert b"begun with concurrency = 16" in program.here(*run_arguments()).stderr


def test_two_directories_side_by_side(program: Program) -> None:
    program.here(*run_arguments(out="one"))
    program.here(*run_arguments("--seed", "5", out="two"))
    done = program.here("bench", "report", "--compare", "one", "two")
    assert done.returncode == 0, done.stderr
    assert (program.folder / "one" / "compare.md").read_text().startswith("# one beside two")
    assert program.here("bench", "report", "--compare", "one").returncode == 2


def test_labelled_steps_from_collecting_to_scores(program: Program) -> None:
    arguments = ("--task", "gsm8k", "--data", "p.jsonl", "--pair", "demo", "--out", "out")
    collected = program.here("bench", "steps", *arguments, "--samples", "2", "--num", "5")
    assert collected.returncode == 0, collected.stderr
    assert collected.stdout == b"5 labelled steps of gsm8k in out\n"
    more = program.here("bench", "steps", *arguments, "--samples", "2", "--num", "50")
    assert more.returncode == 1
    refused = program.here("bench", "calibrate", *arguments, "--samples", "2", "--num", "5")
    assert refused.returncode == 2
    assert b"Too few labelled steps" in refused.stderr
    scored = program.here("bench", "verifiers", "out")
    assert scored.returncode == 0
    assert b"min-likelihood" in scored.stdout
    as_json = json.loads(program.here("bench", "verifiers", "out", "--json").stdout)
    assert as_json["num_judged"] >= 5


def test_a_calibration_is_put_in_force(program: Program) -> None:
    out = program.folder / "out"
    out.mkdir()
    walks = planted({"likelihood": 2.0})
    (out / WALKS).write_bytes(b"".join(msgspec.json.encode(walk) + b"\n" for walk in walks))
    arguments = ("--task", "gsm8k", "--data", "p.jsonl", "--out", "out", "--num", "1")
    done = program.here("bench", "calibrate", *arguments, "--write", "mine.toml")
    assert done.returncode == 0, done.stderr
    written = (program.folder / "mine.toml").read_text()
    assert "[pairs.default.calibrations.likelihood]" in written
    assert "calibrations.digit]" not in written
    assert written in done.stdout.decode()
    assert not (program.folder / "data" / "calibrations").exists()
    assert b"In force: " in program.here("bench", "calibrate", *arguments).stderr
    kept = program.folder / "data" / "calibrations" / "default.toml"
    assert written in kept.read_text()
    (program.folder / "config").mkdir()
    (program.folder / "config" / "models.toml").write_text(
        '[pairs.default]\ndraft = "qwen2.5-coder-0.5b"\ntarget = "qwen2.5-coder-1.5b"\n'
        "calibrations.likelihood.knots = [[-1.0, 0.0], [0.0, 9.0]]\n"
    )
    assert b"your own models.toml" in program.here("bench", "calibrate", *arguments).stderr
    refused = program.here("bench", "calibrate", *arguments, "--draft", "smollm2-135m")
    assert refused.returncode == 2
    assert b"belongs to a pair" in refused.stderr


def test_a_folder_without_results_is_named(program: Program) -> None:
    for command in ("report", "verifiers"):
        done = program.here("bench", command, "nothing")
        assert done.returncode == 2
        assert b"nothing holds no results" in done.stderr


def test_methods_are_listed(program: Program) -> None:
    text = program.here("bench", "methods").stdout.decode()
    assert "ssr-mN" in text
    assert "+tau=X" in text
    assert json.loads(program.here("bench", "methods", "--json").stdout)["exits"][0]["name"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--task", "gsm9k"), "gsm9k"),
        (("--methods", "targte"), "Did you mean target"),
        (("--methods", ""), "No method was named"),
        (("--data", "absent.jsonl"), "absent.jsonl"),
        (("--task", "code"), "entry_point"),
        (("--repeats", "0"), "repeats"),
        (("--skip", "3"), "no problems left"),
        (("--pair", "absent"), "absent"),
        (("--out", "p.jsonl"), "cannot be used"),
    ],
)
def test_wrong_usage_is_one_error(program: Program, arguments: tuple[str, ...], says: str) -> None:
    done = program.here(*run_arguments(*arguments))
    assert done.returncode == (3 if "absent" in arguments and "--pair" in arguments else 2)
    assert says in done.stderr.decode()


def test_model_written_code_needs_to_be_allowed(program: Program) -> None:
    problem = {
        "id": "HumanEval/0",
        "problem": "def f(x):\n",
        "answer": "    return x\n",
        "entry_point": "f",
        "test": "def check(candidate):\n    assert candidate(1) == 1\n",
    }
    (program.folder / "code.jsonl").write_text(json.dumps(problem) + "\n")
    arguments = ("bench", "run", "--task", "code", "--data", "code.jsonl", "--pair", "demo")
    refused = program.here(*arguments, "--out", "out")
    assert refused.returncode == 2
    assert b"--allow-code" in refused.stderr
    allowed = program.here(*arguments, "--out", "out", "--allow-code", "--methods", "target")
    assert allowed.returncode == 0, allowed.stderr
    assert [row.outcome for row in rows(program)] == ["missing"]
