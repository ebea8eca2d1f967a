"""Solving problems from Python.

>>> from ssr_local import Solver
>>> with Solver() as solver:                                  # doctest: +SKIP
...     result = solver.solve("What is 17 * 23?", paths=3)
...     print(result.answer)
391
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from ssr_local.coordinator.choosing import Known, known_of
from ssr_local.core.commands import AnyCommand, Cancel
from ssr_local.core.errors import Interrupted, SSRError, UsageError
from ssr_local.core.events import AnyEvent, Replied, RunEnded, StepRead
from ssr_local.core.options import EngineOptions, SolveOptions, validate, with_changes
from ssr_local.core.records import Calibration, ModelRole, RunResult, StepReading
from ssr_local.engine.base import MOST_SEQUENCES, SEQUENCES
from ssr_local.engine.demo import demo_pair
from ssr_local.method.plans import parse_plan, plan_for
from ssr_local.method.pools import load_pool
from ssr_local.method.prediction import Prediction
from ssr_local.method.prompts import QUESTIONS, is_typeset
from ssr_local.method.verification import VERIFIERS
from ssr_local.models import download
from ssr_local.models.download import Progress, ToFetch
from ssr_local.models.models_file import ModelSpec
from ssr_local.models.registry import DEMO_PAIR, load_registry, resolve_pair
from ssr_local.transport.base import Outcome, Transport
from ssr_local.transport.requests import (
    AnyRequest,
    ReadStepsRequest,
    ReplyRequest,
    SolveRequest,
    SolveTogetherRequest,
    roles_for,
    validated,
)
from ssr_local.transport.session import Session
from ssr_local.transport.setup import ModelFile, Setup, prove_engine, unproven_engine
from ssr_local.transport.worker import Worker


class Solver:
    """A pair of models, loaded when first needed and kept between problems.

    ``pair``, ``draft``, ``target``, ``threads``, ``gpu_layers`` and ``ctx`` are those of
    ``EngineOptions``; ``engine`` gives all of them at once. With ``in_process`` the models
    are loaded into this process: a crash inside llama.cpp then ends it. ``at_once`` is how
    many problems ``solve_together`` is to take. ``on_progress`` is told how a download goes
    on and ``on_notice`` one-line remarks of it. Use it as a context manager, or call
    ``close``.

    Raises ``UsageError`` for a wrong option and ``ModelNotFoundError`` for an unknown name.
    """

    def __init__(
        self,
        pair: str | None = None,
        *,
        engine: EngineOptions | None = None,
        in_process: bool = False,
        at_once: int = 1,
        on_progress: Callable[[Progress], None] | None = None,
        on_notice: Callable[[str], None] | None = None,
        **engine_options: Any,
    ) -> None:
        if pair is not None:
            engine_options["pair"] = pair
        if engine is not None and engine_options:
            raise UsageError("Give either 'engine' or single engine options, not both.")
        self.engine = engine or validate(EngineOptions, engine_options)
        self._on_progress = on_progress
        self._on_notice = on_notice
        self._max_sequences = MOST_SEQUENCES if at_once > 1 else SEQUENCES
        self._transport_to: Callable[[Setup], Transport] = Session if in_process else Worker
        self._transport: Transport | None = None
        self._unproven: Setup | None = None
        self._is_refused = False
        self._running = False
        self._num_begun = 0
        self._cancelled = threading.Event()
        self._roles: set[ModelRole] = set()
        names = {name: getattr(self.engine, name) for name in ("pair", "draft", "target")}
        self._pair = demo_pair() if self._is_demo else resolve_pair(load_registry(), **names)

    def solve(
        self,
        problem: str,
        options: SolveOptions | None = None,
        *,
        given: Sequence[str] = (),
        **changes: Any,
    ) -> RunResult:
        """Solve one problem and return the result.

        ``given`` are prefix steps, which every path begins with, for going on from where
        somebody else stands; each ends with a blank line, as a model's own would. ``changes``
        are single values of ``SolveOptions``: ``paths=5, mode="fast2"``.
        Raises ``UsageError`` (wrong option or problem), ``ModelError`` (model missing or
        damaged), ``EngineError`` (the engine failed); all are ``SSRError``.
        """
        for event in self._handle(self._solve_request(problem, options, given, changes)):
            last = event
        assert isinstance(last, RunEnded), "the last event of a run that raises nothing"
        return last.result

    def stream(
        self,
        problem: str,
        options: SolveOptions | None = None,
        *,
        given: Sequence[str] = (),
        **changes: Any,
    ) -> Generator[AnyEvent, None, None]:
        """The same as a stream of events, the last of which is ``RunEnded``.

        Models that are missing are downloaded first. A consumer that stops early, or closes
        the stream, cancels the run.
        """
        return self._handle(self._solve_request(problem, options, given, changes))

    def solve_together(
        self, problems: Sequence[str], options: Sequence[SolveOptions]
    ) -> list[RunResult | SSRError]:
        """Solve several problems at once, all their paths in the same batches.

        That is for throughput: each single problem takes longer. ``options`` has one entry
        for each problem, all of one method; the solver must have been made with as many
        ``at_once``. What failed is returned as its error, at its index. Raises like ``solve``
        when nothing could be done at all.
        """
        runs = tuple(
            SolveRequest(problem, chosen, note=note)
            for problem, (chosen, note) in zip(
                problems, map(self._planned, options, problems), strict=True
            )
        )
        if not runs:
            return []
        events = self._handle(validated(SolveTogetherRequest(runs), self._max_sequences))
        # They come as they end: one that fails at once is the first.
        return [event.value() for event in events if isinstance(event, Outcome)]

    def read_steps(
        self,
        problem: str,
        steps: Sequence[str],
        *,
        strategies: str = "maths",
        questions: Sequence[tuple[str, str]] | None = None,
        given: Sequence[str] = (),
    ) -> tuple[StepReading, ...]:
        """The target's log-probabilities of existing steps, each given those before it.

        ``given`` are prefix steps that are not asked about. ``questions`` are (kind,
        wording) pairs of ``prompts.QUESTIONS``; None: all of them. Raises like ``solve``.
        """
        if questions is None:
            questions = list(QUESTIONS)
        request = ReadStepsRequest(
            problem, tuple(steps), strategies, tuple(questions), tuple(given)
        )
        events = self._handle(validated(request, self._max_sequences))
        return tuple(event.reading for event in events if isinstance(event, StepRead))

    def reply(
        self,
        problem: str,
        question: str,
        *,
        given: Sequence[str] = (),
        strategies: str = "maths",
        max_tokens: int = 60,
    ) -> str:
        """What the target says to a question about existing steps, in one paragraph.

        It is asked greedily after the prefix steps ``given``, each of which ends with a blank
        line. Raises like ``solve``.
        """
        request = ReplyRequest(problem, question, strategies, tuple(given), max_tokens)
        events = self._handle(validated(request, self._max_sequences))
        return "".join(event.text for event in events if isinstance(event, Replied))

    def tell(self, command: AnyCommand) -> None:
        """Steer the current run, from any thread.

        Not from a signal handler of the thread that runs it: start a thread there.
        """
        if self._running and isinstance(command, Cancel):
            self._cancelled.set()
        if self._transport is not None:
            self._transport.tell(command)

    def cancel(self) -> None:
        """Stop the current run; its events end with what there is."""
        self.tell(Cancel())

    def kill(self) -> None:
        """End the worker at once; the current run raises ``EngineCrashed``.

        In this process there is no worker to end, and the run is cancelled instead.
        """
        if self._transport is not None:
            self._transport.kill()

    @property
    def calibrations(self) -> dict[str, Calibration]:
        """What verifiers' values mean for this pair, by verifier; empty: nobody has measured."""
        return dict(self._pair.calibrations)

    def predict(
        self,
        plan: str,
        verifier: str = SolveOptions().verifier,
        *,
        problem: str = "",
        strategies: str = SolveOptions().strategies,
    ) -> Prediction | None:
        """Seconds that a plan takes on a usual problem of a pool like this one, with the models
        loaded; None where the speed of a model that it needs was not measured here. Raises
        ``UsageError``."""
        if self._is_demo:
            return None
        return self._known.predict(
            parse_plan(plan),
            load_pool(strategies),
            typeset=is_typeset(problem),
            asks=VERIFIERS[verifier].question is not None,
        )

    @property
    def to_calibrate(self) -> str:
        """What measures the calibrations that this pair lacks, in words."""
        return self._pair.to_calibrate

    @property
    def model_names(self) -> tuple[str, str]:
        """The draft's name and the target's."""
        return self._pair.draft, self._pair.target

    @property
    def worker_pid(self) -> int | None:
        """The process id of the worker while it lives."""
        return self._transport.pid if self._transport else None

    def to_fetch(self, *options: SolveOptions) -> ToFetch:
        """What would have to be downloaded before these options can run, without any both models;
        false for nothing.

        The hub is asked for sizes that are not known here.
        """
        roles = sorted({role for one in options for role in self._roles_for(one)})
        return download.to_fetch(self._specs(roles or ("draft", "target")), ask_hub=True)

    def fetch(self, options: SolveOptions | None = None) -> None:
        """Download what these options need and is not here yet; nothing is loaded.

        ``cancel`` ends it with ``Interrupted``, and the next call continues there. Raises
        ``ModelError`` when it cannot be had.
        """
        with self._claimed():
            self._model_files(self._roles_for(options))

    @property
    def is_busy(self) -> bool:
        """Whether a problem, a question or a download is worked on."""
        return self._running

    @property
    def unproven_engine(self) -> str:
        """The engine that has passed no more than the quick self-check with a loaded model.

        "" for none, and where the whole one has no room beside the models, or was tried before.
        """
        if self._transport is None or self._unproven is None:
            return ""
        return unproven_engine(self._unproven)

    def prove_engine(self) -> str:
        """Do the whole self-check behind everything else: at the lowest priority, on one thread.

        It ends when this solver begins anything, or is closed. Returns what follows from a check
        that failed, "" when none did; the next problem is solved with models loaded anew.
        """
        transport, setup, begun = self._transport, self._unproven, self._num_begun
        if transport is None or setup is None or self._running:
            return ""

        def should_stop() -> bool:  # also after what was over before anybody looked
            return self._num_begun != begun or self._transport is not transport

        said = prove_engine(setup, should_stop)
        if said:
            self._is_refused = True
        elif not should_stop():
            self._unproven = None  # what could not be found out now is not tried for ever
        return said

    def close(self) -> None:
        """Unload the models and end the worker."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def __enter__(self) -> Solver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def expect(self, options: SolveOptions) -> None:
        """Say what will be solved later, so that its models come with the first ones.

        Without it a worker that has the target alone is left for one that has both.
        """
        if self._transport is None:
            self._roles |= set(self._roles_for(options))

    def _solve_request(
        self,
        problem: str,
        options: SolveOptions | None,
        given: Sequence[str],
        changes: Mapping[str, Any],
    ) -> SolveRequest:
        wanted = with_changes(options or SolveOptions(), **changes)
        chosen, note = self._planned(wanted, problem, given)
        chosen = with_changes(chosen, max_tokens=chosen.budget)
        request = SolveRequest(problem, chosen, tuple(given), note)
        return validated(request, self._max_sequences)

    def _planned(
        self, options: SolveOptions, problem: str = "", given: Sequence[str] = ()
    ) -> tuple[SolveOptions, str]:
        """The options with the plan and the budget that they leave to us, and why it was chosen."""
        if not options.leaves_plan:  # whatever is known of the pair
            return options, ""
        if self._is_demo:  # what it plays was written for this one
            return with_changes(options, method="ssr"), ""
        return self._known.planned(options, typeset=is_typeset(problem), given=given)

    @cached_property
    def _known(self) -> Known:
        return known_of(load_registry(), self._pair, self.engine)

    def _roles_for(self, options: SolveOptions | None) -> tuple[ModelRole, ...]:
        return plan_for(self._planned(options or SolveOptions())[0]).roles

    def _handle(self, request: AnyRequest) -> Generator[Any, None, None]:
        """What happens when a validated request is worked on, with one request at a time."""
        with self._claimed():
            transport = self._transport_with(roles_for(request))
            self._check_cancelled()
            events = transport.handle(request)
            if self._cancelled.is_set():  # a moment ago, when there was nothing to tell
                transport.tell(Cancel())
            yield from events

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """One thing at a time."""
        if self._running:
            raise UsageError("This solver is still busy with another problem.")
        self._cancelled.clear()
        self._running = True
        self._num_begun += 1
        try:
            yield
        finally:
            self._running = False

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Interrupted("Stopped before the run had begun.")

    def _transport_with(self, roles: Iterable[ModelRole]) -> Transport:
        """A transport to a session that has the models these roles need."""
        needed = self._roles | set(roles)
        if self._transport is None or self._is_refused or needed != self._roles:
            setup = Setup(
                models=self._model_files(needed),
                engine=self.engine,
                calibrations=dict(self._pair.calibrations),
                to_calibrate=self._pair.to_calibrate,
                harmful=self._pair.profile.harmful if self._pair.profile else (),
                backend="fake" if self._is_demo else "native",
                max_sequences=self._max_sequences,
            )
            self.close()
            self._roles = needed
            self._is_refused = False
            self._unproven = setup
            self._transport = self._transport_to(setup)
        return self._transport

    def _specs(self, roles: Iterable[ModelRole]) -> list[ModelSpec]:
        """What is known of these models; the demonstration's are no files."""
        if self._is_demo:
            return []
        registry = load_registry()
        return [registry.model(getattr(self._pair, role)) for role in roles]

    def _model_files(self, roles: Iterable[ModelRole]) -> dict[ModelRole, ModelFile]:
        """The files of these models, downloaded where they are missing."""
        roles = sorted(roles)
        if self._is_demo:
            return {role: ModelFile(getattr(self._pair, role), "") for role in roles}
        specs = [download.resolved(spec, self._on_notice) for spec in self._specs(roles)]
        download.check_room(specs)
        return {role: self._model_file(spec) for role, spec in zip(roles, specs, strict=True)}

    def _model_file(self, spec: ModelSpec) -> ModelFile:
        path = download.ensure_model(spec, on_progress=self._progress, on_notice=self._on_notice)
        return ModelFile(
            name=spec.name,
            path=str(path),
            sha256=download.file_sha256(spec) or download.known_sha256(spec),
            num_parameters=spec.parameters,
            perplexity=spec.perplexity,
            checked=spec.checked if spec.sha256 else {},
        )

    def _progress(self, progress: Progress) -> None:
        self._check_cancelled()
        if self._on_progress is not None:
            self._on_progress(progress)

    @property
    def _is_demo(self) -> bool:
        engine = self.engine
        return engine.pair == DEMO_PAIR and engine.draft is None and engine.target is None
