"""The history keeps what it says it kept, whatever happens to the program or the file."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from msgspec.structs import replace

from ssr_local.core.errors import ConfigError, HistoryError, Interrupted
from ssr_local.core.events import AnyEvent, Notice, RunEnded, StepDelta
from ssr_local.history.database import open_database
from ssr_local.history.practice import Practice
from ssr_local.history.saving import is_kept
from ssr_local.history.store import History, Recording
from ssr_local.tutoring.hints import Hint

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "history.sqlite3"


def a_hint(text: str = "Try it.") -> Hint:
    return Hint(problem="x", level=1, text=text)


def test_a_run_is_saved_as_it_happens_and_found_again(file: Path, run: list[AnyEvent]) -> None:
    with History(file) as history:
        recording = history.begin("run", "A farm has hens and cows.", pair="demo", method="ssr")
        assert history.entries()[0].status == "going"
        for event in run:
            recording.event(event)
    with History(file) as history:
        (entry,) = history.entries()
        assert (entry.status, entry.answer, entry.kind) == ("answered", "18", "run")
        assert entry.ended is not None
        assert entry.result is None  # only of one entry alone
        assert '"answer":"18"' in (history.entry(entry.id).result or "")
        kept = [event for event in run if not isinstance(event, StepDelta)]
        assert list(history.events(entry.id)) == kept


def test_answered_runs_by_the_models_that_did_them_the_newest_first(
    file: Path, run: list[AnyEvent]
) -> None:
    ended = run[-1]
    assert isinstance(ended, RunEnded)
    both = ended.result.models
    assert both.draft is not None
    assert both.target is not None
    names = (both.draft.name, both.target.name)
    with History(file) as history:
        for total, models in (
            (3.0, both),
            (2.0, replace(both, draft=None)),
            (9.0, replace(both, target=replace(both.target, name="other"))),
        ):
            timing = replace(ended.result.timing_s, paused=0.5, total=total)
            result = replace(ended.result, plan="prose:target", models=models, timing_s=timing)
            # What the entry says of the pair is what the settings said.
            history.begin("run", "A farm.", pair="mine").event(replace(ended, result=result))
        history.begin("run", "A farm.", pair="mine").fail(Interrupted("stopped"))
        assert [one.seconds for one in history.timed_runs(*names)] == [1.5, 2.5]
        assert [one.seconds for one in history.timed_runs("another", names[1])] == [1.5]
        assert [one.seconds for one in history.timed_runs("another", "other")] == []
        assert len(history.timed_runs(*names, 2)) == 1


def test_a_runs_last_event_and_its_end_are_saved_together(
    file: Path, run: list[AnyEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise sqlite3.OperationalError("killed there")

    with History(file) as history:
        recording = history.begin("run", "A farm.")
        with monkeypatch.context() as patch:
            patch.setattr(Recording, "_end", killed)
            with pytest.raises(HistoryError):
                recording.event(run[-1])
        assert list(history.events(recording.id)) == []
        recording.event(run[-1])
        assert history.entry(recording.id).answer == "18"
        assert list(history.events(recording.id)) == [run[-1]]


def test_search_finds_words_and_their_beginnings(file: Path) -> None:
    hens, trains = "Hens and cows", "Trains"
    with History(file) as history:
        for problem, text in ((hens, "legs"), (trains, 'speed "is" 60')):
            history.begin("hint", problem).end(a_hint(), status="given", answer=None, body=text)
        for text in ("hen", "LEGS"):
            assert [entry.problem for entry in history.search(text)] == [hens]
        for text in ("speed 60", '"is"'):
            assert [entry.problem for entry in history.search(text)] == [trains]
        for text in ("hens trains", "", "* OR )", "xyz"):
            assert history.search(text) == []


def test_what_is_removed_is_gone_with_all_of_it(file: Path, run: list[AnyEvent]) -> None:
    with History(file) as history:
        recording = history.begin("run", "farm")
        for event in run:
            recording.event(event)
        history.remove(recording.id)
        assert history.entries() == history.search("farm") == []
        assert list(history.events(recording.id)) == []
        for ask in (history.remove, history.entry):
            with pytest.raises(HistoryError, match="no entry"):
                ask(recording.id)


def test_what_was_saved_at_its_end_stays_whatever_fails_then(file: Path) -> None:
    with History(file) as history:
        ended, stopped = history.begin("hint", "One?"), history.begin("hint", "Two?")
        ended.end(Hint(problem="One?", level=1, text="So."), status="given", answer=None, body="So")
        ended.fail(OSError("the terminal is gone"))
        stopped.fail(Interrupted("Stopped."))
        assert [one.status for one in history.entries()] == ["cancelled", "given"]
        assert history.entry(ended.id).result is not None
        assert [one.id for one in history.search("So")] == [ended.id]


def test_what_there_is_of_a_check_stays_when_it_is_stopped(file: Path) -> None:
    with History(file) as history:
        check = history.begin("check", "Hens?")
        check.so_far(a_hint("half"), body="The first step.")
        check.fail(Interrupted("Stopped."))
        killed = history.begin("check", "Cows?")
        killed.so_far(a_hint("half"), body="Another step.")
    with History(file) as history:
        assert [one.status for one in history.entries()] == ["interrupted", "cancelled"]
        assert all('"half"' in (history.entry(one.id).result or "") for one in history.entries())
        assert [one.id for one in history.search("step first")] == [check.id]


def test_what_is_still_worked_on_is_not_removed(file: Path) -> None:
    with History(file) as history:
        going = history.begin("run", "Hens?")
        with pytest.raises(HistoryError, match="still worked on"):
            history.remove(going.id)
        done = history.begin("hint", "Two?")
        done.end(a_hint(), status="given", answer=None, body="")
        with pytest.raises(HistoryError, match="still worked on"):
            history.remove(done.id, going.id)
        history.remove(done.id, done.id)
    with History(file) as history:
        assert history.statistics().by_status == {"interrupted": 1}
        history.remove(going.id)


def test_half_a_character_is_searched_for_and_saved_like_any_other(file: Path) -> None:
    with History(file) as history:
        entry = history.begin("run", "Hens \udcff?")
        entry.fail(OSError("no \udcff"))
        assert [one.id for one in history.search("\udcff hens")] in ([entry.id], [])
        assert history.entry(entry.id).status == "failed"


def test_an_entry_that_cannot_be_decoded_is_named(file: Path) -> None:
    with History(file) as history:
        entry = history.begin("run", "Hens?")
        with history.writing() as database:
            database.execute(
                "INSERT INTO events (entry, number, body) VALUES (?, 0, ?)", (entry.id, '{"x": 1}')
            )
        with pytest.raises(HistoryError, match=f"Entry {entry.id} of the history cannot be read"):
            list(history.events(entry.id))


def test_statistics(file: Path) -> None:
    with History(file) as history:
        assert history.statistics().num_entries == 0
        history.begin("hint", "a").end(a_hint(), status="given", answer=None, body="")
        history.begin("check", "b").fail(ValueError("no"))
        found = history.statistics()
    assert (found.num_entries, found.by_kind) == (2, {"hint": 1, "check": 1})
    assert found.by_status == {"given": 1, "failed": 1}
    assert found.num_bytes > 0


def write_until_killed(file: Path, told: int) -> None:
    """Save without an end; only what was reported saved is written to the pipe ``told``."""
    history = History(file)
    number = 0
    while True:
        recording = history.begin("run", "a problem")
        for _ in range(5):
            recording.event(Notice(message=str(number)))
            os.write(told, f"{recording.id} {number}\n".encode())
            number += 1
        recording.fail(ValueError("ended"))


def killed_writer(file: Path, lines: int) -> list[tuple[int, int]]:
    """What a process said that it had saved until it was killed: entry and event."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            write_until_killed(file, write)
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        told = [pipe.readline() for _ in range(lines)]
        os.kill(pid, signal.SIGKILL)
        told += pipe.readlines()
    os.waitpid(pid, 0)
    pairs = [line.split() for line in told if line.endswith(b"\n")]
    return [(int(entry), int(number)) for entry, number in pairs]


