from __future__ import annotations

import json

import click
import msgspec
import pytest

from ssr_local.cli import view
from ssr_local.core.events import AnyEvent, Notice, RunEnded, encode_event
from ssr_local.core.records import Status, Step
from tests.unit.cli.program import Program
from tests.unit.core.test_tree import LOGS
from tests.unit.test_run_report import poisoned

EVIL = "\x1b]0;owned\x07\x1b[2J\x1b]52;c;cm0gLXJm\x07\u202eevil"


*HOSTILE, END = poisoned(EVIL)


@pytest.mark.parametrize("spoken", [True, False])
def test_waves_are_said_and_why_the_run_is_over(spoken: bool) -> None:
    lines: list[str] = []
    shown = view.LineView(lines.append, spoken=spoken)
    for event in LOGS[-1]:
        shown.show(event)
    text = click.unstyle("\n".join(lines))
    assert "Wave 1: 1 path. Enough when two paths agree." in text
    assert "Wave 2: no other path agrees with 8. Enough when all its paths have ended." in text
    assert "s (all paths have ended)" in text


def ended(status: Status, answer: str | None, best_path: int | None = None) -> RunEnded:
    assert isinstance(END, RunEnded)
    path = msgspec.structs.replace(
        END.result.paths[0], strategy=EVIL, steps=(Step(text=f"{EVIL} step", author="draft"),)
    )
    votes = END.result.votes if answer else ()
    changes = {"answer": answer, "status": status, "votes": votes, "best_path": best_path}
    return RunEnded(result=msgspec.structs.replace(END.result, paths=(path,), **changes))


def write_log(program: Program, *events: AnyEvent) -> str:
    log = program.folder / "run.jsonl"
    log.write_bytes(b"".join(encode_event(event) + b"\n" for event in events))
    return str(log)


@pytest.mark.parametrize("end", [ended("answered", EVIL), ended("no_answer", None, 0)])
def test_nothing_in_a_log_can_steer_the_terminal(program: Program, end: RunEnded) -> None:
    program.env["NO_COLOR"] = "1"
    log = write_log(program, *HOSTILE, end)
    code, text = program.on_terminal("replay", log)
    assert code == (0 if end.result.answer else 1)
    assert "evil" in text
    for sign in ("\x1b", "\x07", "\u202e", "owned", "cm0g"):
        assert sign not in text
    assert b"\x1b" not in program.here("replay", log).stdout


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [("answered", "1", 0), ("no_answer", None, 1), ("cancelled", None, 1)],
)
def test_exit_codes(program: Program, status: Status, answer: str | None, code: int) -> None:
    log = write_log(program, ended(status, answer))
    for more in ((), ("--json",)):
        assert program.here("replay", log, *more).returncode == code


@pytest.mark.parametrize("best_path", [7, -1])
def test_a_log_whose_best_path_is_not_there(program: Program, best_path: int) -> None:
    log = write_log(program, ended("no_answer", None, best_path))
    assert program.here("replay", log).returncode == 1


@pytest.mark.parametrize(("speed", "slept"), [(0, []), (10, [0, 2.0, 0]), (100, [0, 1.0, 0])])
def test_speed(monkeypatch: pytest.MonkeyPatch, speed: float, slept: list[float]) -> None:
    events = [Notice(at_s=at_s, message="") for at_s in (0.0, 100.0, 5.0)]
    waited: list[float] = []
    monkeypatch.setattr(view.time, "sleep", waited.append)
    assert list(view.in_time(events, speed)) == events
    assert waited == slept


def test_json_prints_nothing_but_the_result(program: Program) -> None:
    log = write_log(program, *HOSTILE, ended("answered", "1"))
    shown = json.loads(program.here("replay", "--json", log).stdout)
    assert shown["problem"] == EVIL
    assert shown["answer"] == "1"
