from __future__ import annotations

import io
import time
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.core.errors import EventLogError
from ssr_local.core.events import (
    AnyEvent,
    ModelLoaded,
    ModelLoading,
    Replied,
    RunMeasured,
    RunPaused,
    RunResumed,
    StepDelta,
    StepRead,
    decode_event,
    encode_event,
    read_events,
    write_events,
)
from ssr_local.core.records import ModelInfo, Step, StepReading, Timing, Usage
from tests.unit.test_run_report import poisoned

INFO = ModelInfo(
    name="m", file="/m.gguf", sha256=None, num_parameters=1, num_vocab=2, num_ctx=3, device="cpu"
)
STEPS = (
    Step(text="kept\n\n", author="draft", score=7.5, accepted=True, num_tokens=2),
    Step(text="own", author="target", score=9.0, accepted=False, draft_text="no", draft_score=None),
    Step(text="unverified", author="target"),
)
*RUN, END = poisoned('quotes " and \\ and \x1b, a line\nbreak\u2028, näme \U0001f600')
EVENTS: list[AnyEvent] = [
    ModelLoading(role="draft", name="m"),
    ModelLoaded(role="target", info=INFO, elapsed_s=0.5),
    *RUN,
    RunMeasured(at_s=1.0, usage=Usage(), timing_s=Timing(draft=0.5), kv_cells={"draft": 7}),
    Replied(text="It does not follow."),
    StepRead(
        step=1,
        reading=StepReading(text="t", log_probs=(-0.5,), probes={"digit/rate": (-1000.0,)}),
    ),
    RunPaused(at_s=2.0),
    RunResumed(at_s=3.0),
    END,
]


def log_of(events: list[AnyEvent]) -> bytes:
    return b"".join(encode_event(event) + b"\n" for event in events)


def read(data: bytes) -> list[AnyEvent]:
    return list(read_events(io.BytesIO(data), "run.jsonl"))


def test_the_table_has_every_event() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(AnyEvent))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_round_trip(event: AnyEvent) -> None:
    line = encode_event(event)
    assert b"\n" not in line
    assert decode_event(line) == event
    assert decode_event(line.decode()) == event
    assert msgspec.json.decode(line)["event"] == type(event).__name__


@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(0, 1e9))
def test_any_text_survives(text: str, at_s: float) -> None:
    event = StepDelta(path=0, step=0, author="target", text=text, at_s=at_s)
    assert read(log_of([event, event])) == [event, event]


def test_what_was_not_replaced_is_left_out() -> None:
    kept, rewritten, _ = msgspec.json.decode(msgspec.json.encode(STEPS))
    assert "draft_text" not in kept
    assert (rewritten["draft_text"], rewritten["draft_score"]) == ("no", None)


def test_events_are_written_before_they_are_passed_on() -> None:
    file = io.BytesIO()
    stream = write_events(iter(EVENTS), file)
    for count, _ in enumerate(stream, start=1):
        assert file.getvalue() == log_of(EVENTS[:count])


WHOLE = log_of(EVENTS)
LONG = log_of([EVENTS[0], StepDelta(path=0, step=0, author="draft", text="é" * 50)])


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (WHOLE[:-2], EVENTS[:-1]),
        (WHOLE[:-5], EVENTS[:-1]),
        (WHOLE[:-30], EVENTS[:-1]),
        (WHOLE.rstrip(b"\n"), EVENTS),
        (LONG[: LONG.rindex("é".encode()) + 1], EVENTS[:1]),
        (b"\n" + log_of(EVENTS[:2]) + b"  \n\r\n" + log_of(EVENTS[2:]), EVENTS),
    ],
    ids=["2", "5", "30", "whole without its newline", "inside a character", "blank lines"],
)
def test_a_half_written_last_line_and_blank_ones_are_left_out(
    data: bytes, events: list[AnyEvent]
) -> None:
    assert read(data) == events


GOOD = log_of(EVENTS[:1])
DAMAGED = {
    "garbage": b"garbage\n",
    "an unknown event": b'{"event": "Exploded"}\n',
    "a field missing": b'{"event": "Notice"}\n',
    "a wrong type": b'{"event": "Notice", "message": 3}\n',
    "an unknown reason": b'{"event":"PathEnded","path":0,"reason":"x","answer":null,'
    b'"mean_score":null}\n',
    "not UTF-8": b'{"event": "Notice", "message": "\xff\xfe"}\n',
    "UTF-16": '{"event": "Notice"}\n'.encode("utf-16"),
    "nested deeply": b'{"event": "Notice", "x": ' + b"[" * 200_000 + b"\n",
    "null bytes": b"\0" * 100 + b"\n",
}


@pytest.mark.parametrize("case", DAMAGED)
@pytest.mark.parametrize("before", [b"", GOOD])
def test_a_damaged_log_is_named_with_its_line(case: str, before: bytes) -> None:
    with pytest.raises(EventLogError) as caught:
        read(before + DAMAGED[case] + GOOD)
    assert f"run.jsonl, line {2 if before else 1}" in caught.value.what
    assert len(str(caught.value).splitlines()) <= 3
    assert len(str(caught.value)) < 1000


def test_events_before_the_damage_are_still_seen_and_an_empty_log_is_none() -> None:
    stream = read_events(io.BytesIO(GOOD + b"garbage\n"), "log")
    assert next(stream) == EVENTS[0]
    for damaged in (stream, read_events(io.BytesIO(b""), "log")):
        with pytest.raises(EventLogError, match="log"):
            next(damaged)


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("before", [b"", GOOD])
def test_a_line_of_20_megabytes_is_refused_in_bounded_time(before: bytes, end: bytes) -> None:
    started = time.monotonic()
    with pytest.raises(EventLogError):
        read(before + b'{"event":"Notice","message":"' + b"x" * 20_000_000 + b'"}' + end)
    assert time.monotonic() - started < 30
