"""What the installed llama.cpp is, and how fast a model runs here, found out in a child process.

A library built for another processor dies at its first instruction, and a model too large for
the memory takes its process with it: neither may end the program that asks. One child answers
one question and ends, so that two models are never loaded at once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import IO, TypeVar

import msgspec

from ssr_local.core.display import one_line
from ssr_local.core.errors import EngineCrashed, EngineError, SSRError
from ssr_local.core.records import Author
from ssr_local.engine.base import Engine, Sampling, StepJob
from ssr_local.engine.choice import EngineChoice, ik_obstacle
from ssr_local.engine.devices import Device
from ssr_local.engine.hardware import physical_cores
from ssr_local.engine.packages import PACKAGES, TITLES, version
from ssr_local.process.channel import (
    die_with_parent,
    private_pipes,
    read_frame,
    start_child,
    write_frame,
)
from ssr_local.transport.session import Setup, load_chosen
from ssr_local.transport.worker import Failed, Message

START_LIMIT_S = 120.0
"""How long the library may take to be imported, on a slow, busy machine."""
MEASURE_LIMIT_S = 300.0
"""How long one model may take to be loaded and timed."""

PREFILL_TOKENS = 64
DECODE_TOKENS = 16
REPEATS = 3
# A very slow machine is timed once instead of three times.
_REPEAT_BUDGET_S = 20.0
_EXIT_LIMIT_S = 5.0
_LOG_TAIL_BYTES = 8192
_LOG_TAIL_LINES = 3
_ILLEGAL_INSTRUCTION = (-4, 0xC000001D)  # SIGILL, and what Windows calls it
_KILLED = -9

_TEXT = (
    "A train leaves the station at nine in the morning and travels at sixty kilometres an hour."
    " A second train leaves the same station one hour later and travels at ninety kilometres an"
    " hour in the same direction. We want to know when the second train reaches the first, and"
    " how far from the station that is."
)


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The installed library: its version, what it is built for, the devices it sees.

    ``ik_obstacle`` is why the other engine, ik_llama.cpp, cannot be used, "" when it can.
    """

    version: str
    system_info: str
    can_offload: bool
    devices: tuple[Device, ...]
    ik_obstacle: str = ""


class ModelSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """How fast one model is, in tokens per second; medians of up to three runs.

    ``decode_three`` counts the tokens of three sequences decoded together. Two numbers tell
    whether other programs were in the way: ``spread``, how much faster the fastest run of a
    kind was than the slowest, and ``processor_share``, how much of its threads' time the
    process got, None on a GPU. ``vocabulary`` is equal for two models whose token ids can be
    exchanged.
    """

    load_s: float
    prefill: float
    decode_one: float
    decode_three: float
    spread: float
    processor_share: float | None
    device: str
    vocabulary: str
    notes: tuple[str, ...] = ()


class Describe(Message, frozen=True, tag=True):
    """To the child: say what the library is."""


class Measure(Message, frozen=True, tag=True):
    """To the child: load one model of the setup and time it."""

    setup: Setup
    role: Author
    picked: EngineChoice


class Answer(Message, frozen=True, tag=True):
    """To the parent: an encoded ``EngineFacts`` or ``ModelSpeed``, as was asked for."""

    value: bytes


_T = TypeVar("_T")

_encode = msgspec.msgpack.Encoder().encode
_decode_request = msgspec.msgpack.Decoder(Describe | Measure).decode
_decode_reply = msgspec.msgpack.Decoder(Answer | Failed).decode


# In the parent -----------------------------------------------------------------


def engine_facts(*, limit_s: float = START_LIMIT_S) -> EngineFacts:
    """What the installed llama.cpp is. Raises ``EngineError`` when it cannot start."""
    return _ask(Describe(), EngineFacts, limit_s)


def measure_model(
    setup: Setup,
    role: Author,
    picked: EngineChoice = EngineChoice(engine="llama", why=""),  # noqa: B008 - frozen
    *,
    limit_s: float = MEASURE_LIMIT_S,
) -> ModelSpeed:
    """Load one model of the setup and time it; about half a minute for a small one.

    Raises ``ModelError`` when the engine cannot use the file, and ``EngineError`` when its
    process dies or takes longer than ``limit_s``.
    """
    return _ask(Measure(setup, role, picked), ModelSpeed, limit_s)


def _ask(request: Describe | Measure, expected: type[_T], limit_s: float) -> _T:
    with tempfile.TemporaryFile() as log:
        try:
            process = start_child("ssr_local.diagnosis.speed", str(os.getpid()), log)
        except OSError as error:
            raise EngineError(
                "The engine's process cannot be started.", f"{error}.", "Free memory or processes."
            ) from error
        started = time.monotonic()
        try:
            frame = _answer_within(process, _encode(request), limit_s)
            if frame is None and time.monotonic() - started >= limit_s:
                raise EngineCrashed(
                    f"llama.cpp was stopped after {limit_s:g} s without an answer.",
                    "",
                    "Close other programs, or take a smaller model.",
                )
            if frame is None:
                raise _crashed(process, log, request)
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
    reply = _decode_reply(frame)
    if isinstance(reply, Failed):
        raise reply.error()
    return msgspec.msgpack.decode(reply.value, type=expected)


def _answer_within(
    process: subprocess.Popen[bytes], request: bytes, limit_s: float
) -> bytes | None:
    """The child's answer; None when it ended without one or was killed for being late."""
    assert process.stdin is not None
    assert process.stdout is not None
    watchdog = threading.Timer(limit_s, process.kill)
    watchdog.daemon = True
    watchdog.start()
    try:
        with contextlib.suppress(OSError):  # a child that is gone already shows below
            write_frame(process.stdin, request)
        return read_frame(process.stdout)
    finally:
        watchdog.cancel()