@needs_fork
@pytest.mark.parametrize("num_kills", [13, pytest.param(200, marks=pytest.mark.slow)])
def test_no_row_is_lost_when_programs_are_killed(file: Path, num_kills: int) -> None:
    told = {pair for n in range(num_kills) for pair in killed_writer(file, 1 + n % 13)}
    assert len(told) > num_kills
    with History(file) as history:
        entries = history.entries(100_000)
        saved = {
            (entry.id, int(event.message))
            for entry in entries
            for event in history.events(entry.id)
            if isinstance(event, Notice)
        }
    assert told <= saved
    states = [entry.status for entry in entries]
    assert set(states) == {"failed", "interrupted"}
    assert states.count("interrupted") <= num_kills
    with History(file) as history:
        history.begin("run", "tidies up")
    assert not list(file.parent.glob(".history-*.lock"))


def test_an_entry_goes_on_while_its_program_lives(file: Path) -> None:
    with History(file) as one, History(file) as two:
        recording = one.begin("run", "long")
        assert two.entries()[0].status == "going"
        other = two.begin("run", "beside")
        recording.end(a_hint(), status="answered", answer="1", body="")
        assert [entry.status for entry in one.entries()] == ["going", "answered"]
        other.fail(ValueError("x"))
        one.begin("run", "left")
    with History(file) as history:
        assert history.entries()[0].status == "interrupted"
    assert not list(file.parent.glob(".history-*.lock"))


