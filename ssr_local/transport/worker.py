"""The process the engines live in, and the parent's handle on it.

A failed assertion inside ggml aborts its process and an out-of-memory kill gives no
warning, so models are loaded in a child. Parent and child exchange msgpack messages; what
the child writes to standard error, llama.cpp's log included, goes to a file whose last
lines become part of ``EngineCrashed``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import msgspec

from ssr_local.core import errors, folders
from ssr_local.core.commands import AnyCommand, Cancel
from ssr_local.core.display import one_line
from ssr_local.core.errors import EngineCrashed, SSRError, UsageError
from ssr_local.core.events import AnyEvent
from ssr_local.core.options import SolveOptions
from ssr_local.core.records import RunResult
from ssr_local.engine.base import Cancelled
from ssr_local.process.channel import (
    private_pipes,
    read_frame,
    start_child,
    write_frame,
)
from ssr_local.transport.session import Asked, Session, Setup

CANCEL_GRACE_S = 10.0
"""How long a cancelled child may take to answer before it is killed."""

_CLOSE_GRACE_S = 5.0
_LOG_TAIL_LINES = 12
_LOG_TAIL_BYTES = 16_384
_KEPT_LOGS = 10
_log_numbers = itertools.count(1)


class Message(msgspec.Struct, frozen=True, tag_field="message"):
    """Base of what goes over the pipes."""


class Prepare(Message, frozen=True, tag=True):
    """To the child, first of all: what to load."""

    setup: Setup


class Solve(Message, frozen=True, tag=True):
    """To the child: one problem, perhaps with the steps every path begins with."""

    problem: str
    options: SolveOptions
    given: tuple[str, ...] = ()


class SolveTogether(Message, frozen=True, tag=True):
    """To the child: several problems for the same batches."""

    asked: tuple[Asked, ...]


class Read(Message, frozen=True, tag=True):
    """To the child: steps that the target is to read."""

    problem: str
    steps: tuple[str, ...]
    strategies: str
    questions: tuple[tuple[str, str], ...]
    given: tuple[str, ...] = ()


class Ask(Message, frozen=True, tag=True):
    """To the child: a question about steps that stand there, for the target."""

    problem: str
    question: str
    strategies: str
    given: tuple[str, ...]
    max_tokens: int


class Tell(Message, frozen=True, tag=True):
    """To the child: a command for the run that goes on."""

    command: AnyCommand


class Happened(Message, frozen=True, tag=True):
    """To the parent: an event."""

    event: AnyEvent


class Failed(Message, frozen=True, tag=True):
    """To the parent: the work ended with an error of our tree."""

    kind: str
    what: str
    why: str
    next_step: str

    @classmethod
    def of(cls, error: SSRError) -> Failed:
        """The error as a message."""
        return cls(type(error).__name__, error.what, error.why, error.next_step)

    def error(self) -> SSRError:
        """The message as the error it was."""
        kind = getattr(errors, self.kind, SSRError)
        if not (isinstance(kind, type) and issubclass(kind, SSRError)):
            kind = SSRError
        return kind(self.what, self.why, self.next_step)


class Solved(Message, frozen=True, tag=True):
    """To the parent: what one of several problems came to."""

    result: RunResult


class Settled(Message, frozen=True, tag=True):
    """To the parent: what each of several problems came to."""

    outcomes: tuple[Solved | Failed, ...]


class Finished(Message, frozen=True, tag=True):
    """To the parent: the run is over, the child waits for the next problem."""


Request = Solve | SolveTogether | Read | Ask
"""What a child can be asked to do."""

_encode = msgspec.msgpack.Encoder().encode
_decode_request = msgspec.msgpack.Decoder(Prepare | Request | Tell).decode
_decode_reply = msgspec.msgpack.Decoder(Happened | Settled | Failed | Finished).decode


# In the child ------------------------------------------------------------------


class Mailbox:
    """Commands for the run that goes on, filled by one thread and read by another."""

    def __init__(self) -> None:
        self._commands: queue.SimpleQueue[AnyCommand] = queue.SimpleQueue()
        self._stop = threading.Event()

    def put(self, command: AnyCommand) -> None:
        """Leave a command; a ``Cancel`` also stops the engines between two calls."""
        if isinstance(command, Cancel):
            self._stop.set()
        self._commands.put(command)

    def should_stop(self) -> bool:
        """Whether work must stop now."""
        return self._stop.is_set()

    def poll(self) -> Sequence[AnyCommand]:
        commands: list[AnyCommand] = []
        while not self._commands.empty():
            commands.append(self._commands.get())
        return commands

    def wait(self) -> Sequence[AnyCommand]:
        return [self._commands.get(), *self.poll()]

    def clear(self) -> None:
        """Forget what was meant for a run that is over."""
        self.poll()
        self._stop.clear()


def main() -> None:
    """The child's life: prepare once, then solve problem after problem."""
    requests, replies = private_pipes(keep_stderr=True)
    mailbox = Mailbox()
    inbox: queue.SimpleQueue[Prepare | Request] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, inbox, mailbox), daemon=True).start()
    first = inbox.get()
    if not isinstance(first, Prepare):
        raise TypeError("the first message must be Prepare")
    if first.setup.backend == "native":
        from ssr_local.engine.llama import start_backend

        start_backend(sys.stderr)
    session = Session(first.setup, should_stop=mailbox.should_stop)
    while True:
        request = inbox.get()
        if isinstance(request, Request):
            _work(session, request, mailbox, replies)


