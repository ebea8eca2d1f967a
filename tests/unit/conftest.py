"""What tests of the tutor, the history and its pages share: the demonstration's models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ssr_local import Solver
from ssr_local.core.events import AnyEvent


@pytest.fixture(scope="module")
def solver() -> Iterator[Solver]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSR_LOCAL_DEMO_SPEED", "0")
        with Solver(pair="demo", in_process=True) as solver:
            yield solver


@pytest.fixture(scope="module")
def run(solver: Solver) -> list[AnyEvent]:
    """A whole run's events."""
    return list(solver.stream("A farm has hens and cows.", seed=1))