def in_processes(number: int, work: Callable[[], None]) -> list[int]:
    """Exit codes of as many processes that did the same at once; 0 where nothing was raised."""
    pids = []
    for _ in range(number):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                work()
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def fill(file: Path) -> None:
    with History(file) as history:
        for number in range(200):
            history.begin("run", f"problem {number}" * 50)


def write_hints(file: Path, number: int) -> None:
    with History(file) as history:
        for _ in range(number):
            history.begin("hint", "x").end(a_hint(), status="given", answer=None, body="")


@needs_fork
def test_two_programs_find_the_file_damaged_at_once(file: Path) -> None:
    fill(file)
    header_alone = bytearray(file.read_bytes())
    header_alone[100:8192] = b"\xff" * 8092
    for number in range(8):
        contents = bytes(header_alone) if number % 2 else b"no database " * 1000
        damaged = file.with_name(f"{number}.sqlite3")
        damaged.parent.mkdir(exist_ok=True)
        damaged.write_bytes(contents)
        assert in_processes(4, lambda: write_hints(damaged, 3)) == [0] * 4  # noqa: B023
        with History(damaged) as history:
            assert history.statistics().by_status == {"given": 12}
        (aside,) = damaged.parent.glob(f"{number}-damaged-*.sqlite3")
        assert aside.read_bytes() == contents


def test_a_locked_file_is_waited_for(file: Path) -> None:
    History(file).close()
    holder = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    threading.Timer(0.5, lambda: holder.execute("COMMIT")).start()
    with History(file) as history:
        history.begin("run", "waits")
        assert len(history.entries()) == 1
    holder.close()


def test_a_damaged_file_is_kept_aside_and_a_new_one_begun(file: Path) -> None:
    fill(file)
    data = b"x" * 16 + file.read_bytes()[16:]
    file.write_bytes(data)
    with History(file) as history:
        assert "damaged" in history.notice
        assert history.entries() == []
        history.begin("run", "afresh")
    (aside,) = file.parent.glob("history-damaged-*.sqlite3")
    assert aside.read_bytes() == data