def _listen(
    requests: IO[bytes], inbox: queue.SimpleQueue[Prepare | Request], mailbox: Mailbox
) -> None:
    while (frame := read_frame(requests)) is not None:
        request = _decode_request(frame)
        if isinstance(request, Tell):
            mailbox.put(request.command)
        else:
            if isinstance(request, Request):
                mailbox.clear()  # a cancel that came too late belongs to the last run
            inbox.put(request)
    # The parent is gone. Tidying up could wait for a long call; the system does it anyway.
    os._exit(0)


def _work(session: Session, request: Request, mailbox: Mailbox, replies: IO[bytes]) -> None:
    def send(message: Message) -> None:
        write_frame(replies, _encode(message))

    try:
        if isinstance(request, SolveTogether):
            send(Settled(tuple(_outcome(one) for one in settled(session, request.asked))))
        else:
            for event in events_of(session, request, mailbox):
                send(Happened(event))
        send(Finished())
    except Cancelled:
        send(Failed("Interrupted", "Stopped before the run had begun.", "", ""))
    except SSRError as error:
        send(Failed.of(error))
    except BrokenPipeError:
        os._exit(0)


def settled(session: Session, asked: Sequence[Asked]) -> list[RunResult | BaseException]:
    """What several problems came to; the events of loading are nobody's."""
    work = session.solve_together(asked)
    while True:
        try:
            next(work)
        except StopIteration as end:
            outcomes: list[RunResult | BaseException] = end.value
            return outcomes


def _outcome(outcome: RunResult | BaseException) -> Solved | Failed:
    if isinstance(outcome, RunResult):
        return Solved(outcome)
    if isinstance(outcome, SSRError):
        return Failed.of(outcome)
    if isinstance(outcome, Cancelled):
        return Failed("Interrupted", "Stopped before the run had begun.", "", "")
    raise outcome


def events_of(
    session: Session, request: Solve | Read | Ask, mailbox: Mailbox
) -> Iterator[AnyEvent]:
    """What a session does about a request."""
    if isinstance(request, Solve):
        return session.solve(request.problem, request.options, mailbox, request.given)
    if isinstance(request, Ask):
        return session.reply(
            request.problem,
            request.question,
            request.strategies,
            request.given,
            request.max_tokens,
        )
    return session.read(
        request.problem, request.steps, request.strategies, request.questions, request.given
    )


# In the parent -----------------------------------------------------------------


