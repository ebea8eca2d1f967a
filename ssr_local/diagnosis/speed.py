"""What the installed llama.cpp is, and how fast a model runs here, found out in a child process.

A library built for another CPU dies at its first instruction, and a model too large for
the memory takes its process with it: neither may end the program that asks. One child answers
one question and ends, so that two models are never loaded at once.
"""

from __future__ import annotations

import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec

from ssr_local.core.display import one_line
from ssr_local.core.errors import EngineCrashed, EngineError, HelperError
from ssr_local.core.records import ModelRole
from ssr_local.engine import loading
from ssr_local.engine.base import Engine, Sampling, StepJob
from ssr_local.engine.choice import EngineChoice, ik_obstacle, need_llama
from ssr_local.engine.devices import Device
from ssr_local.engine.hardware import physical_cores
from ssr_local.engine.packages import PACKAGES, TITLES, EngineName, is_installed, version
from ssr_local.method.prediction import ROWS, Speed
from ssr_local.process.crash import Crash
from ssr_local.process.helper import Helper, HelperDied, HelperRaised, HelperTimeout
from ssr_local.transport.setup import Setup, load_chosen

START_LIMIT_S = 120.0
"""How long the library may take to be imported, on a slow, busy machine."""
MEASURE_LIMIT_S = 300.0
"""How long one model may take to be loaded and timed."""

PREFILL_TOKENS = 64
DECODE_TOKENS = 16
BATCH_TOKENS = 6
"""Of each sequence where several are decoded: all rows share a call's time."""
REPEATS = 3
# A very slow machine is timed once instead of three times.
_REPEAT_BUDGET_S = 20.0

_TEXT = (
    "A train leaves the station at nine in the morning and travels at sixty kilometres an hour."
    " A second train leaves the same station one hour later and travels at ninety kilometres an"
    " hour in the same direction. We want to know when the second train reaches the first, and"
    " how far from the station that is."
)


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """llama.cpp: its version, what it is built for, the devices it sees; empty where it is not
    installed.

    ``ik_obstacle`` is why the other engine, ik_llama.cpp, cannot be used, "" when it can.
    """

    version: str
    system_info: str
    can_offload: bool
    devices: tuple[Device, ...]
    ik_obstacle: str = ""


class ModelSpeed(Speed, frozen=True, kw_only=True):
    """How fast one model is here; medians of up to three runs.

    Two numbers tell whether other programs were in the way: ``spread``, how much faster the
    fastest run of a kind was than the slowest, and ``processor_share``, how much of its threads'
    time the process got, None on a GPU. ``num_threads`` is how many the last call took.
    ``vocabulary`` is equal for two models whose token ids can be exchanged.
    """

    load_s: float
    spread: float
    processor_share: float | None
    device: str
    vocabulary: str
    num_threads: int = 0
    notes: tuple[str, ...] = ()

    def decode_rate(self, rows: int) -> float:
        """Tokens per second of so many sequences together."""
        return rows / self.round_s(rows)


class Measurement(msgspec.Struct, frozen=True):
    """One model of the setup, and the engine to time it with."""

    setup: Setup
    role: ModelRole
    picked: EngineChoice


_T = TypeVar("_T")


# In the parent -----------------------------------------------------------------


def engine_facts(*, limit_s: float = START_LIMIT_S) -> EngineFacts:
    """What the installed llama.cpp is. Raises ``EngineError`` when it cannot start."""
    return _answer("facts", None, EngineFacts, limit_s, "llama")


def measure_model(setup: Setup, role: ModelRole, picked: EngineChoice) -> ModelSpeed:
    """Load one model of the setup and time it; about half a minute for a small one.

    Raises ``ModelError`` when the engine cannot use the file, and ``EngineError`` when its
    process dies or takes longer than ``MEASURE_LIMIT_S``.
    """
    asked = Measurement(setup, role, picked)
    return _answer("measured", asked, ModelSpeed, MEASURE_LIMIT_S, picked.engine)


def _answer(
    function: str, argument: object, expected: type[_T], limit_s: float, engine: EngineName
) -> _T:
    with (
        tempfile.TemporaryFile() as log,
        Helper(memory_limit_bytes=None, log=log) as helper,
    ):
        try:
            answer: _T = helper.call(
                f"{__name__}:{function}", argument, timeout_s=limit_s, type=expected
            )
            return answer
        except HelperTimeout as error:
            raise EngineCrashed(
                f"{TITLES[engine]} was stopped after {limit_s:g} s without an answer.",
                "",
                "Close other programs, or take a smaller model.",
            ) from error
        except HelperDied as error:
            raise _crashed(error.crash, engine) from error
        except HelperRaised as error:
            raise (error.error or error) from error
        except HelperError as error:
            raise EngineError(
                "The engine's process cannot be started.", error.why, error.next_step
            ) from error


