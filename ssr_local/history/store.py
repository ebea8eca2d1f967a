"""What the history holds: written as it happens, listed, searched, removed.

An entry that was begun and not ended belongs to a program that still works on it, or that
was killed: each program holds a lock file while it lives, which the system lets go of.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import msgspec
from filelock import FileLock, Timeout
from msgspec import Struct

from ssr_local.core.errors import HistoryError, Interrupted
from ssr_local.core.events import AnyEvent, RunEnded, StepDelta, decode_event, encode_event
from ssr_local.core.folders import data_dir
from ssr_local.core.records import Models, OptionValues, Timing
from ssr_local.history.database import FILE_NAME, open_database

Kind = Literal["run", "check", "hint"]
_LOCK_PREFIX, _LOCK_SUFFIX = ".history-", ".lock"
GOING, INTERRUPTED, CANCELLED, FAILED = "going", "interrupted", "cancelled", "failed"
_LOCK_WAIT_S = 2.0


class Entry(Struct, frozen=True, kw_only=True):
    """One run, check or hint. ``started`` and ``ended`` are UTC, ISO 8601.

    ``status`` is that of the result, "going" while it is worked on, "interrupted" when its
    program was killed, "failed" with the reason in ``error``. ``result`` is its JSON text,
    None where there is none.
    """

    id: int
    kind: Kind
    started: str
    ended: str | None
    status: str
    problem: str
    answer: str | None
    pair: str
    method: str
    result: str | None = None
    error: str = ""


class TimedRun(Struct, frozen=True, kw_only=True):
    """Of a run's result what says how long it took, and with what."""

    problem: str
    plan: str
    options: OptionValues
    models: Models
    timing_s: Timing

    @property
    def seconds(self) -> float:
        """Without pauses, the models loaded."""
        return self.timing_s.total - self.timing_s.paused


class Statistics(Struct, frozen=True):
    """How much there is: entries by kind and by status, and the file's size in bytes."""

    num_entries: int
    by_kind: dict[str, int]
    by_status: dict[str, int]
    num_bytes: int
    oldest: str | None
    newest: str | None


