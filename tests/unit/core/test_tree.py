"""The tree made from events, from whole logs, from every prefix, and from nonsense."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.core.commands import AnyCommand, Cancel, DropPath, OverrideVerdict, Pause
from ssr_local.core.display import RULE_WORDS
from ssr_local.core.events import (
    AnyEvent,
    Notice,
    PathEnded,
    PathOpened,
    StepDelta,
    StepVerified,
)
from ssr_local.core.records import Rule
from ssr_local.core.tree import Node, Tree
from tests.unit.coordinator.scripted import Desk, Paths, Turn, make_run, steered

TURNS = [
    Turn("First we look.\n\n"),
    Turn("A slip is made here.\n\n", 0.5, "The target says it right.\n\n"),
    Turn("Then we count.\n\n"),
    Turn("So it is \\boxed{7}."),
]
OTHER = [Turn("Another way.\n\n", 0.4, "Its own way.\n\n"), Turn("So \\boxed{8}.")]
ENDS_EMPTY = [Turn("Bad start.\n\n", 0.2, " ")]


def log(
    commands: dict[int, AnyCommand] | None = None, paths: Paths | None = None, **options: object
) -> list[AnyEvent]:
    """A whole run's events as a worker sends them; ``commands`` by an event's index."""
    run = make_run(paths or Paths(TURNS, B=OTHER), **options)  # type: ignore[arg-type]
    run.option_values = {"method": run.options.method}
    count = -1  # what starts the run is not counted

    def react(event: AnyEvent, desk: Desk) -> None:
        nonlocal count
        if commands and count in commands:
            desk.put(commands[count])
        count += 1

    return list(steered(run, react))


def grown(events: Sequence[AnyEvent]) -> Tree:
    tree = Tree()
    tree.apply_all(events)
    return tree


def check(tree: Tree) -> None:
    """What holds of every tree, however its events came."""
    for index, path in tree.paths.items():
        assert path.index == index
        for number, step in enumerate(path.steps):
            last = number == len(path.steps) - 1
            assert last or not step.is_open
            assert path.end_reason is None or not step.is_open
            assert step.state != "rewritten" or (step.rejected is not None)
            assert step.state != "accepted" or step.rejected is None
            assert step.rejected is None or step.verdict is not None
    counts = tree.counts
    assert 0 <= counts.accepted <= counts.drafted
    assert 0 <= counts.rewritten <= counts.drafted
    if tree.result is not None:
        assert tree.phase == "ended"


def same_as_result(tree: Tree) -> None:
    """The tree of a whole run holds exactly the result's paths."""
    result = tree.result
    assert result is not None
    assert list(tree.paths) == [path.index for path in result.paths]
    for path in result.paths:
        view = tree.paths[path.index]
        assert (view.end_reason, view.answer) == (path.end_reason, path.answer)
        assert [s.text for s in view.steps if s.text.strip()] == [s.text for s in path.steps]
        kept = [s for s in view.steps if s.text.strip()]
        for shown, step in zip(kept, path.steps, strict=True):
            assert shown.author == step.author
            rejected = step.draft_text if isinstance(step.draft_text, str) else None
            if step.accepted is not None:
                assert shown.rejected == rejected
                assert shown.state == ("accepted" if step.accepted else "rewritten")
    assert tree.groups == result.votes
    assert tree.counts.drafted == result.num_drafted
    assert tree.counts.accepted == result.num_accepted
    assert tree.counts.rewritten == result.num_rewrites


@pytest.mark.parametrize("method", ["ssr", "specreason", "parallel", "target", "draft"])
def test_a_whole_run(method: str) -> None:
    tree = grown(log(method=method))
    check(tree)
    same_as_result(tree)
    assert tree.live_paths == []
    assert tree.winner is not None
    assert tree.winner.answer == "7"


def test_a_rewrite_that_never_comes_leaves_the_rejected_draft() -> None:
    tree = grown(log(method="specreason", paths=Paths(ENDS_EMPTY)))
    check(tree)
    (step,) = tree.paths[0].steps
    assert (step.text.strip(), step.rejected, step.state) == ("", ENDS_EMPTY[0].draft, "unverified")
    assert tree.paths[0].end_reason == "end_of_generation"


@pytest.mark.parametrize("accept", [True, False])
def test_a_verdict_that_is_changed(accept: bool) -> None:
    events = log(method="specreason")
    verified = [i for i, e in enumerate(events) if isinstance(e, StepVerified)]
    # The second step's draft was rejected, the first one's accepted.
    when = verified[1] if accept else verified[0]
    changed = log({when: OverrideVerdict(path=0, accept=accept)}, method="specreason")
    assert any(isinstance(event, StepVerified) and event.overridden for event in changed)
    tree = grown(changed)
    check(tree)
    same_as_result(tree)


