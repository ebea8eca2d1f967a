"""A pair of loaded models that solves one problem after another.

It runs inside the worker process (or in this one, for tests and notebooks) and turns a
problem into events: models loaded when first needed, kept between problems.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from ssr_local.answers import EQUIVALENT
from ssr_local.answers.comparer import Comparer
from ssr_local.coordinator.commands import CommandSource
from ssr_local.coordinator.plan import num_sequences, plan_for
from ssr_local.coordinator.prompter import Prompter
from ssr_local.coordinator.reading import read_steps
from ssr_local.coordinator.replying import reply
from ssr_local.coordinator.run import Run
from ssr_local.coordinator.scheduler import solve, solve_together
from ssr_local.core.errors import ProblemError, UsageError
from ssr_local.core.events import (
    AnyEvent,
    ModelLoaded,
    ModelLoading,
    Notice,
    Replied,
    StepRead,
)
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.core.records import Author, Calibration, OptionValues, RunResult
from ssr_local.engine.base import SEQUENCES, Cancelled, Engine, EngineConfig
from ssr_local.engine.choice import EngineChoice, after_check, choose_engine, run_check
from ssr_local.engine.loading import load_engine
from ssr_local.engine.packages import TITLES
from ssr_local.method.pools import Pool, load_pool
from ssr_local.method.verification import Judge
from ssr_local.process.helper import Helper

MAX_PROBLEM_CHARS = 200_000


class ModelFile(msgspec.Struct, frozen=True):
    """A model on this machine: its name, the file, and what models.toml knows of it."""

    name: str
    path: str
    sha256: str | None = None
    num_parameters: int | None = None


class Asked(msgspec.Struct, frozen=True):
    """One problem to solve, how, and the steps every path begins with."""

    problem: str
    options: SolveOptions
    given: tuple[str, ...] = ()


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a session needs to know before its first problem.

    ``backend`` "fake" plays the shipped demonstration instead of running models;
    ``max_sequences`` is how many sequences a model can hold at once.
    """

    models: dict[Author, ModelFile]
    engine: EngineOptions
    calibrations: dict[str, Calibration] = {}
    backend: str = "native"
    max_sequences: int = SEQUENCES


Loader = Callable[[Author, ModelFile, Setup, Callable[[], bool]], Engine]
"""Loads one model: role, file, setup, and what says that work must stop."""


def load_chosen(
    chosen: EngineChoice, file: ModelFile, setup: Setup, should_stop: Callable[[], bool]
) -> Engine:
    """Load a GGUF file with this engine."""
    options = setup.engine
    config = EngineConfig(
        engine=chosen.engine,
        path=file.path,
        name=file.name,
        sha256=file.sha256,
        num_parameters=file.num_parameters,
        threads=options.threads,
        gpu_layers=options.gpu_layers,
        repack=chosen.repack,
        num_cells=options.ctx or 1024,
        max_cells=options.ctx or None,
        max_sequences=setup.max_sequences,
        notes=(chosen.note,) if chosen.note else (),
    )
    return load_engine(config, should_stop)


def load_fake(
    role: Author, file: ModelFile, setup: Setup, should_stop: Callable[[], bool]
) -> Engine:
    """The demonstration's scripted model."""
    from ssr_local.engine.demo import demo_engine

    return demo_engine(role, should_stop, setup.max_sequences)


