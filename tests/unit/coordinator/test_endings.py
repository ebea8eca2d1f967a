from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ssr_local.core.errors import ProblemError
from ssr_local.core.events import AnyEvent, PathEnded, StepDelta, StepDrafted
from ssr_local.core.records import ModelRole
from ssr_local.method.pools import UNKNOWN
from ssr_local.method.prompts import CONCLUSION
from tests.unit.coordinator.scripted import (
    Paths,
    Ticks,
    Turn,
    digit_of,
    engine_of,
    make_run,
    nothing_left,
    played,
    solve,
)

LONG = [Turn(f"Line {number} of many.\n\n") for number in range(40)]


def ends(events: list[AnyEvent]) -> list[str]:
    return [event.reason for event in events if isinstance(event, PathEnded)]


@pytest.mark.parametrize(
    ("reason", "turns", "options", "engine"),
    [
        ("answered", [Turn("\\boxed{1}\n\n"), Turn("More.")], {}, {}),
        ("answered", [Turn("Cut \\boxed{1} here and on.")], {"max_step_tokens": 8}, {}),
        ("end_of_generation", [Turn("Hm.\n\n")], {}, {}),
        ("end_of_generation", [Turn("No step end")], {}, {}),
        ("empty_step", [Turn("Hm.\n\n"), Turn(" " + "\n" * 9)], {"max_step_tokens": 6}, {}),
        ("repetition", [Turn("Hm.\n\n"), Turn("Hm.\n \n"), Turn("x")], {}, {}),
        ("token_budget", LONG, {"max_tokens": 30}, {}),
        ("step_budget", LONG, {"max_steps": 3}, {}),
        ("context_full", LONG, {"paths": 1}, {"num_cells": 280}),
        ("kv_cache_full", LONG, {"paths": 3}, {"num_cells": 330}),
    ],
)
@pytest.mark.parametrize("method", ["draft", "target", "specreason", "ssr"])
def test_why_a_path_ends(
    method: str,
    reason: str,
    turns: list[Turn],
    options: dict[str, Any],
    engine: dict[str, Any],
) -> None:
    if method in ("draft", "target", "specreason"):
        engine = {"num_cells": 120} if engine else {}
        reason = "context_full" if reason == "kv_cache_full" else reason
    run = make_run(Paths(turns), method=method, engine=engine, **options)
    reasons = set(ends(played(run)))
    # The last path on a full cache has it to itself, and then only its own length limits it.
    assert reasons - ({"context_full"} if reason == "kv_cache_full" else set()) == {reason}
    for path in run.paths:
        assert path.answer == ("1" if reason == "answered" else None)
        assert path.num_tokens <= run.options.budget


def test_no_room_for_a_paths_prompt() -> None:
    run = make_run(Paths(LONG), paths=5, engine={"num_cells": 240})
    events = played(run)
    assert "kv_cache_full" in ends(events)
    assert len(ends(events)) == 5


@pytest.mark.parametrize("max_step_tokens", [20, 256])
def test_a_rewrite_the_draft_has_no_room_for_ends_the_path(max_step_tokens: int) -> None:
    """Whatever ended the rewrite: a draft that lacks it must not write on."""
    script = Paths([Turn("No.\n\n", 0.1, "much longer " * 30 + "\n\n"), *LONG])
    prompt = (
        make_run(script, method="specreason")
        .prompters["draft"]
        .paths("How many?", [(UNKNOWN, "prose")])
    )
    run = make_run(
        script,
        method="specreason",
        engine={"num_cells": len(prompt[0]) + 10},
        target={"num_cells": 4000},
        max_step_tokens=max_step_tokens,
    )
    played(run)
    (path,) = run.paths
    assert path.end_reason == "context_full"
    assert [step.author for step in path.steps] == ["target"]
    assert run.num_drafted == 1


def test_a_step_the_target_has_no_room_for_stays_unverified() -> None:
    for num_cells in range(90, 200):
        run = make_run(Paths(LONG), method="specreason", target={"num_cells": num_cells})
        try:
            events = played(run)
        except ProblemError:
            continue
        drafted = sum(isinstance(event, StepDrafted) for event in events)
        assert run.num_drafted == drafted - 1 == run.num_accepted
        assert run.paths[0].steps[-1].accepted is None
        assert run.paths[0].end_reason == "context_full"
        return
    pytest.fail("no size of the cache did it")


def test_a_path_cut_off_has_no_vote_though_its_text_has_an_answer() -> None:
    """Only what came to its own end votes; "the answer is" counts at an end alone."""
    turns = [Turn("The answer is 5.\n\n"), *LONG]
    run = make_run(Paths(turns), max_steps=3)
    played(run)
    assert (run.status, run.groups) == ("no_answer", ())
    whole = make_run(Paths(turns[:1]))
    played(whole)
    assert whole.groups[0].answer == "5"


THOUGHT = [Turn("<think>\nMaybe \\boxed{1}.\n\n"), Turn("</think>\n\n")]


@pytest.mark.parametrize(("last", "answer"), [([Turn("So \\boxed{2}.")], "2"), ([], "1")])
def test_a_box_among_the_thoughts_counts_only_when_no_other_follows(
    last: list[Turn], answer: str
) -> None:
    run = make_run(Paths([*THOUGHT, *last]))
    played(run)
    assert {path.answer for path in run.paths} == {answer}