def _crashed(crash: Crash, engine: EngineName) -> EngineCrashed:
    next_step = f"Try again; if it stays so, reinstall {PACKAGES[engine]}."
    if crash.is_illegal_instruction:
        next_step = f"Rebuild {PACKAGES[engine]} on this machine."
    elif crash.is_kill:
        next_step = "Close other programs, or take a smaller model or a smaller --ctx."
    return crash.error(f"The process that runs {TITLES[engine]} has ended.", next_step)


# In the child ------------------------------------------------------------------


def facts(_: None) -> EngineFacts:
    """What the library is; raises ``EngineError`` when it cannot be loaded."""
    obstacle = ik_obstacle()
    if not is_installed("llama"):
        if obstacle:
            need_llama(obstacle)
        return EngineFacts(version="", system_info="", can_offload=False, devices=())
    try:
        loading.start_backend(sys.stderr)
        library = loading.library_facts()
        return EngineFacts(
            version=version("llama"),
            system_info=one_line(library.system_info),
            can_offload=library.can_offload,
            devices=library.devices,
            ik_obstacle=obstacle,
        )
    except Exception as error:
        # A damaged installation fails in any way there is.
        raise EngineError(
            "llama-cpp-python cannot be loaded.",
            one_line(f"{type(error).__name__}: {error}", 300),
            "Install it again: pip install --force-reinstall llama-cpp-python",
        ) from error


def measured(asked: Measurement) -> ModelSpeed:
    """Load the model and time it."""
    facts(None)  # a library that cannot be loaded is an error of its own
    started = time.perf_counter()
    file = asked.setup.models[asked.role]
    engine = load_chosen(asked.picked, file, asked.setup, lambda: False, may_guess=False)
    load_s = time.perf_counter() - started
    try:
        threads = asked.setup.engine.threads or physical_cores()
        return _timed(engine, load_s, min(threads, os.cpu_count() or threads))
    finally:
        engine.close()


def _timed(engine: Engine, load_s: float, threads: int) -> ModelSpeed:
    # One token of a prompt stays pending until something is decoded after it.
    words = engine.tokenize(_TEXT)
    prompt = list(itertools.islice(itertools.cycle(words), PREFILL_TOKENS + 1))
    is_cold = engine.info.device != "cpu"  # a GPU prepares kernels and graphs at the first call
    if is_cold:
        _prefill_rate(engine, prompt)
    started, cpu_s = time.perf_counter(), time.process_time()
    prefill = _repeated(lambda: _prefill_rate(engine, prompt))
    engine.clear()
    first = engine.open(prompt)
    kinds = [prefill]
    for rows in ROWS:
        if is_cold:
            _decode_rate(engine, first, rows)
        kinds.append(_repeated(partial(_decode_rate, engine, first, rows)))
    cpu_s = time.process_time() - cpu_s
    share = cpu_s / (time.perf_counter() - started) / threads
    medians = [statistics.median(rates) for rates in kinds]
    return ModelSpeed(
        load_s=load_s,
        prefill=medians[0],
        decode=tuple(zip(ROWS, medians[1:], strict=True)),
        spread=max(max(rates) / min(rates) for rates in kinds),
        processor_share=min(1.0, share) if engine.info.device == "cpu" else None,
        device=engine.info.device,
        vocabulary=engine.vocabulary.fingerprint,
        num_threads=engine.num_threads,
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


def _decode_rate(engine: Engine, first: int, num_sequences: int) -> float:
    """Tokens per second of that many forks of a sequence together."""
    forks = [engine.fork(first) for _ in range(num_sequences)]
    length = DECODE_TOKENS if num_sequences == 1 else BATCH_TOKENS
    before, waiting = engine.usage().decode_tokens, set(forks)
    started = time.perf_counter()
    for _ in range(length):
        # A step may end at once; the time of a round is the same, so the next one begins.
        engine.start_steps(
            [StepJob(seq_id, length, Sampling(seed=seq_id)) for seq_id in sorted(waiting)]
        )
        waiting = {delta.seq_id for delta in engine.decode_round() if delta.end is not None}
    rate = (engine.usage().decode_tokens - before) / (time.perf_counter() - started)
    for fork in forks:
        engine.release(fork)
    return rate
