"""Our own draws: temperature, nucleus, seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ssr_local.core.errors import DecodeError
from ssr_local.engine.base import Sampling
from ssr_local.engine.sampler import Sampler

ROW = np.full(1000, -50.0, dtype=np.float32)
ROW[[7, 300, 999, 4]] = [2.0, 1.0, 0.0, -1.0]


def shares(sampling: Sampling, draws: int = 20_000) -> dict[int, float]:
    sampler = Sampler(sampling)
    counts = Counter(sampler.draw(ROW) for _ in range(draws))
    return {token: count / draws for token, count in counts.items()}


def test_greedy_takes_the_likeliest_and_of_equals_the_first() -> None:
    assert Sampler(Sampling(0)).draw(ROW) == 7
    assert Sampler(Sampling(0)).draw(np.zeros(9, dtype=np.float32)) == 0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_follow_the_softmax_at_that_temperature(temperature: float) -> None:
    found = shares(Sampling(temperature, 1.0, 3))
    weights = np.exp(ROW[[7, 300, 999, 4]].astype(float) / temperature)
    for token, share in zip([7, 300, 999, 4], weights / weights.sum(), strict=True):
        assert found.get(token, 0.0) == pytest.approx(share, abs=0.015)


def test_the_nucleus_is_the_fewest_tokens_that_reach_top_p() -> None:
    # 0.64, 0.24, 0.09, 0.03
    assert set(shares(Sampling(1.0, 0.60, 1), 500)) == {7}
    assert set(shares(Sampling(1.0, 0.70, 1), 500)) == {7, 300}
    assert set(shares(Sampling(1.0, 0.95, 1), 2000)) == {7, 300, 999}


def test_a_seed_fixes_the_draws() -> None:
    flat = np.zeros(50, dtype=np.float32)
    one, same, other = (
        [sampler.draw(flat) for _ in range(20)]
        for sampler in (Sampler(Sampling(1, 1, 5)), Sampler(Sampling(1, 1, 5)), Sampler(Sampling()))
    )
    assert one == same != other


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_an_error(value: float) -> None:
    row = ROW.copy()
    row[5] = value
    with pytest.raises(DecodeError, match="not a number"):
        Sampler(Sampling()).draw(row)
