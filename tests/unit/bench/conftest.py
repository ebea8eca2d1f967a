from __future__ import annotations

from collections.abc import Iterator

import pytest

from ssr_local.bench.scoring import Scorer


@pytest.fixture(scope="session")
def scorer() -> Iterator[Scorer]:
    with Scorer() as one:
        yield one
