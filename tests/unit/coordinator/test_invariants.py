"""What holds in every event log, whatever the models say and whoever interferes."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ssr_local.core.commands import AddPath, AnyCommand, Cancel, DropPath, OverrideVerdict, Pause
from ssr_local.core.events import (
    AnyEvent,
    PathEnded,
    PathOpened,
    RunEnded,
    StepDelta,
    StepDrafted,
    StepRewritten,
    StepVerified,
    VotesCounted,
    decode_event,
    encode_event,
)
from ssr_local.core.records import ModelRole
from ssr_local.engine.fake import Script
from ssr_local.method.steps import split_steps
from tests.unit.coordinator.scripted import (
    ASSISTANT,
    QUESTION,
    Desk,
    digit_of,
    letter_of,
    make_run,
    nothing_left,
    steered,
)

STEPS = ["one two.\n\n", "three\n\n", " \n\n", "", "a b c d e f g h\n\n", "\\boxed{1}\n\n", "end"]
_COMMANDS: list[AnyCommand] = [
    AddPath("D"),
    AddPath("M"),
    DropPath(0),
    DropPath(1),
    Pause(),
    Cancel(),
    *(OverrideVerdict(path, accept) for path in (0, 1) for accept in (True, False)),
]


class Chance(Script):
    """Steps and scores drawn from a hash of all that stands before; strategies sign theirs.

    The same text always goes on the same way, as a greedy model's would.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.mixed: list[str] = []

    def _draw(self, *what: object) -> int:
        return int.from_bytes(hashlib.sha256(repr((self.seed, what)).encode()).digest()[:4], "big")

    def _check_signature(self, letter: str, written: str) -> None:
        if {word[4] for word in written.split() if word.startswith("sign")} - {letter}:
            self.mixed.append(written)

    def continuation(self, role: ModelRole, text: str) -> str:
        prompt, _, written = text.rpartition(ASSISTANT)
        letter = letter_of(prompt)
        self._check_signature(letter, written)
        steps = split_steps(written)
        begun = "" if written.endswith("\n\n") or not steps else steps.pop()
        done = "".join(steps)
        body = STEPS[self._draw(role, letter, done) % len(STEPS)]
        step = f"sign{letter} {len(steps) % 3} {body}" if body.strip() else body
        return step[len(begun) :] if step.startswith(begun) else ""

    def probe(self, text: str) -> Mapping[str, float]:
        partial, asked, _ = text.rpartition(QUESTION)
        prompt, _, written = partial.rpartition(ASSISTANT)
        if not asked or not prompt:
            return {"A": 0.3, "B": 0.2, "C": 0.1}
        self._check_signature(letter_of(prompt), written)
        drawn = self._draw("probe", written) % 10
        return digit_of(math.nan if drawn == 0 else drawn / 10)


_OPTIONS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["ssr", "ssr", "specreason", "draft", "target", "parallel-spm"]),
        "paths": st.integers(1, 4),
        "mode": st.sampled_from(["full", "fast1", "fast2"]),
        "max_tokens": st.sampled_from([5, 40, 200]),
        "max_steps": st.sampled_from([2, 6]),
        "max_step_tokens": st.sampled_from([3, 50]),
        "threshold": st.sampled_from([0.0, 5.0, 9.0]),
    }
)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 10**6),
    _OPTIONS,
    st.sampled_from([4000, 450, 330]),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from(_COMMANDS)), max_size=3),
)
def test_every_log(
    seed: int,
    options: dict[str, Any],
    num_cells: int,
    other_vocabulary: bool,
    commands: list[tuple[int, AnyCommand]],
) -> None:
    script = Chance(seed)
    target = {"vocabulary_name": "other"} if other_vocabulary else {}
    run = make_run(script, engine={"num_cells": num_cells}, target=target, **options)
    count = 0

    def react(_: AnyEvent, desk: Desk) -> None:
        nonlocal count
        for when, command in commands:
            if when == count:
                desk.put(command)
        count += 1

    events = list(steered(run, react))
    assert script.mixed == []
    assert nothing_left(run)
    assert all(decode_event(encode_event(event)) == event for event in events)
    _check_paths(events)
    overridden = any(isinstance(e, StepVerified) and e.overridden for e in events)
    if not overridden:
        _check_steps(events, verified=run.plan.is_verified)
        _check_counts(run, events)
    _check_votes(run, events)
    for path in run.paths:
        settled = [
            step for step in path.steps if run.plan.is_verified and step.accepted is not None
        ]
        assert path.num_tokens <= run.options.budget
        assert all(step.text.strip() for step in path.steps)
        assert all((step.author == "target") is (not step.accepted) for step in settled)