def test_a_newer_file_is_refused_and_left_alone(file: Path) -> None:
    History(file).close()
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 99")
    before = file.read_bytes()
    with pytest.raises(HistoryError, match="newer ssr-local"):
        History(file)
    assert file.read_bytes() == before


def overflow(history: History) -> None:
    for _ in range(1000):
        history.begin("run", "x" * 5000)


def test_a_full_disk_and_a_folder_that_cannot_be_made_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryError, match="cannot be used"):
        History(tmp_path / "file" / "history.sqlite3")
    with History(tmp_path / "history.sqlite3") as history:
        history._connection.execute("PRAGMA max_page_count = 20")  # a disk that is full
        with pytest.raises(HistoryError, match=r"(?s)full.*Make room on the disk") as raised:
            overflow(history)
        assert "cannot be written" in str(raised.value)
        num_before = len(history.entries(1000))
        history._connection.execute("PRAGMA max_page_count = 100000")
        history.begin("run", "there is room again")
        assert len(history.entries(1000)) == num_before + 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("[history]\n", True),
        ("[history]\nsave = false\n", False),
        ("[history]\nsave = 1\n", "key 'history.save' cannot be 1"),
        ("[history]\nsav = true\n", "key 'history.sav' is unknown"),
        ("history = 3\n", "key 'history' cannot be 3"),
    ],
)
def test_the_switch_in_the_settings_file(
    text: str, expected: bool | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSR_LOCAL_CONFIG_DIR", str(tmp_path))
    (tmp_path / "config.toml").write_text(text)
    if isinstance(expected, bool):
        assert is_kept() is expected
    else:
        with pytest.raises(ConfigError, match=expected):
            is_kept()


# Practice: problems come back later the better they go ------------------------------

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def test_only_what_went_wrong_comes_into_practice(file: Path) -> None:
    with History(file) as history:
        practice = Practice(history)
        assert practice.solved("easy", good=True, now=START) is None
        assert practice.problems() == []
        due = practice.solved("hard", good=False, now=START)
        assert due is not None
        assert (due.problem, due.num_reviews) == ("hard", 1)
        assert practice.problem(due.number) == due
    with History(file) as history:
        assert Practice(history).problems() == [due]
        Practice(history).drop(due.number)
        assert Practice(history).problems() == []
        with pytest.raises(HistoryError, match="no problem 1 in practice"):
            Practice(history).drop(due.number)


def test_every_good_solution_puts_it_off_for_longer_and_a_wrong_one_brings_it_near(
    file: Path,
) -> None:
    with History(file) as history:
        practice = Practice(history)
        now, gaps = START, []
        for good in (False, True, True, True, True, False):
            due = practice.solved("p", good=good, now=now)
            assert due is not None
            when = datetime.fromisoformat(due.due)
            gaps.append(when - now)
            now = when
    assert gaps[0] >= timedelta(days=1)  # not today
    assert gaps[:5] == sorted(gaps[:5])
    assert gaps[4] > 3 * gaps[1]
    assert gaps[5] < gaps[4] / 2


def test_the_first_due_stands_in_front(file: Path) -> None:
    with History(file) as history:
        practice = Practice(history)
        practice.solved("later", good=False, now=START + timedelta(days=9))
        practice.solved("first", good=False, now=START)
        assert [one.problem for one in practice.problems()] == ["first", "later"]
        assert all(one.is_due for one in practice.problems())
        future = datetime.now(timezone.utc) + timedelta(days=5)
        practice.solved("first", good=True, now=future)
        assert [one.is_due for one in practice.problems()] == [True, False]


def test_a_history_of_the_first_version_gets_the_table(file: Path) -> None:
    with History(file) as history:
        history.begin("run", "kept")
    with sqlite3.connect(file) as database:
        database.execute("DROP TABLE practice")
        database.execute("PRAGMA user_version = 1")
    connection, notice = open_database(file)
    connection.close()
    assert notice == ""
    with History(file) as history:
        assert [entry.problem for entry in history.entries()] == ["kept"]
        assert Practice(history).problems() == []