def _crashed(
    process: subprocess.Popen[bytes], log: IO[bytes], request: Describe | Measure
) -> EngineCrashed:
    engine = request.picked.engine if isinstance(request, Measure) else "llama"
    try:
        code = process.wait(_EXIT_LIMIT_S)  # its pipe has ended, so it is about to
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    tail = _tail(log)
    last_words = f" Its last words: {' / '.join(tail)}" if tail else ""
    next_step = f"Try again; if it stays so, reinstall {PACKAGES[engine]}."
    why = f"It was killed by signal {-code}." if code < 0 else f"It ended with exit code {code}."
    if code in _ILLEGAL_INSTRUCTION:
        why = "It used an instruction that this processor does not have."
        next_step = f"Rebuild {PACKAGES[engine]} on this machine."
    elif code == _KILLED:
        why = "It was killed, perhaps because the memory ran out."
        next_step = "Close other programs, or take a smaller model or a smaller --ctx."
    return EngineCrashed(
        f"The process that runs {TITLES[engine]} has ended.",
        why + last_words,
        next_step,
        log_tail=tail,
    )


def _tail(log: IO[bytes]) -> tuple[str, ...]:
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - _LOG_TAIL_BYTES))
    lines = [one_line(line, 200) for line in log.read().decode("utf-8", "replace").splitlines()]
    return tuple([line for line in lines if line][-_LOG_TAIL_LINES:])


# In the child ------------------------------------------------------------------


def main(parent_pid: int) -> None:
    """The child's life: one question, one answer."""
    requests, replies = private_pipes(keep_stderr=True)
    die_with_parent(parent_pid)
    frame = read_frame(requests)
    if frame is not None:
        with contextlib.suppress(BrokenPipeError):
            write_frame(replies, _encode(_reply(_decode_request(frame))))


def _reply(request: Describe | Measure) -> Message:
    try:
        facts = _facts()
        return Answer(_encode(facts if isinstance(request, Describe) else _measured(request)))
    except SSRError as error:
        return Failed.of(error)


def _facts() -> EngineFacts:
    try:
        from ssr_local.engine import llama

        llama.start_backend(sys.stderr)
        return EngineFacts(
            version=version("llama"),
            system_info=one_line(llama.system_info()),
            can_offload=llama.supports_gpu_offload(),
            devices=llama.devices(),
            ik_obstacle=ik_obstacle(),
        )
    except Exception as error:
        # A damaged installation fails in any way there is.
        raise EngineError(
            "llama-cpp-python cannot be loaded.",
            one_line(f"{type(error).__name__}: {error}", 300),
            "Install it again: pip install --force-reinstall --no-deps llama-cpp-python",
        ) from error


def _measured(request: Measure) -> ModelSpeed:
    started = time.perf_counter()
    file = request.setup.models[request.role]
    engine = load_chosen(request.picked, file, request.setup, lambda: False)
    load_s = time.perf_counter() - started
    try:
        threads = request.setup.engine.threads or physical_cores()
        return _timed(engine, load_s, min(threads, os.cpu_count() or threads))
    finally:
        engine.close()


def _timed(engine: Engine, load_s: float, threads: int) -> ModelSpeed:
    # One token of a prompt stays pending until something is decoded behind it.
    words = engine.tokenize(_TEXT)
    prompt = list(itertools.islice(itertools.cycle(words), PREFILL_TOKENS + 1))
    started, processor_s = time.perf_counter(), time.process_time()
    kinds = (
        _repeated(lambda: _prefill_rate(engine, prompt)),
        _repeated(lambda: _decode_rate(engine, prompt, 1)),
        _repeated(lambda: _decode_rate(engine, prompt, 3)),
    )
    processor_s = time.process_time() - processor_s
    share = processor_s / (time.perf_counter() - started) / threads
    prefill, decode_one, decode_three = (statistics.median(rates) for rates in kinds)
    return ModelSpeed(
        load_s=load_s,
        prefill=prefill,
        decode_one=decode_one,
        decode_three=decode_three,
        spread=max(max(rates) / min(rates) for rates in kinds),
        processor_share=min(1.0, share) if engine.info.device == "cpu" else None,
        device=engine.info.device,
        vocabulary=engine.vocabulary.fingerprint,
        notes=engine.notes,
    )


def _repeated(run: Callable[[], float]) -> list[float]:
    rates: list[float] = []
    started = time.perf_counter()
    while len(rates) < REPEATS and (not rates or time.perf_counter() - started < _REPEAT_BUDGET_S):
        rates.append(run())
    return rates


def _prefill_rate(engine: Engine, prompt: list[int]) -> float:
    """Tokens per second of one prefill into an empty cache."""
    engine.clear()
    started = time.perf_counter()
    engine.open(prompt)
    return engine.usage().prefill_tokens / (time.perf_counter() - started)


def _decode_rate(engine: Engine, prompt: list[int], num_sequences: int) -> float:
    """Tokens per second of all sequences together, each ``DECODE_TOKENS`` long."""
    engine.clear()
    first = engine.open(prompt)
    waiting = {first, *(engine.fork(first) for _ in range(num_sequences - 1))}
    started = time.perf_counter()
    for _ in range(DECODE_TOKENS):
        # A step may end at once; the time of a round is the same, so the next one begins.
        engine.start_steps(
            [StepJob(seq_id, DECODE_TOKENS, Sampling(seed=seq_id)) for seq_id in sorted(waiting)]
        )
        waiting = {delta.seq_id for delta in engine.decode_round() if delta.end is not None}
    return engine.usage().decode_tokens / (time.perf_counter() - started)
