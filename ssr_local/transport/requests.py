"""What a session can be asked to do, and the one place that says whether it can be done."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from ssr_local.coordinator.room import num_sequences
from ssr_local.core.errors import ProblemError, UsageError
from ssr_local.core.options import SolveOptions
from ssr_local.core.records import ModelRole
from ssr_local.method.plans import plan_for
from ssr_local.method.pools import load_pool

MAX_PROBLEM_CHARS = 200_000


class Request(msgspec.Struct, frozen=True, tag_field="command"):
    """Base of all requests; tagged like commands, which travel the same way."""


class SolveRequest(Request, frozen=True, tag=True):
    """Solve one problem; every path begins with the prefix steps. ``note`` says something of the
    options that the run is to repeat."""

    problem: str
    options: SolveOptions
    prefix_steps: tuple[str, ...] = ()
    note: str = ""


class SolveTogetherRequest(Request, frozen=True, tag=True):
    """Solve several problems, all with the same models, in the same batches."""

    runs: tuple[SolveRequest, ...]


class ReadStepsRequest(Request, frozen=True, tag=True):
    """Let the target read the steps that come after the prefix steps.

    ``questions`` are (kind, wording) pairs of ``prompts.QUESTIONS``.
    """

    problem: str
    steps: tuple[str, ...]
    strategies: str
    questions: tuple[tuple[str, str], ...]
    prefix_steps: tuple[str, ...] = ()


class ReplyRequest(Request, frozen=True, tag=True):
    """Ask the target a question about the prefix steps."""

    problem: str
    question: str
    strategies: str
    prefix_steps: tuple[str, ...]
    max_tokens: int


AnyRequest = SolveRequest | SolveTogetherRequest | ReadStepsRequest | ReplyRequest

_R = TypeVar("_R", bound=AnyRequest)


def validated(request: _R, max_sequences: int) -> _R:
    """The request as it will be worked on: a clean problem, and a seed where none was chosen.

    Nothing is loaded for it, so that what is wrong shows before models are downloaded. A
    problem to be solved together with others is looked at by itself later: it costs only its
    own run. Raises ``UsageError`` and its ``ProblemError`` and ``ConfigError``.
    """
    if isinstance(request, SolveTogetherRequest):
        if len({plan_for(run.options).roles for run in request.runs}) > 1:
            raise UsageError("Problems that are solved together need methods of the same models.")
        check_room_for([run.options for run in request.runs], max_sequences)
        for run in request.runs:
            load_pool(run.options.strategies, run.options.prompt)
        return request
    problem = check_problem(request.problem)
    if not isinstance(request, SolveRequest):
        load_pool(request.strategies)
        return msgspec.structs.replace(request, problem=problem)
    options = request.options
    plan_for(options)
    load_pool(options.strategies, options.prompt)
    if options.seed is None:
        options = msgspec.structs.replace(options, seed=secrets.randbelow(2**32 - 1))
    return msgspec.structs.replace(request, problem=problem, options=options)


def roles_for(request: AnyRequest) -> tuple[ModelRole, ...]:
    """The models that a request needs."""
    if isinstance(request, SolveRequest):
        return plan_for(request.options).roles
    if isinstance(request, SolveTogetherRequest):
        return plan_for(request.runs[0].options).roles
    return ("target",)


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
