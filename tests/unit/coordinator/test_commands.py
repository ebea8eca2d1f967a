from __future__ import annotations

from collections.abc import Callable

import pytest

from ssr_local.core.commands import (
    AddPath,
    AnyCommand,
    Cancel,
    DropPath,
    OverrideVerdict,
    Pause,
    Resume,
)
from ssr_local.core.events import (
    AnyEvent,
    Notice,
    PathEnded,
    PathOpened,
    RunPaused,
    RunResumed,
    StepDrafted,
    StepRewritten,
    StepVerified,
)
from ssr_local.core.records import PathKind
from ssr_local.method.prompts import CONCLUSION
from tests.unit.coordinator.scripted import Desk, Paths, Ticks, Turn, make_run, steered

LONG = [*(Turn(f"Line {number} of many.\n\n") for number in range(5)), Turn("\\boxed{7}")]
Matches = Callable[[AnyEvent], bool]


def once(matches: Matches, *commands: AnyCommand) -> Callable[[AnyEvent, Desk], None]:
    """Puts commands down at the first event that matches."""
    done = False

    def react(event: AnyEvent, desk: Desk) -> None:
        nonlocal done
        if not done and matches(event):
            done = True
            for command in commands:
                desk.put(command)

    return react


def first_verdict(event: AnyEvent) -> bool:
    return isinstance(event, StepVerified)


def notices(events: list[AnyEvent]) -> str:
    return " ".join(event.message for event in events if isinstance(event, Notice))


@pytest.mark.parametrize(("now", "paused"), [(Cancel(), []), (Pause(), [Cancel()])])
def test_cancel(now: AnyCommand, paused: list[AnyCommand]) -> None:
    run = make_run(Paths(LONG))
    events = list(steered(run, once(first_verdict, now), paused))
    assert run.status == "cancelled"
    assert not any(isinstance(event, RunResumed) for event in events)
    assert [e.reason for e in events if isinstance(e, PathEnded)] == ["cancelled"] * 3


def test_a_pause_does_not_use_up_the_time_limit() -> None:
    clock = Ticks(step_s=0.001)
    run = make_run(Paths(LONG), clock=clock, time_limit=500)

    pause = once(first_verdict, Pause())

    def react(event: AnyEvent, desk: Desk) -> None:
        pause(event, desk)
        if isinstance(event, RunPaused):
            clock.now += 1000

    events = list(steered(run, react, [Pause(), Resume()]))
    assert sum(isinstance(e, RunPaused | RunResumed) for e in events) == 2
    assert {e.reason for e in events if isinstance(e, PathEnded)} == {"answered"}
    assert run.timing.paused == pytest.approx(1000, abs=1)
    assert run.timing.total > run.timing.paused


def test_commands_given_with_a_pause_are_obeyed_during_it() -> None:
    run = make_run(Paths(LONG))
    react = once(first_verdict, Pause(), DropPath(1), Resume(), DropPath(2))
    events = list(steered(run, react))
    told = [e for e in events if isinstance(e, RunPaused | RunResumed)] + [
        e for e in events if isinstance(e, PathEnded) and e.reason == "dropped"
    ]
    assert sorted(told, key=events.index) == [told[0], told[2], told[1], told[3]]
    assert run.groups[0].paths == (0,)


def test_drop_path() -> None:
    run = make_run(Paths(LONG))
    events = list(steered(run, once(first_verdict, DropPath(1), DropPath(1), DropPath(99))))
    assert [e.path for e in events if isinstance(e, PathEnded) and e.reason == "dropped"] == [1]
    assert run.groups[0].paths == (0, 2)


@pytest.mark.parametrize("letter", ["D", "M", "A"])
def test_add_path(letter: str) -> None:
    run = make_run(Paths(LONG, D=[Turn("My own.\n\n"), Turn("\\boxed{7}")]))
    events = list(steered(run, once(first_verdict, AddPath(letter))))
    opened = [event for event in events if isinstance(event, PathOpened)]
    assert [event.strategy.letter for event in opened] == ["A", "B", "C", letter]
    assert opened[-1].path == 3
    assert run.groups[0].paths == (0, 1, 2, 3)
    assert (run.paths[3].text == "My own.\n\n\\boxed{7}") is (letter == "D")


def test_a_path_takes_the_last_sequence() -> None:
    run = make_run(Paths(LONG), paths=11)
    list(steered(run, once(lambda event: isinstance(event, StepDrafted), AddPath("M"))))
    assert len(run.paths) == 12


@pytest.mark.parametrize(
    ("letter", "method", "paths", "reason"),
    [
        ("Z", "ssr", 3, "no strategy has that letter"),
        ("A", "ssr", 12, "no room"),
    ],
)
def test_a_path_that_cannot_be_added(letter: str, method: str, paths: int, reason: str) -> None:
    run = make_run(Paths(LONG), method=method, paths=paths)
    react = once(lambda event: isinstance(event, StepDrafted), AddPath(letter))
    events = list(steered(run, react))
    assert len(run.paths) == paths
    assert reason in notices(events)
    assert run.groups[0].answer == "7"