class History(contextlib.AbstractContextManager["History"]):
    """The history's file, open. Safe for several threads; use it as a context manager.

    ``notice`` says when a damaged file was replaced. Raises ``HistoryError``.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = data_dir() / FILE_NAME if file is None else file
        self._connection, self.notice = open_database(self.file)
        self._turn = threading.Lock()
        self._holder = uuid.uuid4().hex
        self._held: FileLock | None = None

    # Writing ---------------------------------------------------------------------

    def begin(self, kind: Kind, problem: str, *, pair: str = "", method: str = "") -> Recording:
        """A new entry, saved at once."""
        self._hold()
        with self.writing() as database:
            cursor = database.execute(
                "INSERT INTO entries (kind, started, status, problem, pair, method, holder)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (kind, _now(), GOING, _text(problem), pair, method, self._holder),
            )
            entry_id = int(cursor.lastrowid or 0)
            database.execute(
                "INSERT INTO texts (rowid, problem, answer, body) VALUES (?, ?, '', '')",
                (entry_id, _text(problem)),
            )
        return Recording(self, entry_id)

    def remove(self, *entry_ids: int) -> None:
        """Forget entries, all or none. Raises ``HistoryError`` when one cannot be."""
        for entry_id in entry_ids:
            if self.entry(entry_id).status == GOING:
                raise HistoryError(f"Entry {entry_id} is still worked on.", "", "Stop that first.")
        with self.writing() as database:
            for entry_id in dict.fromkeys(entry_ids):
                if database.execute("DELETE FROM entries WHERE id = ?", (entry_id,)).rowcount == 0:
                    raise _no_entry(entry_id)
                database.execute("DELETE FROM texts WHERE rowid = ?", (entry_id,))

    # Reading ---------------------------------------------------------------------

    def entries(self, limit: int = 20) -> list[Entry]:
        """The newest entries, without their results."""
        return self._selected("ORDER BY id DESC LIMIT ?", (limit,))

    def search(self, text: str, limit: int = 20) -> list[Entry]:
        """Entries that have all the words, or their beginnings, the best first."""
        words = " ".join(f'"{word.replace(chr(34), chr(34) * 2)}"*' for word in _text(text).split())
        if not words:
            return []
        return self._selected(
            "JOIN (SELECT rowid, rank FROM texts WHERE texts MATCH ?) found"
            " ON found.rowid = entries.id ORDER BY found.rank, id DESC LIMIT ?",
            (words, limit),
        )

    def entry(self, entry_id: int) -> Entry:
        """One entry with its result. Raises ``HistoryError`` when there is none."""
        found = self._selected("WHERE id = ?", (entry_id,), whole=True)
        if not found:
            raise _no_entry(entry_id)
        return found[0]

    def events(self, entry_id: int) -> Iterator[AnyEvent]:
        """The events of a run, as far as they came; an interrupted one's too."""
        rows = self.rows("SELECT body FROM events WHERE entry = ? ORDER BY number", (entry_id,))
        for (body,) in rows:
            try:
                yield decode_event(body)
            except msgspec.DecodeError as error:
                raise unreadable(entry_id, error) from error

    def timed_runs(self, draft: str, target: str, limit: int = 200) -> list[TimedRun]:
        """Of the newest answered runs those by models of these names, the newest first."""
        rows = self.rows(
            "SELECT result FROM entries WHERE kind = 'run' AND status = 'answered'"
            " ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        found = []
        for (result,) in rows:
            with contextlib.suppress(msgspec.MsgspecError):  # another version's
                run = msgspec.json.decode(result, type=TimedRun)
                used = ((run.models.draft, draft), (run.models.target, target))
                if all(model is None or model.name == name for model, name in used):
                    found.append(run)
        return found

    def statistics(self) -> Statistics:
        """How much there is."""
        by_kind = dict(self.rows("SELECT kind, count(*) FROM entries GROUP BY kind"))
        by_status: Counter[str] = Counter()
        for status, holder, count in self.rows(
            "SELECT status, holder, count(*) FROM entries GROUP BY status, holder"
        ):
            by_status[self._status(status, holder)] += count
        ((oldest, newest, total),) = self.rows(
            "SELECT min(started), max(started), count(*) FROM entries"
        )
        size = sum(
            path.stat().st_size
            for path in (self.file, self.file.with_name(f"{self.file.name}-wal"))
            if path.exists()
        )
        return Statistics(total, by_kind, dict(by_status), size, oldest, newest)

    def close(self) -> None:
        """Close the file; what was begun and not ended counts as interrupted."""
        with self._turn:
            self._connection.close()
        if self._held is not None:
            self._held.release()
            Path(self._held.lock_file).unlink(missing_ok=True)
            self._held = None

    def __exit__(self, *_: object) -> None:
        self.close()

    # Inside ----------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is saved when it ends; raises ``HistoryError`` when it is not."""
        with self._turn:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except (sqlite3.Error, UnicodeError) as error:
                raise HistoryError(
                    f"The history {self.file} cannot be written.", f"{error}.", _advice(error)
                ) from error
            finally:  # some errors end a transaction by themselves
                if self._connection.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")

    def rows(self, query: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """What a query gives, for the modules of this package; raises ``HistoryError``."""
        with self._turn:
            try:
                return self._connection.execute(query, tuple(values)).fetchall()
            except (sqlite3.Error, UnicodeError) as error:
                raise HistoryError(
                    f"The history {self.file} cannot be read.", f"{error}."
                ) from error

    def _selected(
        self, condition: str, values: Iterable[Any], *, whole: bool = False
    ) -> list[Entry]:
        fields = ", ".join(Entry.__struct_fields__)
        rows = self.rows(f"SELECT holder, {fields} FROM entries {condition}", values)  # noqa: S608
        return [self._entry(row, whole) for row in rows]

    def _entry(self, row: tuple[Any, ...], whole: bool) -> Entry:
        holder, *values = row
        fields = dict(zip(Entry.__struct_fields__, values, strict=True))
        fields["status"] = self._status(fields["status"], holder)
        if not whole:
            del fields["result"]
        return Entry(**fields)

    def _status(self, status: str, holder: str) -> str:
        return INTERRUPTED if status == GOING and not self._lives(holder) else status

    def _hold(self) -> None:
        if self._held is None:
            lock = FileLock(self._lock_file(self._holder))
            try:
                lock.acquire(timeout=_LOCK_WAIT_S)  # another program may look whether it lives
            except (OSError, Timeout) as error:
                raise HistoryError(
                    f"The history's folder {self.file.parent} cannot be written.", f"{error}."
                ) from error
            self._held = lock
            for file in self.file.parent.glob(f"{_LOCK_PREFIX}*{_LOCK_SUFFIX}"):
                name = file.name.removeprefix(_LOCK_PREFIX).removesuffix(_LOCK_SUFFIX)
                self._lives(name)  # takes away what killed programs have left

    def _lives(self, holder: str) -> bool:
        if holder == self._holder:
            return self._held is not None
        file = self._lock_file(holder)
        if not file.exists():
            return False
        lock = FileLock(file)
        try:
            lock.acquire(timeout=0)
        except (OSError, Timeout):
            return True
        file.unlink(missing_ok=True)  # while it is held: who waits for it sees that it is gone
        lock.release()
        return False

    def _lock_file(self, holder: str) -> Path:
        return self.file.with_name(f"{_LOCK_PREFIX}{holder}{_LOCK_SUFFIX}")


class Recording:
    """One entry while it is worked on. What is given here is saved when the call returns."""

    def __init__(self, history: History, entry_id: int) -> None:
        self.history, self.id = history, entry_id
        self._number = 0

    def event(self, event: AnyEvent) -> None:
        """Save an event of a run; single tokens are left out, their step comes as a whole."""
        if isinstance(event, StepDelta):
            return
        with self.history.writing() as database:
            database.execute(
                "INSERT INTO events (entry, number, body) VALUES (?, ?, ?)",
                (self.id, self._number, encode_event(event).decode()),
            )
            if isinstance(event, RunEnded):  # the list and the events never tell two stories
                result = event.result
                body = "\n".join(path.text for path in result.paths)
                self._end(database, result.status, result.answer, body, _encoded(result))
        self._number += 1

    def so_far(self, result: Struct, *, body: str) -> None:
        """Save what there is of a result; it stays when the work is stopped or killed."""
        with self.history.writing() as database:
            database.execute(
                "UPDATE entries SET result = ? WHERE id = ? AND status = ?",
                (_encoded(result), self.id, GOING),
            )
            database.execute("UPDATE texts SET body = ? WHERE rowid = ?", (_text(body), self.id))

    def end(self, result: Struct, *, status: str, answer: str | None, body: str) -> None:
        """Save a result; ``body`` is the text by which it is found again."""
        with self.history.writing() as database:
            self._end(database, status, answer, body, _encoded(result))

    def fail(self, error: Exception) -> None:
        """Save that it ended with an error, or was stopped; what was saved at its end stays."""
        status = CANCELLED if isinstance(error, Interrupted) else FAILED
        with self.history.writing() as database:
            self._end(database, status, error=str(error))

    def _end(
        self,
        database: sqlite3.Connection,
        status: str,
        answer: str | None = None,
        body: str = "",
        result: str | None = None,
        error: str = "",
    ) -> None:
        ended = database.execute(
            "UPDATE entries SET ended = ?, status = ?, answer = ?,"
            " result = coalesce(?, result), error = ? WHERE id = ? AND status = ?",
            (_now(), status, answer and _text(answer), result, _text(error), self.id, GOING),
        )
        if ended.rowcount == 0:
            return
        database.execute(
            "UPDATE texts SET answer = ?, body = coalesce(nullif(?, ''), body) WHERE rowid = ?",
            (_text(answer or ""), _text(body), self.id),
        )


def _no_entry(entry_id: int) -> HistoryError:
    return HistoryError(
        f"The history has no entry {entry_id}.", "", "See which there are: ssr-local history list"
    )


def unreadable(entry_id: int, error: Exception) -> HistoryError:
    """The error to raise for an entry that cannot be decoded."""
    return HistoryError(
        f"Entry {entry_id} of the history cannot be read.",
        f"{error}.",
        "Another version of ssr-local may have written it.",
    )


def _advice(error: Exception) -> str:
    words = str(error)
    if "full" in words:
        return "Make room on the disk, or give --no-save."
    if "locked" in words:
        return "Another program holds it: try again."
    return "Give --no-save to work without it."


def _encoded(result: Struct) -> str:
    return msgspec.json.encode(result).decode()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _text(text: str) -> str:
    """Text that SQLite takes: half a character from a terminal is none."""
    return text.encode("utf-8", "replace").decode("utf-8")
