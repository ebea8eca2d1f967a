"""The history's file: opening it, bringing it up to date, and what to do when it is damaged."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from filelock import FileLock, Timeout

from ssr_local.core.errors import HistoryError

FILE_NAME = "history.sqlite3"
WAIT_S = 15.0
"""How long another program that writes is waited for."""
_LOOK_S = 0.02
_PROBES = (
    "SELECT count(*) FROM entries",
    "SELECT body FROM events ORDER BY entry DESC LIMIT 1",
    "SELECT rowid FROM texts WHERE texts MATCH 'a' LIMIT 1",
    "SELECT card FROM practice LIMIT 1",
)
"""Questions that a damaged file does not survive, most often."""

_MIGRATIONS = (
    """
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        started TEXT NOT NULL,
        ended TEXT,
        status TEXT NOT NULL,
        problem TEXT NOT NULL,
        answer TEXT,
        pair TEXT NOT NULL DEFAULT '',
        method TEXT NOT NULL DEFAULT '',
        holder TEXT NOT NULL,
        result TEXT,
        error TEXT NOT NULL DEFAULT ''
    );
    CREATE TABLE events (
        entry INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (entry, number)
    ) WITHOUT ROWID;
    CREATE VIRTUAL TABLE texts USING fts5 (problem, answer, body);
    """,
    """
    CREATE TABLE practice (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        problem TEXT NOT NULL UNIQUE,
        card TEXT NOT NULL,
        due TEXT NOT NULL,
        reviews INTEGER NOT NULL
    );
    """,
)
"""One script a version; ``user_version`` says how many have been run. Never change an old one."""


def open_database(file: Path) -> tuple[sqlite3.Connection, str]:
    """A connection to the history, up to date, and a notice, "" for none.

    A damaged file is moved aside and a new one begun; the notice says so. Raises
    ``HistoryError`` for a file of a newer program, one that stays locked, and one that
    cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # A file must not be moved while another program is just opening it.
        with FileLock(file.with_name(f".{file.name}.lock"), timeout=WAIT_S):
            try:
                return _opened(file), ""
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
            aside = _moved_aside(file)
            kept = f"It was kept as {aside.name}, and a new one begun."
            return _opened(file), f"The history {file} is damaged. {kept}"
    except Timeout as error:
        raise _unusable(file, "another program is opening it") from error
    except sqlite3.Error as error:
        raise _unusable(file, str(error)) from error
    except OSError as error:
        raise _unusable(file, error.strerror or str(error)) from error


def _opened(file: Path) -> sqlite3.Connection:
    # Transactions are begun by hand: a reader must not wait for what it will never write.
    connection = sqlite3.connect(
        file, timeout=WAIT_S, isolation_level=None, check_same_thread=False
    )
    try:
        _use_wal(connection)
        # In WAL mode a killed program loses nothing it has committed; only a power cut may.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, file)
        for probe in _PROBES:
            connection.execute(probe).fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for another program here, as it does everywhere else."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_S)


def _migrate(connection: sqlite3.Connection, file: Path) -> None:
    if _version(connection) == len(_MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")  # two programs may have come here at once
    try:
        version = _version(connection)
        if version > len(_MIGRATIONS):
            raise HistoryError(
                f"The history {file} was written by a newer ssr-local.",
                f"Its version is {version}; this program knows {len(_MIGRATIONS)}.",
                "Update ssr-local, or move the file away.",
            )
        for script in _MIGRATIONS[version:]:
            for statement in script.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _moved_aside(file: Path) -> Path:
    aside = file.with_name(f"{file.stem}-damaged-{time.strftime('%Y%m%d-%H%M%S')}{file.suffix}")
    number = 1
    while aside.exists():
        number += 1
        aside = aside.with_name(f"{aside.stem}-{number}{file.suffix}")
    for more in ("-wal", "-shm"):
        beside = file.with_name(file.name + more)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + more))
    file.replace(aside)
    return aside


def _unusable(file: Path, reason: str) -> HistoryError:
    return HistoryError(
        f"The history {file} cannot be used.",
        f"{reason.rstrip('.')}.",
        "Close other programs that use it, look at disk and permissions, or give --no-save.",
    )