@pytest.mark.parametrize("when", range(3, 60, 4))
@pytest.mark.parametrize("command", [Cancel(), DropPath(0), DropPath(1), Pause()], ids=repr)
def test_a_run_that_is_steered(command: AnyCommand, when: int) -> None:
    def steps_of(tree: Tree) -> list[list[tuple[object, ...]]]:
        steps = [path.steps for path in tree.paths.values()]
        return [[(s.text, s.author, s.state, s.rejected) for s in some] for some in steps]

    events = log({when: command})
    whole = grown(events)
    # As the history keeps it: what a path was in the middle of stands in the result alone.
    kept = grown([event for event in events if not isinstance(event, StepDelta)])
    for tree in (whole, kept):
        check(tree)
        same_as_result(tree)
    assert steps_of(kept) == steps_of(whole)


TWO_WAVES = "prose:target@A; agree; prose:target@B + prose:target@C"
LOGS = [
    *(log(), log(method="parallel"), log({20: Cancel()}), log(paths=Paths(ENDS_EMPTY, A=TURNS))),
    log(paths=Paths(TURNS, A=OTHER), plan=TWO_WAVES),
]


@given(st.integers(0, len(LOGS) - 1), st.floats(0, 1))
def test_any_prefix_of_a_log_gives_a_valid_tree(which: int, share: float) -> None:
    events = LOGS[which]
    tree = Tree()
    for event in events[: int(share * len(events))]:
        tree.apply(event)
        check(tree)


@given(st.integers(0, len(LOGS) - 1), st.integers(0, 2**16), st.floats(0, 1))
def test_events_in_no_order_at_all_break_nothing(which: int, seed: int, share: float) -> None:
    events = list(LOGS[which])
    random.Random(seed).shuffle(events)
    grown(events[: int(share * len(events))])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_gathered_changes_name_every_node_that_differs(size: int) -> None:
    """Drawing only what is named as changed shows the same as drawing everything."""
    events = LOGS[0]
    tree, drawn = Tree(), {}
    for start in range(0, len(events), size):
        for node in tree.apply_all(events[start : start + size]):
            if node.kind == "step":
                drawn[node] = shown_step(tree, node)
            elif node.kind == "path":
                drawn[node] = tree.paths[node.path].end_reason
    for index, path in tree.paths.items():
        assert drawn[Node("path", index)] == path.end_reason
        for step in range(len(path.steps)):
            node = Node("step", index, step)
            assert drawn[node] == shown_step(tree, node)


def shown_step(tree: Tree, node: Node) -> tuple[object, ...]:
    steps = tree.paths[node.path].steps
    if node.step >= len(steps):
        return ()
    step = steps[node.step]
    return (step.text, step.state, step.rejected, step.author)


def test_what_belongs_to_nothing_changes_nothing() -> None:
    tree = Tree()
    delta = StepDelta(path=0, step=0, author="draft", text="x")
    ended = PathEnded(path=0, reason="answered", answer="1", mean_score=None)
    assert tree.apply(delta) == tree.apply(ended) == frozenset()
    assert tree.revision == 0
    opened = next(event for event in LOGS[0] if isinstance(event, PathOpened))
    tree.apply(opened)
    gap = StepDelta(path=opened.path, step=5, author="draft", text="x")
    assert tree.apply(gap) == frozenset()
    assert tree.apply(Notice(message="once")) == {Node("notices")}
    assert tree.apply(Notice(message="once")) == frozenset()


def test_a_run_goes_through_its_phases() -> None:
    tree = Tree()
    seen = {tree.phase}
    for event in log({5: Pause()}):
        tree.apply(event)
        seen.add(tree.phase)
    assert seen == {"idle", "reading", "selecting", "running", "paused", "ended"}


def test_a_later_wave_says_why_it_was_opened_and_selects_nothing() -> None:
    tree, phases = Tree(), []
    for event in LOGS[-1]:
        if "waves" in {node.kind for node in tree.apply(event)}:
            phases.append(tree.phase)
    assert phases == ["reading", "reading"]
    assert [wave and wave.title for wave, _ in tree.by_wave()] == [
        None, "Wave 1: 1 path", "Wave 2: no other path agrees with 8",
    ]  # fmt: skip
    assert [[path.index for path in paths] for _, paths in tree.by_wave()] == [[], [0], [1, 2]]
    assert tree.result is not None
    assert tree.result.waves == ("", "no other path agrees with 8")
    assert tree.stopped == "all paths have ended"


def test_every_rule_has_words() -> None:
    assert set(RULE_WORDS) == set(get_args(Rule))


def test_a_plan_of_one_wave_shows_none() -> None:
    tree = grown(LOGS[0])
    assert tree.shown_waves == {}
    assert [(wave, len(paths)) for wave, paths in tree.by_wave()] == [(None, len(tree.paths))]