class Worker:
    """A child process with loaded models. One run at a time; not shared between threads,
    except ``tell`` and ``kill``, which any thread may call."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._process: subprocess.Popen[bytes] | None = None
        self._writing = threading.Lock()
        self._busy = False
        self._cancelled_at: float | None = None
        self._was_silent = False
        self._settled: tuple[Solved | Failed, ...] = ()
        self.log_path: Path | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id while it lives."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def work(
        self, request: Request, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[AnyEvent]:
        """The events of what is asked for. Stopping to iterate cancels it and waits for its end.

        ``cancelled`` says whether the run was cancelled before there was one to tell.
        Raises the error the run ended with, and ``EngineCrashed`` when the child died;
        the next call starts a new one.
        """
        with self._writing:  # a Cancel told meanwhile waits, and reaches this run
            self._start()
            self._cancelled_at = None
            self._was_silent = False
            self._settled = ()
            self._send(request)
            self._busy = True
        try:
            if cancelled():
                self.tell(Cancel())
            for reply in self._replies():
                if isinstance(reply, Happened):
                    yield reply.event
                elif isinstance(reply, Settled):
                    self._settled = reply.outcomes
                elif isinstance(reply, Failed):
                    self._busy = False
                    raise reply.error()
                else:
                    self._busy = False
                    return
        finally:
            if self._busy:
                self._drain()

    def solve_together(
        self, asked: Sequence[Asked], cancelled: Callable[[], bool] = lambda: False
    ) -> list[RunResult | SSRError]:
        """What several problems of one method came to in the same batches. Raises as ``work``."""
        for _ in self.work(SolveTogether(tuple(asked)), cancelled):
            pass
        settled = self._settled
        return [one.error() if isinstance(one, Failed) else one.result for one in settled]

    def tell(self, command: AnyCommand) -> None:
        """Send a command to the run that goes on; nothing happens when there is none."""
        with self._writing:
            process = self._process
            if not self._busy or process is None or process.stdin is None:
                return
            if isinstance(command, Cancel) and self._cancelled_at is None:
                self._cancelled_at = now = time.monotonic()
                threading.Thread(target=self._kill_if_silent, args=(now,), daemon=True).start()
            with contextlib.suppress(OSError, ValueError):  # whoever reads the events is told
                write_frame(process.stdin, _encode(Tell(command)))

    def kill(self) -> None:
        """End the child at once."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the child; politely first."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            process.wait(_CLOSE_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> None:
        if self.pid is not None:
            return
        self.close()
        log, self.log_path = _new_log()
        try:
            self._process = start_child("ssr_local.transport.worker", "", log)
        except OSError as error:
            raise EngineCrashed(
                "The worker process could not be started.", str(error), "Check free memory."
            ) from error
        finally:
            log.close()
        self._send(Prepare(self._setup))

    def _send(self, message: Message) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise self._crashed()
        try:
            frame = _encode(message)
        except UnicodeEncodeError as error:  # bytes from a command line that are no UTF-8
            raise UsageError("An option is not valid text.", error.reason, "Use UTF-8.") from error
        try:
            write_frame(process.stdin, frame)
        except (OSError, ValueError) as error:
            raise self._crashed() from error

    def _replies(self) -> Iterator[Happened | Settled | Failed | Finished]:
        process = self._process
        if process is None or process.stdout is None:
            raise self._crashed()
        with contextlib.suppress(msgspec.DecodeError):  # a child that says that is no use
            while (frame := read_frame(process.stdout)) is not None:
                yield _decode_reply(frame)
        self._busy = False
        raise self._crashed()

    def _drain(self) -> None:
        """The consumer left early: cancel, and leave the child ready for the next run."""
        if sys.is_finalizing():  # there is none, and no thread could watch the child any more
            self.kill()
            return
        self.tell(Cancel())
        try:
            for reply in self._replies():
                if isinstance(reply, Failed | Finished):
                    break
        except EngineCrashed:
            pass
        finally:
            self._busy = False

    def _kill_if_silent(self, cancelled_at: float) -> None:
        time.sleep(CANCEL_GRACE_S)
        if self._busy and self._cancelled_at == cancelled_at:
            self._was_silent = True
            self.kill()

    def _crashed(self) -> EngineCrashed:
        process = self._process
        code = None
        if process is not None:
            try:
                code = process.wait(_CLOSE_GRACE_S)  # its pipe has ended, so it is about to
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
        if self._was_silent:
            why = "It did not answer when it was told to stop, and was killed."
        elif code is not None and code < 0:
            why = f"It was killed by signal {-code}."
        else:
            why = f"It ended with exit code {code}."
        tail = _log_tail(self.log_path)
        if tail:
            why += f" Its last words: {' / '.join(tail[-3:])}"
        self.close()
        return EngineCrashed(
            "The worker process that runs the models has ended.",
            why[:1500],
            f"Try again; its whole log is in {self.log_path}.",
            log_tail=tail,
        )


def _new_log() -> tuple[IO[bytes], Path | None]:
    """A log file for one child; old ones beyond a few are removed."""
    folder = folders.cache_dir() / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        old = sorted(folder.glob("worker-*.log"), key=lambda path: path.stat().st_mtime)
        for path in old[: -_KEPT_LOGS + 1]:
            path.unlink(missing_ok=True)
        stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{next(_log_numbers)}"
        path = folder / f"worker-{stamp}.log"
        return path.open("ab"), path
    except OSError:
        return open(os.devnull, "wb"), None  # noqa: PTH123 - devnull is no file


def _log_tail(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _LOG_TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    lines = [one_line(line, 300) for line in text.splitlines() if line.strip()]
    return tuple(lines[-_LOG_TAIL_LINES:])
