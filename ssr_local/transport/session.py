"""A session: loaded models, in the worker or in this process (for tests and notebooks).

It turns one request after another into events; a model is loaded when first needed, and kept.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from functools import partial

import msgspec

from ssr_local.answers.arithmetic import refuted_claim
from ssr_local.answers.compare import EQUIVALENT
from ssr_local.answers.comparer import Comparer
from ssr_local.answers.program import run_written_program
from ssr_local.coordinator.commands import Mailbox
from ssr_local.coordinator.prompter import Prompter
from ssr_local.coordinator.reading import read_steps, reply
from ssr_local.coordinator.run import Run
from ssr_local.coordinator.scheduler import solve_together
from ssr_local.core.commands import AnyCommand, Cancel
from ssr_local.core.errors import Interrupted, SSRError
from ssr_local.core.events import AnyEvent, Replied, StepRead
from ssr_local.core.records import ModelRole
from ssr_local.engine.base import Cancelled, Engine
from ssr_local.engine.prefixes import KeptPrefixes
from ssr_local.method.plans import plan_for
from ssr_local.method.pools import load_pool
from ssr_local.method.verification import Judge
from ssr_local.process.failed import Failed
from ssr_local.process.helper import Helper
from ssr_local.transport.base import Outcome, RequestEvents
from ssr_local.transport.requests import (
    AnyRequest,
    ReadStepsRequest,
    ReplyRequest,
    SolveRequest,
    SolveTogetherRequest,
    roles_for,
    validated,
)
from ssr_local.transport.setup import Loader, Setup, load_model


class Session:
    """What a worker holds. By itself it is the transport without a process: a crash inside the
    engine then ends this one.

    ``loader`` loads the models instead of the setup's back end.
    """

    pid = None

    def __init__(self, setup: Setup, loader: Loader | None = None) -> None:
        self._setup = setup
        self._loader = loader
        self._engines: dict[ModelRole, Engine] = {}
        self._helper = Helper()
        self._mailbox = Mailbox()
        self._kept = KeptPrefixes()

    def handle(self, request: AnyRequest) -> RequestEvents:
        self._mailbox.clear()  # a cancel that came too late belongs to the last request
        return self._events(request)

    def tell(self, command: AnyCommand) -> None:
        self._mailbox.put(command)

    def kill(self) -> None:
        self.tell(Cancel())

    def close(self) -> None:
        """Unload the models and stop the helper process."""
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()
        self._helper.close()

    def _events(self, request: AnyRequest) -> RequestEvents:
        """The last event of a problem that is solved is ``RunEnded``, unless an error is raised."""
        try:
            engines = yield from self._loaded(roles_for(request))
            if isinstance(request, SolveRequest):
                run = self._run(request, engines, self._mailbox)
                with closing(solve_together([run])) as events:
                    for _, event in events:
                        yield event
                if run.failure is not None:
                    raise run.failure
            elif isinstance(request, SolveTogetherRequest):
                yield from self._solve_together(request.runs, engines)
            else:
                yield from self._ask_target(request, engines["target"])
        except Cancelled as error:
            raise Interrupted("Stopped before the run had begun.") from error

    def _loaded(
        self, roles: Sequence[ModelRole]
    ) -> Generator[AnyEvent, None, dict[ModelRole, Engine]]:
        if self._setup.backend != "fake":  # the demonstration's answers need no algebra
            self._helper.warm(EQUIVALENT)  # takes a second, which loading a model hides
        for role in roles:
            if role not in self._engines:
                self._engines[role] = yield from load_model(
                    role, self._setup, self._mailbox.should_stop, self._loader
                )
        return {role: self._engines[role] for role in roles}

    def _solve_together(
        self, requests: Sequence[SolveRequest], engines: Mapping[ModelRole, Engine]
    ) -> Generator[Outcome, None, None]:
        runs: list[Run | SSRError] = []
        for request in requests:
            try:
                request = validated(request, self._setup.max_sequences)
            except SSRError as error:
                runs.append(error)
            else:
                runs.append(self._run(request, engines))
        for _ in solve_together([run for run in runs if isinstance(run, Run)]):
            pass
        for index, run in enumerate(runs):
            failure = run.failure if isinstance(run, Run) else run
            if isinstance(run, Run) and failure is None:
                yield Outcome(run=index, result=run.result)
            elif isinstance(failure, SSRError):
                yield Outcome(run=index, failed=Failed.of(failure))
            elif failure is not None:
                raise failure

    def _ask_target(
        self, request: ReadStepsRequest | ReplyRequest, engine: Engine
    ) -> Generator[AnyEvent, None, None]:
        prompter = Prompter(engine, load_pool(request.strategies), self._helper)
        path = prompter.path(request.problem, request.prefix_steps)
        if isinstance(request, ReplyRequest):
            pieces = reply(engine, prompter, path, request.question, request.max_tokens)
            yield Replied(text="".join(pieces).strip())
            return
        readings = read_steps(engine, prompter, path, request.steps, request.questions)
        for step, reading in enumerate(readings):
            yield StepRead(step=step, reading=reading)

    def _run(
        self,
        request: SolveRequest,
        engines: Mapping[ModelRole, Engine],
        commands: Mailbox | None = None,
    ) -> Run:
        options = request.options
        pool = load_pool(options.strategies, options.prompt)
        values = msgspec.structs.asdict(options) | msgspec.structs.asdict(self._setup.engine)
        return Run(
            problem=request.problem,
            options=options,
            plan=plan_for(options),
            pool=pool,
            engines=engines,
            prompters={
                role: Prompter(engine, pool, self._helper) for role, engine in engines.items()
            },
            judge=Judge(
                options.verifier,
                options.threshold,
                self._setup.calibrations,
                self._setup.to_calibrate,
            ),
            compare=Comparer(self._helper, self._mailbox.should_stop),
            run_program=run_written_program,
            refute=partial(refuted_claim, problem=request.problem),
            prefix_steps=request.prefix_steps,
            note=request.note,
            option_values=values | {role: file.name for role, file in self._setup.models.items()},
            commands=commands or Mailbox(),
            kept=self._kept,
            harmful=self._setup.harmful,
        )
