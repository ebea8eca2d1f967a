"""Solving problems from Python.

>>> from ssr_local import Solver
>>> with Solver() as solver:                                  # doctest: +SKIP
...     result = solver.solve("What is 17 * 23?", paths=3)
...     print(result.answer)
391
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ssr_local.coordinator.plan import plan_for
from ssr_local.core.commands import AnyCommand, Cancel
from ssr_local.core.errors import EngineCrashed, Interrupted, SSRError, UsageError
from ssr_local.core.events import AnyEvent, Replied, RunEnded, StepRead
from ssr_local.core.options import EngineOptions, SolveOptions, validate, with_changes
from ssr_local.core.records import Author, Calibration, RunResult, StepReading
from ssr_local.engine.base import MOST_SEQUENCES, SEQUENCES, Cancelled
from ssr_local.engine.demo import demo_pair
from ssr_local.method.pools import load_pool
from ssr_local.method.prompts import QUESTIONS
from ssr_local.models.registry import DEMO_PAIR, ModelSpec, PairSpec, load_registry, resolve_pair
from ssr_local.transport.session import (
    Asked,
    ModelFile,
    Session,
    Setup,
    check_problem,
    check_room_for,
)
from ssr_local.transport.worker import Ask, Mailbox, Read, Solve, Worker, events_of, settled

if TYPE_CHECKING:
    from ssr_local.models.download import Progress, ToFetch


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
        self._in_process = in_process
        self._max_sequences = MOST_SEQUENCES if at_once > 1 else SEQUENCES
        self._worker: Worker | None = None
        self._session: Session | None = None
        self._mailbox = Mailbox()
        self._running = False
        self._cancelled = threading.Event()
        self._roles: set[Author] = set()
        self._pair = self._resolve()

    def solve(
        self,
        problem: str,
        options: SolveOptions | None = None,
        *,
        given: Sequence[str] = (),
        **changes: Any,
    ) -> RunResult:
        """Solve one problem and return what it came to.

        ``given`` are steps that every path begins with, for going on from where somebody
        else stands; each ends with a blank line, as a model's own would. ``changes`` are
        single values of ``SolveOptions``: ``paths=5, mode="fast2"``.
        Raises ``UsageError`` (wrong option or problem), ``ModelError`` (model missing or
        damaged), ``EngineError`` (the engine failed); all are ``SSRError``.
        """
        result: RunResult | None = None
        for event in self.stream(problem, options, given=given, **changes):
            if isinstance(event, RunEnded):
                result = event.result
        if result is None:
            raise EngineCrashed("The run ended without a result.")
        return result

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
        chosen = with_changes(options or SolveOptions(), **changes)
        problem = check_problem(problem)
        load_pool(chosen.strategies)  # before models are fetched: a wrong name is found now
        return self._events(plan_for(chosen).roles, Solve(problem, chosen, tuple(given)))

    def solve_together(
        self, problems: Sequence[str], options: Sequence[SolveOptions]
    ) -> list[RunResult | SSRError]:
        """Solve several problems at once, all their paths in the same batches.

        That is for throughput: each single problem takes longer. ``options`` has one entry
        for each problem, all of one method; the solver must have been made with as many
        ``at_once``. What failed comes back as its error, in its place. Raises like ``solve``
        when nothing could be done at all.
        """
        asked = [Asked(p, one) for p, one in zip(problems, options, strict=True)]
        if not asked:
            return []
        if len({one.method for one in options}) > 1:
            raise UsageError("Problems that are solved together need one method.")
        check_room_for(options, self._max_sequences)
        for one in options:
            load_pool(one.strategies)
        with self._busy(plan_for(options[0]).roles):
            if self._worker is not None:
                return self._worker.solve_together(asked, self._cancelled.is_set)
            assert self._session is not None
            return [_settled(outcome) for outcome in settled(self._session, asked)]

    def read_steps(
        self,
        problem: str,
        steps: Sequence[str],
        *,
        strategies: str = "maths",
        questions: Sequence[tuple[str, str]] | None = None,
        given: Sequence[str] = (),
    ) -> tuple[StepReading, ...]:
        """What the target makes of steps that stand there, each given those before it.

        ``given`` stand in front of them and are not asked about. ``questions`` are (kind,
        wording) pairs of ``prompts.QUESTIONS``; None: all of them. Raises like ``solve``.
        """
        if questions is None:
            questions = list(QUESTIONS)
        problem = check_problem(problem)
        load_pool(strategies)
        request = Read(problem, tuple(steps), strategies, tuple(questions), tuple(given))
        events = self._events(("target",), request)
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
        """What the target says to a question about steps that stand there, in one paragraph.

        It is asked greedily behind ``given``, each of which ends with a blank line. Raises
        like ``solve``.
        """
        problem = check_problem(problem)
        load_pool(strategies)
        request = Ask(problem, question, strategies, tuple(given), max_tokens)
        events = self._events(("target",), request)
        return "".join(event.text for event in events if isinstance(event, Replied))

    def tell(self, command: AnyCommand) -> None:
        """Steer the run that goes on, from any thread.

        Not from a signal handler of the thread that runs it: start a thread there.
        """
        if self._running and isinstance(command, Cancel):
            self._cancelled.set()
        if self._worker is not None:
            self._worker.tell(command)
        elif self._running:
            self._mailbox.put(command)

    def cancel(self) -> None:
        """Stop the run that goes on; its events end with what there is."""
        self.tell(Cancel())

    def kill(self) -> None:
        """End the worker at once; the run that goes on raises ``EngineCrashed``."""
        if self._worker is not None:
            self._worker.kill()

    @property
    def calibrations(self) -> dict[str, Calibration]:
        """What verifiers' values mean for this pair, by verifier; empty: nobody has measured."""
        return dict(self._pair.calibrations)

    @property
    def model_names(self) -> tuple[str, str]:
        """The draft's name and the target's."""
        return self._pair.draft, self._pair.target

    @property
    def worker_pid(self) -> int | None:
        """The process id of the worker while it lives."""
        return self._worker.pid if self._worker else None

    def to_fetch(self, options: SolveOptions | None = None) -> ToFetch:
        """What would have to be downloaded before these options can run; false for nothing.

        The hub is asked for sizes that are not known here.
        """
        from ssr_local.models.download import ToFetch, to_fetch

        if self._is_demo:
            return ToFetch(num_bytes=0)
        return to_fetch(self._specs(plan_for(options or SolveOptions()).roles), ask_hub=True)

    def fetch(self, options: SolveOptions | None = None) -> None:
        """Download what these options need and is not here yet; nothing is loaded.

        ``cancel`` ends it with ``Interrupted``, and the next call goes on where it was. Raises
        ``ModelError`` when it cannot be had.
        """
        with self._claimed():
            if not self._is_demo:
                from ssr_local.models.download import check_room

                roles = plan_for(options or SolveOptions()).roles
                check_room(self._specs(roles))
                for role in roles:
                    self._model_file(role)

    def _specs(self, roles: Iterable[Author]) -> list[ModelSpec]:
        registry = load_registry()
        return [registry.model(getattr(self._pair, role)) for role in roles]

    def close(self) -> None:
        """Unload the models and end the worker."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        if self._session is not None:
            self._session.close()
            self._session = None

    def __enter__(self) -> Solver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def expect(self, options: SolveOptions) -> None:
        """Say what will be solved later, so that its models come with the first ones.

        Without it a worker that has the target alone is left for one that has both.
        """
        if self._worker is None and self._session is None:
            self._roles |= set(plan_for(options).roles)

    def _events(
        self, roles: tuple[Author, ...], request: Solve | Read | Ask
    ) -> Generator[AnyEvent, None, None]:
        with self._busy(roles):
            if self._worker is not None:
                yield from self._worker.work(request, self._cancelled.is_set)
            elif self._session is not None:
                yield from events_of(self._session, request, self._mailbox)

    @contextmanager
    def _busy(self, roles: tuple[Author, ...]) -> Iterator[None]:
        """One thing at a time, with the models these roles need."""
        with self._claimed():
            self._prepare(roles)
            if self._cancelled.is_set():
                raise Cancelled
            yield

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        if self._running:
            raise UsageError("This solver is still busy with another problem.")
        self._cancelled.clear()
        self._mailbox.clear()
        self._running = True
        try:
            yield
        except Cancelled as error:
            raise Interrupted("Stopped before the run had begun.") from error
        finally:
            self._running = False

    def _prepare(self, roles: tuple[Author, ...]) -> None:
        """A worker (or session) that has the models these roles need."""
        if set(roles) <= self._roles and (self._worker or self._session):
            return
        needed = self._roles | set(roles)
        if not self._is_demo:
            from ssr_local.models.download import check_room

            check_room(self._specs(needed))
        setup = Setup(
            models={role: self._model_file(role) for role in sorted(needed)},
            engine=self.engine,
            calibrations=dict(self._pair.calibrations),
            backend="fake" if self._is_demo else "native",
            max_sequences=self._max_sequences,
        )
        self.close()
        self._roles = needed
        if self._in_process:
            self._session = Session(setup, should_stop=self._mailbox.should_stop)
        else:
            self._worker = Worker(setup)

    def _model_file(self, role: Author) -> ModelFile:
        if self._is_demo:
            return ModelFile(name=getattr(self._pair, role), path="")
        from ssr_local.models.download import ensure_model, file_sha256, known_sha256

        (spec,) = self._specs([role])
        path = ensure_model(spec, on_progress=self._progress, on_notice=self._on_notice)
        return ModelFile(
            name=spec.name,
            path=str(path),
            sha256=file_sha256(spec) or known_sha256(spec),
            num_parameters=spec.parameters,
        )

    def _progress(self, progress: Progress) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        if self._on_progress is not None:
            self._on_progress(progress)

    def _resolve(self) -> PairSpec:
        if self._is_demo:
            return demo_pair()
        return resolve_pair(
            load_registry(),
            pair=self.engine.pair,
            draft=self.engine.draft,
            target=self.engine.target,
        )

    @property
    def _is_demo(self) -> bool:
        engine = self.engine
        return engine.pair == DEMO_PAIR and engine.draft is None and engine.target is None


def _settled(outcome: RunResult | BaseException) -> RunResult | SSRError:
    if isinstance(outcome, Cancelled):
        return Interrupted("Stopped before the run had begun.")
    if isinstance(outcome, RunResult | SSRError):
        return outcome
    raise outcome