@pytest.mark.parametrize("mode", ["full", "fast1", "fast2"])
def test_early_exits(mode: str) -> None:
    script = Paths(
        A=[Turn("\\boxed{1}")],
        B=[*LONG[:2], Turn("\\boxed{2}")],
        C=[*LONG[:4], Turn("\\boxed{1}")],
        D=[*LONG[:8], Turn("\\boxed{3}")],
    )
    run = make_run(script, mode=mode, paths=4)
    played(run)
    reasons = [path.end_reason for path in run.paths]
    answered = {"full": 4, "fast1": 1, "fast2": 3}[mode]
    assert reasons == ["answered"] * answered + ["early_exit"] * (4 - answered)
    assert run.groups[0].answer == "1"
    assert len(run.groups[0].paths) == (1 if mode == "fast1" else 2)


@pytest.mark.parametrize("limit", [0.0, 3.0])
def test_the_time_limit(limit: float) -> None:
    clock = Ticks(step_s=0.05)
    run = make_run(Paths(LONG), clock=clock, time_limit=limit)
    events = played(run)
    assert set(ends(events)) == ({"time_limit"} if limit else {"end_of_generation"})
    assert run.status == "no_answer"
    written = "".join(e.text for e in events if isinstance(e, StepDelta) and e.path == 0)
    assert run.paths[0].text == written, "unfinished text is kept"
    assert run.paths[0].steps[-1].accepted is (None if limit else True)


@pytest.mark.parametrize("after", [0, 1, 2, 5, 20, 100, 150])
def test_engines_that_are_told_to_stop(after: int) -> None:
    looks = 0

    def should_stop() -> bool:
        nonlocal looks
        looks += 1
        return looks > after

    run = make_run(Paths(LONG), engine={"should_stop": should_stop})
    events = played(run)
    assert run.status == "cancelled"
    assert set(ends(events)) <= {"cancelled"}
    assert all(path.end_reason == "cancelled" for path in run.paths)


def test_what_was_answered_before_a_cancel_stays() -> None:
    stop = False
    script = Paths(LONG, A=[Turn("\\boxed{1}")])
    run = make_run(script, engine={"should_stop": lambda: stop})
    for event in solve(run):
        stop = stop or isinstance(event, PathEnded)
    assert run.status == "cancelled"
    assert run.groups[0].answer == "1"


@pytest.mark.parametrize("stop_after", [0, 1, 3, 10, 40, 90])
def test_a_consumer_that_stops_early_leaves_nothing_behind(stop_after: int) -> None:
    run = make_run(Paths([Turn("No.\n\n", 0.1, "Yes then.\n\n"), *LONG]))
    stream = solve(run)
    for _, _ in zip(range(stop_after), stream, strict=False):
        pass
    stream.close()  # type: ignore[attr-defined]
    assert nothing_left(run)


def test_every_path_ends_once_and_its_sequences_are_free_at_once() -> None:
    run = make_run(Paths(LONG, A=[Turn("\\boxed{1}")]), paths=3)
    for event in solve(run):
        if isinstance(event, PathEnded) and event.path == 0:
            assert run.paths[0].sequences == {}
            assert len(engine_of(run, "draft")._cache.seq_ids) == 3


def test_a_target_that_has_nothing_to_rewrite_ends_the_path() -> None:
    class Silent(Paths):
        def continuation(self, role: Any, text: str) -> str:
            return "" if role == "target" else super().continuation(role, text)

    run = make_run(Silent([Turn("No.\n\n", 0.1)]), method="specreason")
    assert ends(played(run)) == ["end_of_generation"]
    assert (run.num_drafted, run.num_accepted, run.num_rewrites) == (1, 0, 0)
    assert run.paths[0].steps == []


class Concluding(Paths):
    """Paths that come to no end, and say what they are asked for in the end."""

    def __init__(self, turns: Sequence[Turn], said: str, yes: float = 0.9) -> None:
        super().__init__(turns)
        self.said, self.yes = said, yes

    def continuation(self, role: ModelRole, text: str) -> str:
        _, concludes, written = text.rpartition(CONCLUSION)
        if not concludes:
            return super().continuation(role, text)
        said = self.said if role == "draft" else self.said.replace("5", "7")
        return said.removeprefix(written) if said.startswith(written) else ""

    def probe(self, text: str) -> Mapping[str, float]:
        return digit_of(self.yes) if CONCLUSION in text else super().probe(text)


@pytest.mark.parametrize(
    ("why", "turns", "options"),
    [
        ("token_budget", LONG, {"max_tokens": 60}),
        ("token_budget", LONG, {"max_tokens": 200, "max_step_tokens": 50}),
        ("step_budget", LONG, {"max_steps": 3}),
        ("repetition", [Turn("Hm.\n\n"), Turn("Hm.\n\n"), Turn("Hm.\n\n")], {}),
    ],
)
@pytest.mark.parametrize(
    ("method", "yes", "answer"), [("target", 0.9, "7"), ("ssr", 0.9, "5"), ("ssr", 0.1, "7")]
)
def test_a_path_at_its_budgets_end_is_told_to_conclude(
    method: str, yes: float, answer: str, why: str, turns: list[Turn], options: dict[str, Any]
) -> None:
    run = make_run(Concluding(turns, "5}, as shown.", yes), method=method, **options)
    events = played(run)
    assert set(ends(events)) == {"concluded"}
    for path in run.paths:
        assert path.answer == answer
        assert f"\n\n{CONCLUSION}{answer}}}" in path.text
        assert path.num_tokens <= run.options.budget
    assert run.groups[0].answer == answer

    silent = make_run(Concluding(turns, "", yes), method=method, **options)
    assert set(ends(played(silent))) == {why}
    assert not silent.groups


def test_a_thought_is_closed_before_the_conclusion() -> None:
    thoughts = [Turn("<think>\n\n"), *LONG]
    run = make_run(Concluding(thoughts, "7}"), method="target", max_tokens=80)
    played(run)
    assert f"\n</think>\n\n{CONCLUSION}7}}" in run.paths[0].text
    assert run.paths[0].answer == "7"
