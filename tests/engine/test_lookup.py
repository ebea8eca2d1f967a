"""Guessing tokens changes how many a round writes, and nothing else."""

from __future__ import annotations

import pytest

from ssr_local.engine.base import Sampling, StepJob
from ssr_local.engine.lookup import PromptLookup
from ssr_local.method.prediction import Speed
from tests.engine.conftest import Load, Tiny
from tests.engine.harness import GREEDY, LIBRARIES, check_cache, exact_attention, write
from tests.engine.kits import BEFORE_BLANK, BEFORE_END, CHAINS, PROMPT


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


LONG = "The sum of 12 and 30 is 42, and the sum of 30 and 12 is 42. " * 3


@pytest.mark.parametrize(
    ("tokens", "guess"),
    [
        ([], None),
        ([1, 2, 3], None),
        ([1, 2, 3, 1, 2], 3),
        ([1, 2, 3, 1, 2, 4, 1, 2], 4),
        ([7, 7, 7], 7),
        ([1, 2, 3, 2, 1], None),
    ],
)
def test_a_guess_is_what_followed_the_last_time(tokens: list[int], guess: int | None) -> None:
    assert PromptLookup().guess(tokens) == guess
    grown = PromptLookup()
    assert [grown.guess(tokens[:end]) for end in range(len(tokens) + 1)][-1] == guess


@pytest.mark.parametrize(
    ("decode", "gains"),
    [
        (((1, 14.4), (2, 23.6)), True),  # a second row costs a quarter of a batch
        (((1, 14.4), (2, 18.0)), False),
        (((1, 14.4), (3, 28.0)), False),  # nobody knows
    ],
)
def test_it_is_for_machines_where_a_second_row_is_cheap(
    decode: tuple[tuple[int, float], ...], gains: bool
) -> None:
    assert Speed(prefill=70.0, decode=decode).guesses_pay is gains


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(0.4, 0.95, 5), Sampling(1.2, 1.0, 8)])
@pytest.mark.parametrize("end", ["", BEFORE_BLANK, BEFORE_END])
def test_the_text_is_the_same(tiny: Tiny, load: Load, sampling: Sampling, end: str) -> None:
    written, rounds = [], []
    for prompt_lookup in (False, True):
        with exact_attention():
            engine, binding = load(tiny(chains=CHAINS, context=4096), prompt_lookup=prompt_lookup)
        seq_id = engine.open(engine.tokenize(LONG + PROMPT + end))
        before = len(binding.calls)
        written.append((write(engine, seq_id, 200, sampling), engine.usage().decode_tokens))
        rounds.append(len(binding.calls) - before)
        check_cache(engine)
    assert written[0] == written[1]
    if not end and 0 < sampling.temperature < 1:
        assert rounds[1] < rounds[0], "some guesses were right"


def test_a_right_guess_stays_within_a_steps_limit(tiny: Tiny, load: Load) -> None:
    engine, _ = load(tiny(), prompt_lookup=True)
    seq_id = engine.open(engine.tokenize(LONG))
    write(engine, seq_id, 60)  # a tiny model goes round in circles
    for limit in (1, 2, 3, 5):
        engine.start_steps([StepJob(seq_id, limit, GREEDY)])
        told = 0
        while limit:
            for delta in engine.decode_round():
                told += delta.num_tokens
                assert len(delta.log_probs) == delta.num_tokens
                if delta.end:
                    assert told <= limit
                    limit = 0
        check_cache(engine)


def test_beside_others_nothing_is_guessed(tiny: Tiny, load: Load) -> None:
    engine, binding = load(tiny(), prompt_lookup=True)
    seq_ids = [engine.open(engine.tokenize(LONG)) for _ in range(2)]
    engine.start_steps([StepJob(seq_id, 20, GREEDY) for seq_id in seq_ids])
    assert len(engine.decode_round()) == 2
    assert len(binding.calls[-1]) == 2
    engine.stop_step(seq_ids[0])
    engine.decode_round()
    check_cache(engine)