class Session:
    """Loaded models and the helper process, for one problem at a time.

    ``loader`` loads the models instead of the setup's back end.
    """

    def __init__(
        self,
        setup: Setup,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        loader: Loader | None = None,
    ) -> None:
        self._setup = setup
        self._should_stop = should_stop
        self._load = load_fake if loader is None and setup.backend == "fake" else loader
        self._engines: dict[Author, Engine] = {}
        self._helper = Helper()

    def solve(
        self,
        problem: str,
        options: SolveOptions,
        commands: CommandSource | None = None,
        given: Sequence[str] = (),
    ) -> Iterator[AnyEvent]:
        """Solve one problem; the last event is ``RunEnded`` unless an error is raised.

        Every path begins with the ``given`` steps.
        """
        asked = Asked(check_problem(problem), _with_seed(options), tuple(given))
        load_pool(options.strategies)  # before a model is loaded for nothing
        engines = yield from self._engines_for(plan_for(options).roles)
        yield from solve(self._run(asked, engines, commands))

    def solve_together(
        self, asked: Sequence[Asked]
    ) -> Generator[AnyEvent, None, list[RunResult | BaseException]]:
        """Solve several problems in the same batches; what each came to, or why it failed.

        All use one method. The only events are those of loading. Raises ``UsageError`` when
        so many paths have no room on a model.
        """
        asked = [msgspec.structs.replace(one, options=_with_seed(one.options)) for one in asked]
        check_room_for([one.options for one in asked], self._setup.max_sequences)
        (roles,) = {plan_for(one.options).roles for one in asked}
        engines = yield from self._engines_for(roles)
        runs: dict[int, Run] = {}
        failures: dict[int, BaseException] = {}
        for index, one in enumerate(asked):
            try:
                checked = msgspec.structs.replace(one, problem=check_problem(one.problem))
                runs[index] = self._run(checked, engines, None)
            except ProblemError as error:
                failures[index] = error
        for _ in solve_together(list(runs.values())):
            pass
        outcomes = {index: run.result or run.failure for index, run in runs.items()} | failures
        return [outcomes[index] or RuntimeError("not run") for index in range(len(asked))]

    def _engines_for(
        self, roles: Sequence[Author]
    ) -> Generator[AnyEvent, None, dict[Author, Engine]]:
        if self._setup.backend != "fake":  # the demonstration's answers need no algebra
            self._helper.warm(EQUIVALENT)  # takes a second, which loading a model hides
        for role in roles:
            yield from self._loaded(role)
        return {role: self._engines[role] for role in roles}

    def read(
        self,
        problem: str,
        steps: Sequence[str],
        strategies: str,
        questions: Sequence[tuple[str, str]],
        given: Sequence[str] = (),
    ) -> Iterator[AnyEvent]:
        """Let the target read steps that stand behind the given ones: a ``StepRead`` for each."""
        problem = check_problem(problem)
        engine, prompter, pool = yield from self._target(strategies)
        readings = read_steps(engine, prompter, pool, problem, steps, questions, given)
        for step, reading in enumerate(readings):
            yield StepRead(step=step, reading=reading)

    def reply(
        self,
        problem: str,
        question: str,
        strategies: str,
        given: Sequence[str],
        max_tokens: int,
    ) -> Iterator[AnyEvent]:
        """Ask the target something about the given steps: one ``Replied``."""
        problem = check_problem(problem)
        engine, prompter, pool = yield from self._target(strategies)
        pieces = reply(engine, prompter, pool, problem, question, given, max_tokens)
        yield Replied(text="".join(pieces).strip())

    def _target(self, strategies: str) -> Generator[AnyEvent, None, tuple[Engine, Prompter, Pool]]:
        pool = load_pool(strategies)
        yield from self._loaded("target")
        engine = self._engines["target"]
        return engine, Prompter(engine, pool, self._helper), pool

    def close(self) -> None:
        """Unload the models and stop the helper process."""
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()
        self._helper.close()

    def _loaded(self, role: Author) -> Iterator[AnyEvent]:
        if role in self._engines:
            return
        file = self._setup.models[role]
        yield ModelLoading(role=role, name=file.name)
        if self._load is not None:
            started = time.monotonic()
            engine = self._load(role, file, self._setup, self._should_stop)
        else:
            chosen = yield from self._chosen(file)
            started = time.monotonic()
            engine = load_chosen(chosen, file, self._setup, self._should_stop)
        self._engines[role] = engine
        yield ModelLoaded(role=role, info=engine.info, elapsed_s=time.monotonic() - started)

    def _chosen(self, file: ModelFile) -> Generator[AnyEvent, None, EngineChoice]:
        """The engine for a file; one that has not met it here before proves itself first."""
        path, options = Path(file.path), self._setup.engine
        chosen = choose_engine(path, file.sha256, options)
        if not chosen.unchecked:
            return chosen
        title = TITLES[chosen.engine]
        yield Notice(
            message=f"{title} is checked with {file.name} first, once on this machine;"
            " that takes about as long as a short problem."
        )
        result = run_check(
            chosen.engine,
            path,
            file.sha256,
            options,
            repack=chosen.repack,
            should_stop=self._should_stop,
        )
        if self._should_stop():
            raise Cancelled
        return after_check(chosen, result)

    def _run(
        self, asked: Asked, engines: Mapping[Author, Engine], commands: CommandSource | None
    ) -> Run:
        options = asked.options
        pool = load_pool(options.strategies)
        return Run(
            problem=asked.problem,
            options=options,
            plan=plan_for(options),
            pool=pool,
            engines=engines,
            prompters={
                role: Prompter(engine, pool, self._helper) for role, engine in engines.items()
            },
            judge=Judge(options.verifier, options.threshold, self._setup.calibrations),
            compare=Comparer(self._helper, self._should_stop),
            prefix_steps=asked.given,
            option_values=self._option_values(options),
            commands=commands,
        )

    def _option_values(self, options: SolveOptions) -> OptionValues:
        values = msgspec.structs.asdict(options) | msgspec.structs.asdict(self._setup.engine)
        return values | {role: file.name for role, file in self._setup.models.items()}


def check_room_for(options: Sequence[SolveOptions], max_sequences: int) -> None:
    """Raise ``UsageError`` when so many runs at once need more sequences than there are."""
    needed = sum(num_sequences(plan_for(one), one) for one in options)
    if needed > max_sequences:
        raise UsageError(
            f"{len(options)} problems at once need {needed} sequences on each model.",
            f"There are {max_sequences}.",
            "Take fewer problems at once, or fewer paths.",
        )


def check_problem(problem: str) -> str:
    """The problem's text, fit to be solved; raises ``ProblemError`` when it is not."""
    if "\0" in problem:
        raise ProblemError(
            "The problem contains a NUL character.", "", "Give it as plain text (UTF-8)."
        )
    try:
        problem.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ProblemError(
            "The problem is not valid text.", str(error.reason), "Give it as UTF-8."
        ) from error
    if not problem.strip():
        raise ProblemError("The problem is empty.", "", "Give its text, '-' or --file.")
    if len(problem) > MAX_PROBLEM_CHARS:
        raise ProblemError(
            f"The problem has {len(problem)} characters; at most {MAX_PROBLEM_CHARS} are accepted.",
            "",
            "Shorten it to what is asked.",
        )
    return problem.strip()


def _with_seed(options: SolveOptions) -> SolveOptions:
    if options.seed is not None:
        return options
    return msgspec.structs.replace(options, seed=secrets.randbelow(2**32 - 1))
