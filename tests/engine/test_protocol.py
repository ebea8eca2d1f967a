"""The engine protocol, on every engine there is: a new one joins in ``kits.KITS``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest

from ssr_local.core.errors import DecodeError
from ssr_local.engine.base import (
    Cancelled,
    Engine,
    ExtendJob,
    Sampling,
    StepJob,
    decode_steps,
)
from ssr_local.engine.native import NativeEngine
from tests.engine.conftest import Tiny
from tests.engine.harness import GREEDY, check_cache, write, write_together
from tests.engine.kits import BEFORE_BLANK, BEFORE_END, KITS, PROMPT

Make = Callable[..., Engine]
"""Makes an engine; ``num_cells`` bounds its KV cache, ``should_stop`` cancels."""


@pytest.fixture(params=KITS)
def make(request: pytest.FixtureRequest, tiny: Tiny) -> Iterator[Make]:
    made: list[Engine] = []

    def make_one(num_cells: int = 2048, should_stop: Callable[[], bool] = lambda: False) -> Engine:
        made.append(KITS[request.param](tiny, num_cells, should_stop))
        return made[-1]

    yield make_one
    for engine in made:
        if isinstance(engine, NativeEngine):
            check_cache(engine)
        engine.close()


@pytest.fixture
def engine(make: Make) -> Engine:
    return make()


def opened(engine: Engine, text: str = PROMPT) -> int:
    return engine.open(engine.tokenize(text))


def test_an_engine_describes_itself(engine: Engine) -> None:
    assert engine.info.name
    assert engine.info.num_parameters > 0
    assert engine.max_sequences >= 14, "12 paths, their prefix, and one for selection"
    assert engine.max_tokens == engine.info.num_ctx == 2048
    assert "<|im_end|>" in engine.vocabulary.special_texts
    assert engine.chat_template is not None
    assert "im_start" in engine.chat_template
    assert engine.notes == ()


def test_tokens_come_back_as_they_were_given(engine: Engine) -> None:
    tokens = engine.tokenize(PROMPT)
    seq_id = engine.open(tokens)
    assert engine.num_tokens(seq_id) == len(tokens)
    assert engine.tokens(seq_id) == tokens
    assert engine.tokens(seq_id, 3) == tokens[3:]
    engine.tokens(seq_id).clear()
    assert engine.tokens(seq_id) == tokens, "the caller got the engine's own list"
    assert engine.tokenize("") == []


def test_engines_of_one_vocabulary_can_exchange_ids(make: Make) -> None:
    one, other = make(), make()
    one.tokenize("words that only one of the two has met")
    assert one.vocabulary.fingerprint == other.vocabulary.fingerprint
    assert one.tokenize(PROMPT) == other.tokenize(PROMPT)


def test_ids_run_out_and_come_back(engine: Engine) -> None:
    first = opened(engine)
    others = [engine.fork(first) for _ in range(engine.max_sequences - 1)]
    with pytest.raises(DecodeError, match="sequences"):
        engine.fork(first)
    with pytest.raises(DecodeError, match="sequences"):
        opened(engine)
    engine.release(others[4])
    assert engine.fork(first) == others[4]


@pytest.mark.parametrize("num_tokens", [0, 257, 2000])
def test_a_prompt_that_cannot_be_opened_leaves_nothing_behind(make: Make, num_tokens: int) -> None:
    engine = make(num_cells=256)
    word = engine.tokenize("x")
    with pytest.raises(DecodeError):
        engine.open(word * num_tokens)
    engine.open(word * 240)
    for _ in range(engine.max_sequences - 1):
        engine.open(word)


def test_extend_answers_in_order_and_gives_what_was_asked_for(engine: Engine) -> None:
    first, second, third = (opened(engine) for _ in range(3))
    tokens = engine.tokenize("a few more words")
    jobs = [
        ExtendJob(seq_id=third, tokens=tokens, log_probs=True),
        ExtendJob(seq_id=first, tokens=tokens),
        ExtendJob(seq_id=second, suffix=tokens, candidates=[engine.tokenize("the"), tokens[:1]]),
    ]
    results = engine.extend(jobs)
    assert [result.seq_id for result in results] == [third, first, second]
    assert results[0].log_probs is not None
    assert len(results[0].log_probs) == len(tokens)
    assert all(value < 0 for value in results[0].log_probs)
    assert results[0].probe is results[1].log_probs is results[1].probe is None
    assert results[2].log_probs is None
    assert results[2].probe is not None
    assert len(results[2].probe) == 2
    before = len(engine.tokenize(PROMPT))
    lengths = [engine.num_tokens(seq_id) - before for seq_id in (third, first, second)]
    assert lengths == [len(tokens), len(tokens), 0]


def test_extending_by_nothing_changes_nothing(engine: Engine) -> None:
    seq_id = opened(engine)
    (result,) = engine.extend([ExtendJob(seq_id=seq_id, log_probs=True)])
    assert (result.log_probs, result.probe, result.no_room) == ((), None, None)
    assert engine.tokens(seq_id) == engine.tokenize(PROMPT)


def test_probabilities_of_a_candidates_ids_add_up(engine: Engine) -> None:
    yes, no = engine.tokenize("Yes"), engine.tokenize("No")
    seq_id = opened(engine)
    job = ExtendJob(
        seq_id=seq_id, suffix=engine.tokenize("?"), candidates=[yes, no, [*yes, *no], []]
    )
    (result,) = engine.extend([job])
    assert result.probe is not None
    first, second, both, none = result.probe
    assert math.exp(both) == pytest.approx(math.exp(first) + math.exp(second))
    assert none == -math.inf


def test_a_probe_leaves_no_trace(make: Make) -> None:
    plain, probed = make(), make()
    expected = write(plain, opened(plain), 60)
    seq_id = opened(probed)
    suffix = probed.tokenize("Is that right? Reply Yes or No.")
    job = ExtendJob(seq_id=seq_id, suffix=suffix, candidates=[probed.tokenize("Yes")])
    before = probed.usage()
    first, again = (probed.extend([job])[0].probe for _ in range(2))
    assert probed.tokens(seq_id) == probed.tokenize(PROMPT)
    assert first == pytest.approx(again, abs=1e-4)
    assert probed.usage().prefill_tokens >= before.prefill_tokens + 2 * len(suffix)
    assert probed.usage().decode_tokens == 0
    assert write(probed, seq_id, 60) == expected


def test_what_does_not_fit_is_refused_and_the_rest_goes_on(make: Make) -> None:
    engine = make(num_cells=256)
    word = engine.tokenize("x")
    first = engine.open(word * 100)
    second = engine.open(word * 100)
    jobs = [
        ExtendJob(seq_id=first, tokens=word * 200, log_probs=True),
        ExtendJob(seq_id=second, tokens=word * 20),
    ]
    refused, granted = engine.extend(jobs)
    assert (refused.no_room, refused.log_probs) == ("context_full", None)
    assert granted.no_room is None
    jobs = [ExtendJob(seq_id=s, tokens=word * 30) for s in (first, second)]
    granted, refused = engine.extend(jobs)
    assert (granted.no_room, refused.no_room) == (None, "kv_cache_full")
    assert (engine.num_tokens(first), engine.num_tokens(second)) == (130, 120)
    engine.release(first)
    (granted,) = engine.extend([ExtendJob(seq_id=second, tokens=word * 130)])
    assert granted.no_room is None
    probe = ExtendJob(seq_id=second, tokens=word * 3, suffix=word * 10, candidates=[word])
    (refused,) = engine.extend([probe])
    assert (refused.no_room, refused.probe) == ("context_full", None)
    assert engine.num_tokens(second) == 250


@pytest.mark.parametrize(
    ("prompt", "max_tokens", "end", "expected_text"),
    [
        (BEFORE_BLANK, 50, "blank_line", ".\n\n"),
        (BEFORE_END, 50, "end_of_generation", ""),
        (PROMPT, 7, "token_limit", None),
        (BEFORE_BLANK, 1, "token_limit", "."),
    ],
)
def test_a_step_ends_for_its_reason(
    engine: Engine, prompt: str, max_tokens: int, end: str, expected_text: str | None
) -> None:
    seq_id = opened(engine, prompt)
    deltas = list(decode_steps(engine, [StepJob(seq_id, max_tokens, GREEDY)]))
    text = "".join(delta.text for delta in deltas)
    assert [delta.end for delta in deltas] == [None] * (len(deltas) - 1) + [end]
    assert expected_text in (None, text)
    num_tokens = sum(delta.num_tokens for delta in deltas)
    assert num_tokens <= max_tokens
    assert engine.usage().decode_tokens == num_tokens
    expected = engine.tokenize(prompt) + engine.tokenize(text)
    assert engine.tokens(seq_id) == expected, "the end of generation is no part of a sequence"


def test_one_round_is_one_token_for_each_and_any_may_join_or_leave(make: Make) -> None:
    alone = {}
    for prompt in (PROMPT, "another one", BEFORE_BLANK):
        single = make()
        alone[prompt] = write_together(single, [opened(single, prompt)], 30)[0]
    engine = make()
    by_id = {opened(engine, prompt): prompt for prompt in alone}
    first, late, short = by_id
    texts = dict.fromkeys(by_id, "")
    engine.start_steps([StepJob(first, 30, GREEDY), StepJob(short, 30, GREEDY)])
    running = {first, short}
    for number in range(100):
        if number == 5:
            engine.start_steps([StepJob(late, 30, GREEDY)])
            running.add(late)
        deltas = engine.decode_round()
        assert sorted(delta.seq_id for delta in deltas) == sorted(running)
        for delta in deltas:
            texts[delta.seq_id] += delta.text
            running -= {delta.seq_id} if delta.end else set()
    assert {by_id[seq_id]: text for seq_id, text in texts.items()} == alone
    assert engine.decode_round() == []


def test_a_consumer_that_stops_early_leaves_no_step_running(engine: Engine) -> None:
    seq_ids = [opened(engine), opened(engine, BEFORE_BLANK)]
    decoding = decode_steps(engine, [StepJob(seq_id, 20, GREEDY) for seq_id in seq_ids])
    for _ in range(5):
        next(decoding)
    decoding.close()  # type: ignore[attr-defined]
    assert engine.decode_round() == []
    assert write(engine, seq_ids[0], 5)[0]


@pytest.mark.parametrize("length", [-1, 0, 1, 5, 1000])
def test_truncation_keeps_a_token_and_invents_none(engine: Engine, length: int) -> None:
    tokens = engine.tokenize(PROMPT)
    seq_id = engine.open(tokens)
    engine.truncate(seq_id, length)
    assert engine.tokens(seq_id) == tokens[: max(1, length)]


def test_a_full_cache_ends_steps_one_by_one(make: Make) -> None:
    engine = make(num_cells=256)
    word = engine.tokenize("x")
    first = engine.open(word * 200)
    others = [engine.fork(first) for _ in range(3)]
    ends: dict[int, str] = {}
    longest = dict.fromkeys([first, *others], 0)
    while len(ends) < len(longest):
        unfinished = [seq_id for seq_id in longest if seq_id not in ends]
        for delta in decode_steps(
            engine, [StepJob(s, 500, Sampling(2.0, 1.0, s)) for s in unfinished]
        ):
            longest[delta.seq_id] += len(delta.text)
            if delta.end in ("kv_cache_full", "context_full"):
                ends[delta.seq_id] = delta.end
    assert set(ends.values()) == {"kv_cache_full"}
    assert all(longest.values()), "each wrote something before its end"
    if isinstance(engine, NativeEngine):
        assert engine.used_cells == 256, "every cell is used before a path is ended"
    for seq_id in others:
        engine.release(seq_id)
    (granted,) = engine.extend([ExtendJob(seq_id=first, tokens=word * 20)])
    assert granted.no_room is None, "the room of the others is free again"


def test_clear_forgets_sequences_and_usage(engine: Engine) -> None:
    first = opened(engine)
    engine.fork(first)
    write(engine, first, 5)
    engine.start_steps([StepJob(first, 5, GREEDY)])
    assert engine.usage().decode_tokens >= 5
    engine.clear()
    usage = engine.usage()
    assert (usage.prefill_tokens, usage.decode_tokens) == (0, 0)
    assert usage.num_parameters == engine.info.num_parameters
    assert engine.decode_round() == []
    assert opened(engine) == first


def test_a_shared_prompt_is_prefilled_once(engine: Engine) -> None:
    advice = engine.tokenize(" Think of hens and cows.")
    first = opened(engine)
    paths = [first, *(engine.fork(first) for _ in range(4))]
    engine.extend([ExtendJob(seq_id=path, tokens=advice) for path in paths])
    bound = len(engine.tokenize(PROMPT)) + len(paths) * len(advice)
    assert bound - 1 <= engine.usage().prefill_tokens <= bound
    write_together(engine, paths, 3)
    assert engine.usage().prefill_tokens <= bound


@pytest.mark.parametrize(
    "call",
    [
        lambda engine: engine.open(engine.tokenize(PROMPT)),
        lambda engine: engine.extend([ExtendJob(seq_id=0, tokens=engine.tokens(0))]),
        lambda engine: engine.decode_round(),
    ],
    ids=["open", "extend", "decode_round"],
)
def test_cancel_leaves_sequences_as_they_were(make: Make, call: Callable[[Engine], object]) -> None:
    stop = False
    engine = make(should_stop=lambda: stop)
    seq_id = opened(engine)
    engine.start_steps([StepJob(seq_id, 50, GREEDY)])
    engine.decode_round()
    tokens, stop = engine.tokens(seq_id), True
    with pytest.raises(Cancelled):
        call(engine)
    assert engine.tokens(seq_id) == tokens
    stop = False
    others = [engine.fork(seq_id) for _ in range(engine.max_sequences - 1)]
    assert len(set(others)) == engine.max_sequences - 1, "an id was lost"
    assert engine.decode_round()[0].num_tokens == 1, "the running step goes on"


def test_the_cache_changes_size_only_while_nothing_is_open(engine: Engine) -> None:
    opened(engine)
    with pytest.raises(DecodeError):
        engine.reserve(4096)
    engine.clear()
    engine.reserve(100)
    assert opened(engine) == 0


def test_a_saved_sequence_is_restored_without_prefill(make: Make) -> None:
    one, other = make(), make()
    tokens, tail = one.tokenize(PROMPT), one.tokenize(BEFORE_BLANK)
    job = {"suffix": tail, "candidates": [one.tokenize("Yes"), one.tokenize("No")]}
    seq_id = one.open(tokens)
    state = one.save(seq_id)
    probe = one.extend([ExtendJob(seq_id=seq_id, **job)])[0].probe
    expected = pytest.approx(probe, rel=1e-4)  # other cells, other last bits
    for engine in (one, other):
        engine.clear()
        beside = engine.open(tail)
        before = engine.usage().prefill_tokens
        restored = engine.restore(tokens, state)
        assert restored is not None
        assert engine.usage().prefill_tokens == before
        assert engine.tokens(restored) == tokens
        assert engine.extend([ExtendJob(seq_id=restored, **job)])[0].probe == expected
        assert write(engine, restored, 5) == write(engine, engine.open(tokens), 5)
        engine.release(restored)
        assert engine.tokens(beside) == tail


def test_a_state_of_other_tokens_or_without_room_is_not_accepted(make: Make) -> None:
    engine, small = make(), make(num_cells=256)
    tokens = engine.tokenize(PROMPT * 20)[:400]
    state = engine.save(engine.open(tokens))
    used = engine.usage()
    assert engine.restore(tokens[:-3], state) is None
    assert engine.restore(tokens, b"") is None
    assert small.restore(tokens, state) is None
    assert engine.usage() == used
    assert small.open(tokens[:20]) == 0, "an id was left taken"