def _check_paths(events: list[AnyEvent]) -> None:
    opened = [event.path for event in events if isinstance(event, PathOpened)]
    ended = [event.path for event in events if isinstance(event, PathEnded)]
    assert opened == list(range(len(opened)))
    assert sorted(ended) == opened
    over: set[int] = set()
    for event in events:
        path = getattr(event, "path", None)
        assert path is None or path not in over
        if isinstance(event, PathEnded):
            over.add(event.path)
    times = [event.at_s for event in events]
    assert times == sorted(times)
    assert isinstance(events[-2], VotesCounted)
    assert isinstance(events[-1], RunEnded)


def _check_steps(events: list[AnyEvent], *, verified: bool) -> None:
    ends = {event.path: event.reason for event in events if isinstance(event, PathEnded)}
    for path in ends:
        mine = [event for event in events if getattr(event, "path", None) == path]
        drafted = [e.step for e in mine if isinstance(e, StepDrafted)]
        judged = {e.step: e.verdict for e in mine if isinstance(e, StepVerified)}
        rewritten = [e.step for e in mine if isinstance(e, StepRewritten)]
        assert drafted == list(range(len(drafted)))
        assert len(judged) == sum(isinstance(e, StepVerified) for e in mine)
        if verified:
            # Only the last can be left without a verdict, on a path that was cut off.
            assert list(judged) == drafted[: len(judged)]
            assert len(judged) >= len(drafted) - 1
            rejected = [step for step, verdict in judged.items() if not verdict.accepted]
            assert rewritten == rejected[: len(rewritten)]
            assert len(rewritten) >= len(rejected) - 1
            assert len(rewritten) == len(rejected) or rejected[-1] == drafted[-1]
        else:
            assert not judged
            assert not rewritten
        for event in mine:
            if isinstance(event, StepDrafted | StepRewritten):
                author = event.author if isinstance(event, StepDrafted) else "target"
                deltas = [e for e in mine if isinstance(e, StepDelta) and e.author == author]
                text = "".join(e.text for e in deltas if e.step == event.step)
                # Text after the last step's end has no step of its own.
                assert text == event.text


def _check_counts(run: Any, events: list[AnyEvent]) -> None:
    verdicts = [event.verdict for event in events if isinstance(event, StepVerified)]
    assert run.num_drafted == len(verdicts)
    assert run.num_accepted == sum(verdict.accepted for verdict in verdicts)
    assert run.num_rewrites == sum(isinstance(event, StepRewritten) for event in events)
    by_path = Counter(
        step.accepted for path in run.paths for step in path.steps if run.plan.is_verified
    )
    assert by_path[True] == run.num_accepted
    assert by_path[False] == run.num_rewrites


def _check_votes(run: Any, events: list[AnyEvent]) -> None:
    voters = {index for group in run.groups for index in group.paths}
    assert voters == {path.index for path in run.paths if path.answer is not None}
    for event in events:
        if isinstance(event, PathEnded) and event.answer is not None:
            assert event.reason in ("answered", "end_of_generation")
    assert sum(group.winner for group in run.groups) == (1 if run.groups else 0)