def test_a_path_on_a_strategy_beside_a_plan_that_selects_none() -> None:
    run = make_run(Paths(LONG), plan="prose:draft + greedy prose:target")
    react = once(lambda event: isinstance(event, StepDrafted), AddPath("B"))
    list(steered(run, react))
    added = run.paths[2].record()
    assert (added.strategy, added.kind) == ("B", PathKind("target"))
    assert run.groups[0].paths == (0, 1, 2)


REWRITTEN = Turn("Draft says no.\n\n", 0.2, "Target says so.\n\n")


@pytest.mark.parametrize("when", ["verdict", "mid-rewrite", "rewritten", "next step", "drafted"])
@pytest.mark.parametrize("other_vocabulary", [False, True])
def test_a_rejected_step_is_kept_after_all(when: str, other_vocabulary: bool) -> None:
    seen = 0

    def moment(event: AnyEvent) -> bool:
        nonlocal seen
        if when == "verdict":
            return isinstance(event, StepVerified)
        if when == "rewritten":
            return isinstance(event, StepRewritten)
        if when == "drafted":
            return isinstance(event, StepDrafted) and event.step == 1
        wanted = "target" if when == "mid-rewrite" else "draft"
        seen += getattr(event, "author", "") == wanted and getattr(event, "step", 0) == (
            wanted == "draft"
        )
        return seen == 3

    script = Paths([REWRITTEN, *LONG])
    target = {"vocabulary_name": "other"} if other_vocabulary else {}
    run = make_run(script, method="specreason", target=target)
    events = list(steered(run, once(moment, OverrideVerdict(0, accept=True))))
    overridden = [event for event in events if isinstance(event, StepVerified) and event.overridden]
    (path,) = run.paths
    if overridden:  # past the next verdict, another step is the last one
        assert overridden[0].verdict.reason == "changed by the user"
        assert path.steps[0].text == REWRITTEN.draft
        assert (path.steps[0].author, path.steps[0].accepted) == ("draft", True)
        assert (run.num_rewrites, run.num_accepted) == (0, run.num_drafted)
        assert script.probed[-1][1].startswith(REWRITTEN.draft)
        assert path.num_tokens == sum(step.num_tokens for step in path.steps)
    assert overridden or when == "drafted"
    assert run.groups[0].answer == "7"


@pytest.mark.parametrize("delay", [0, 1, 4, 8, 12])
@pytest.mark.parametrize("paths", [1, 2])
def test_a_kept_step_is_rejected_after_all(delay: int, paths: int) -> None:
    script = Paths(LONG, A=[Turn("Draft says so.\n\n", 0.9, "Target says else.\n\n"), *LONG])
    run = make_run(script, paths=paths)
    waited = -1

    def moment(event: AnyEvent) -> bool:
        nonlocal waited
        if waited >= 0 or isinstance(event, StepVerified):
            waited += 1
        return waited == delay

    events = list(steered(run, once(moment, OverrideVerdict(0, accept=False))))
    (overridden,) = [e for e in events if isinstance(e, StepVerified) and e.overridden]
    path = run.paths[0]
    changed = path.steps[overridden.step]
    assert (changed.author, changed.accepted) == ("target", False)
    assert isinstance(changed.draft_text, str)
    assert run.num_rewrites == 1
    steps = [step for one in run.paths for step in one.steps]
    assert run.num_accepted == sum(step.accepted is True for step in steps)
    assert path.num_tokens == sum(step.num_tokens for step in path.steps)
    assert run.groups[0].answer == "7"


def test_a_step_that_is_rejected_after_all_is_rewritten_though_the_budget_was_used_up() -> None:
    turns = [Turn("One.\n\n"), Turn("Two.\n\n", 0.9, "Right.\n\n"), *LONG]
    run = make_run(Paths(turns), method="specreason", max_steps=2)
    second = lambda event: isinstance(event, StepVerified) and event.step == 1  # noqa: E731
    list(steered(run, once(second, OverrideVerdict(0, accept=False))))
    assert run.paths[0].steps[1].text == "Right.\n\n"
    assert run.paths[0].steps[2].text.startswith(CONCLUSION)


def test_a_verdict_can_be_changed_back() -> None:
    run = make_run(Paths([REWRITTEN, *LONG]), method="specreason")
    react = once(first_verdict, OverrideVerdict(0, accept=True), OverrideVerdict(0, accept=False))
    list(steered(run, react))
    assert run.paths[0].steps[0].text == REWRITTEN.target
    assert (run.num_rewrites, run.num_accepted) == (1, run.num_drafted - 1)


@pytest.mark.parametrize(
    ("seen", "command"),
    [
        (StepVerified, OverrideVerdict(0, accept=True)),
        (StepVerified, OverrideVerdict(9, accept=False)),
        (PathOpened, OverrideVerdict(0, accept=False)),
    ],
)
def test_a_verdict_that_is_not_there_to_change(
    seen: type[object], command: OverrideVerdict
) -> None:
    run = make_run(Paths(LONG))
    events = list(steered(run, once(lambda event: isinstance(event, seen), command)))
    assert "no such verdict" in notices(events)
    assert run.groups[0].paths == (0, 1, 2)
