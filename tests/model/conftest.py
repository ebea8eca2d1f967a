"""The default pair's real weights, fetched once into the user's own data folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ssr_local import Solver
from ssr_local.models.download import ensure_model
from ssr_local.models.registry import load_registry


@pytest.fixture(scope="session")
def default_pair() -> None:
    registry = load_registry()
    pair = registry.pair("default")
    for name in (pair.draft, pair.target):
        ensure_model(registry.model(name))


@pytest.fixture(scope="session")
def solver(default_pair: None) -> Iterator[Solver]:
    with Solver() as loaded:
        yield loaded
