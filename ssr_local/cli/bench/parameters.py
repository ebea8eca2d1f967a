"""What the commands that run models have in common: options, settings, progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from ssr_local.api import Solver
from ssr_local.bench.provenance import calibration_hash
from ssr_local.bench.records import Problem
from ssr_local.bench.tasks import TASKS, load_problems
from ssr_local.cli.at_work import remark, settings_in_force
from ssr_local.cli.parameters import options_of
from ssr_local.core.config import Settings
from ssr_local.core.errors import UsageError
from ssr_local.core.options import EngineOptions, SolveOptions, with_changes

_F = TypeVar("_F", bound=Callable[..., Any])

# The others are the method's, or the evaluation's own.
_WRITING = (
    "max_tokens",
    "max_steps",
    "max_step_tokens",
    "time_limit",
    "temperature",
    "top_p",
)
_SOLVE_OPTIONS = ("strategies", "verifier", "threshold", *_WRITING)

threshold_option = click.option(
    "--threshold",
    type=click.FloatRange(0, 9),
    default=SolveOptions().threshold,
    show_default=True,
    help="the score from which labelled steps count as accepted",
)


def in_order(*options: Callable[[_F], _F]) -> Callable[[_F], _F]:
    """Several options as one decorator."""

    def decorate(function: _F) -> _F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


data_options = in_order(
    click.option(
        "--task",
        required=True,
        type=click.Choice(sorted(TASKS)),
        help="the benchmark; selfcheck comes with ssr-local and needs no network",
    ),
    click.option(
        "--data",
        type=click.Path(path_type=Path),
        help="read the problems from this JSONL file instead of the hub",
    ),
    click.option(
        "--skip",
        type=click.IntRange(min=0),
        default=0,
        help="leave out the first so many problems, for example those calibrated on",
    ),
    click.option("--limit", type=click.IntRange(min=1), help="at most so many problems"),
    click.option("--seed", type=click.IntRange(0, 2**32 - 2), default=0, show_default=True),
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        help="directory of the results, bench-TASK here when not given; the same command"
        " continues what is there",
    ),
    click.option(
        "--allow-code",
        is_flag=True,
        help="run the programs that models write, without files or network, to judge them",
    ),
)


def model_options(function: _F) -> _F:
    """The options of solving that are not a method's own, and those of the engine."""
    return options_of(SolveOptions, _SOLVE_OPTIONS)(options_of(EngineOptions)(function))


def settings_for(task: str, overrides: Mapping[str, Any], prompt: str = "") -> Settings:
    """The settings in force, that prompt and, unless another was asked for, the task's pool."""
    settings = settings_in_force(overrides)
    changes = {"prompt": prompt}
    if overrides.get("strategies") is None:
        changes["strategies"] = TASKS[task].strategies
    return msgspec.structs.replace(settings, solve=with_changes(settings.solve, **changes))


def folder_for(task: str, out: Path | None) -> Path:
    """The directory of the results."""
    return out or Path(f"bench-{task}")


def in_common(settings: Settings, *, verified: bool, **more: Any) -> dict[str, Any]:
    """What all lines of one results file share, by name.

    ``verified`` says that steps are judged, so that it matters how.
    """
    names = ("verifier", "threshold", *_WRITING) if verified else _WRITING
    options = {name: getattr(settings.solve, name) for name in names}
    engine = {name: getattr(settings.engine, name) for name in EngineOptions.__struct_fields__}
    more["strategies"] = settings.solve.strategies
    if verified:
        more["calibration"] = calibration_hash(Solver(engine=settings.engine).calibrations)
    return more | options | engine


def problems_of(task: str, data: Path | None, skip: int, limit: int | None) -> tuple[Problem, ...]:
    """The task's problems without the first ``skip``, at most ``limit``."""
    last = None if limit is None else skip + limit
    problems = load_problems(task, data=data, limit=last)[skip:]
    if not problems:
        raise UsageError(
            f"{task} has no problems left.", f"--skip leaves out {skip}.", "Give a smaller --skip."
        )
    return problems


@contextmanager
def kept_in(out: Path) -> Iterator[None]:
    """Says, when the work is stopped, that what is finished is not lost."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        remark(f"Stopped. What is finished is kept in {out}; the same command goes on from there.")
        raise


class Countdown:
    """Says how much of a long work is done and about how long the rest takes."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._started = total, 0, time.monotonic()

    def step(self, text: str, amount: int = 1) -> None:
        """``amount`` more is done; ``text`` says what."""
        self._done += amount
        spent = time.monotonic() - self._started
        left = max(0, self._total - self._done)
        rest = timedelta(seconds=round(spent / self._done * left)) if self._done else None
        remark(
            f"[{self._done}/{self._total}] {text}"
            + (f"; about {rest} left" if rest is not None else "")
        )
