from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec.structs import replace

from ssr_local.core.events import (
    Notice,
    PathEnded,
    PathOpened,
    SelectionScored,
    StepDelta,
    StepDrafted,
    StepRewritten,
    StepVerified,
    VotesCounted,
)
from ssr_local.core.records import REWRITE_SCORE
from ssr_local.method.pools import Example
from ssr_local.method.prompts import CONTENT_FREE
from tests.unit.coordinator.scripted import (
    POOL,
    Paths,
    Turn,
    engine_of,
    make_run,
    played,
)

ANSWER = [Turn("First think.\n\n"), Turn("So \\boxed{7}.\n\n")]
REJECTED = [Turn("Wrong turn.\n\n", 0.2, "Right turn.\n\n"), Turn("So \\boxed{7}.\n\n")]


@pytest.mark.parametrize(
    ("options", "roles", "writer", "letters"),
    [
        ({"method": "ssr"}, {"draft", "target"}, "draft", "ABC"),
        ({"method": "ssr", "paths": 5}, {"draft", "target"}, "draft", "ABCDE"),
        ({"method": "ssr", "paths": 7}, {"draft", "target"}, "draft", "ABCDEMM"),
        ({"method": "specreason", "paths": 5}, {"draft", "target"}, "draft", "M"),
        ({"method": "target", "paths": 5}, {"target"}, "target", "M"),
        ({"method": "draft", "paths": 5}, {"draft"}, "draft", "M"),
        ({"method": "parallel", "paths": 4}, {"target"}, "target", "MMMM"),
        ({"method": "parallel-spm", "paths": 2}, {"target"}, "target", "AB"),
    ],
)
def test_what_each_method_uses(
    options: dict[str, Any], roles: set[str], writer: str, letters: str
) -> None:
    run = make_run(Paths(ANSWER), **options)
    events = played(run)
    assert set(run.engines) == roles
    opened = [event for event in events if isinstance(event, PathOpened)]
    assert "".join(event.strategy.letter for event in opened) == letters
    drafted = [event for event in events if isinstance(event, StepDrafted)]
    assert {event.author for event in drafted} == {writer}
    verified = [event for event in events if isinstance(event, StepVerified)]
    assert len(verified) == (len(drafted) if options["method"] in ("ssr", "specreason") else 0)
    assert any(isinstance(e, SelectionScored) for e in events) is (
        options["method"] in ("ssr", "parallel-spm")
    )
    assert run.groups[0].answer == "7"
    assert len(run.groups[0].paths) == len(letters)


@pytest.mark.parametrize(
    ("options", "letters", "scored"),
    [
        ({"selection": "logprob"}, "ABC", True),
        ({"selection": "logprob", "selection_permutations": 5}, "ABC", True),
        ({"selection": "generate"}, "DBM", False),
        ({"selection": "first"}, "ABC", False),
        ({"selection": "none"}, "MMM", False),
    ],
)
def test_selection_modes(options: dict[str, Any], letters: str, scored: bool) -> None:
    # With several orders the fake says the same letters each time; the average is then flat.
    run = make_run(Paths(ANSWER, generated="D, B"), **options)
    events = played(run)
    (selected,) = [event for event in events if isinstance(event, SelectionScored)]
    assert "".join(selected.chosen) == letters
    assert selected.mode == options["selection"]
    scores = [row.score for row in selected.scores if row.letter != "M"]
    assert all((score is not None) is scored for score in scores)
    if options.get("selection_permutations"):
        assert scores == pytest.approx([0.2] * 5)
        return
    if scored:
        assert sum(score or 0 for score in scores) == pytest.approx(1)
    opened = [event for event in events if isinstance(event, PathOpened)]
    assert [event.selection_score is not None for event in opened] == [
        scored and event.strategy.letter != "M" for event in opened
    ]


@pytest.mark.parametrize("selection", ["logprob", "generate", "random", "first"])
def test_what_harms_a_pair_is_never_selected(selection: str) -> None:
    run = make_run(Paths(ANSWER, generated="A, B, C"), selection=selection, paths=5)
    run.harmful = tuple(run.pool.by_letter(letter).name for letter in "AC")
    events = played(run)
    (selected,) = [event for event in events if isinstance(event, SelectionScored)]
    assert not {"A", "C"} & set(selected.chosen)
    assert "B" in selected.chosen
    assert "M" in selected.chosen, "three are left for five paths"
    assert {row.letter for row in selected.scores} >= {"A", "C"}, "the tree shows them"


@pytest.mark.parametrize("typical", [CONTENT_FREE, ("Who knows?",)])
def test_the_second_problem_does_not_prefill_the_pool_again(typical: tuple[str, ...]) -> None:
    pool_of = replace(POOL, typical=typical)
    runs = [make_run(Paths(ANSWER), pool=pool_of) for _ in range(2)]
    runs[1].engines, runs[1].prompters = runs[0].engines, runs[0].prompters
    runs[1].kept = runs[0].kept
    prefilled = []
    for run in runs:
        played(run)
        prefilled.append(run.usage.target.prefill_tokens)
    pool = engine_of(run, "target").tokenize(" ".join(s.advice for s in run.pool.strategies))
    assert prefilled[0] - prefilled[1] > len(pool)
    assert runs[0].scores == runs[1].scores


@pytest.mark.parametrize("problem", ["How many?", "What is $x^2$ for $x = 3$?"])
def test_the_second_problem_does_not_prefill_the_examples_again(problem: str) -> None:
    shown = "A long story " * 40
    examples = (Example(shown, "\\boxed{1}"), Example(f"{shown} $x$", "\\boxed{2}"))
    pool = replace(POOL, examples=examples)
    runs = [make_run(Paths(ANSWER), pool=pool, plan="brief:target", problem=problem) for _ in "12"]
    runs[1].engines, runs[1].prompters = runs[0].engines, runs[0].prompters
    runs[1].kept = runs[0].kept
    for run in runs:
        played(run)
    first, second = (run.usage.target.prefill_tokens for run in runs)
    assert first - second > len(engine_of(runs[0], "target").tokenize(shown))


def test_selection_leaves_its_sequences_to_the_paths() -> None:
    run = make_run(Paths(ANSWER), paths=12, selection_permutations=5)
    played(run)
    assert len(run.groups[0].paths) == 12


def test_random_selection_follows_the_seed() -> None:
    def chosen(seed: int) -> tuple[str, ...]:
        events = played(make_run(Paths(ANSWER), selection="random", seed=seed))
        return next(event.chosen for event in events if isinstance(event, SelectionScored))

    assert chosen(3) == chosen(3)
    assert len({chosen(seed) for seed in range(10)}) > 3


@pytest.mark.parametrize("letters", [{"A": math.nan}, {}])
def test_a_selection_that_cannot_be_read_says_so(letters: dict[str, float]) -> None:
    events = played(make_run(Paths(ANSWER, letters=letters)))
    (selected,) = [event for event in events if isinstance(event, SelectionScored)]
    assert selected.chosen == ("A", "B", "C")
    assert any("could not be read" in e.message for e in events if isinstance(e, Notice))


def test_a_rejected_step_is_replaced_on_both_models() -> None:
    script = Paths(REJECTED)
    run = make_run(script, method="specreason")
    played(run)
    (path,) = (path.record() for path in run.paths)
    first, second = path.steps
    assert (first.text, first.author, first.accepted) == ("Right turn.\n\n", "target", False)
    assert first.draft_text == "Wrong turn.\n\n"
    assert first.draft_score == 1
    assert first.score == REWRITE_SCORE
    assert (second.author, second.accepted) == ("draft", True)
    assert second.score == 8
    assert path.mean_score == (9 + 8) / 2
    # What was probed second stands after the rewrite, not after the rejected step.
    assert script.probed[1] == ("M", "Right turn.\n\nSo \\boxed{7}.\n\n")
    assert (run.num_drafted, run.num_accepted, run.num_rewrites) == (2, 1, 1)


def test_others_go_on_drafting_while_one_path_is_rewritten() -> None:
    long = "word " * 30 + "\n\n"
    script = Paths([Turn(long), Turn("\\boxed{1}\n\n")], A=[Turn("Bad.\n\n", 0.1, long)])
    run = make_run(script, paths=2)
    deltas = [(e.author, e.path) for e in played(run) if isinstance(e, StepDelta)]
    rewriting = [index for index, delta in enumerate(deltas) if delta == ("target", 0)]
    between = deltas[rewriting[0] : rewriting[-1]]
    assert between.count(("draft", 1)) > 20


def test_models_with_different_vocabularies_exchange_text() -> None:
    run = make_run(Paths(REJECTED), target={"vocabulary_name": "other words"})
    events = played(run)
    assert any("different vocabularies" in e.message for e in events if isinstance(e, Notice))
    assert run.groups[0].answer == "7"
    same = make_run(Paths(REJECTED))
    assert not any(isinstance(event, Notice) for event in played(same))
    assert [p.record().steps for p in run.paths] == [p.record().steps for p in same.paths]


def test_notes_of_the_engines_and_the_judge_are_told() -> None:
    engine = {"notes": ("runs on a toaster",)}
    run = make_run(Paths(ANSWER), engine=engine, calibrations={}, verifier="likelihood")
    run.prompters["target"].notices.append("another template")
    said = [event.message for event in played(run) if isinstance(event, Notice)]
    assert said.count("runs on a toaster") == 2
    assert any("no calibration" in message for message in said)
    assert "another template" in said
    assert run.result is not None
    assert list(run.result.notices) == said


def test_a_step_that_cannot_be_scored_is_rewritten_and_says_why() -> None:
    turns = [Turn("Hm.\n\n", math.nan, "\\boxed{3}")]
    events = played(make_run(Paths(turns), method="specreason"))
    (verdict,) = [event.verdict for event in events if isinstance(event, StepVerified)]
    assert (verdict.score, verdict.accepted) == (None, False)
    assert "no number" in verdict.reason
    assert any(isinstance(event, StepRewritten) for event in events)


def test_what_a_run_cost_adds_up() -> None:
    run = make_run(Paths(REJECTED, C=ANSWER))
    events = played(run)
    result = run.result
    assert result is not None
    assert result.num_steps == sum(len(path.steps) for path in result.paths)
    assert result.acceptance_rate == pytest.approx(result.num_accepted / result.num_drafted)
    draft, target = result.usage.draft, result.usage.target
    assert draft.num_parameters == 1_000_000
    assert result.flops.decode == 2e6 * (draft.decode_tokens + target.decode_tokens)
    assert result.flops.total == result.flops.decode + 2e6 * (
        draft.prefill_tokens + target.prefill_tokens
    )
    timing = result.timing_s
    phases = [timing.selection, timing.prefill, timing.draft, timing.verify, timing.rewrite]
    assert all(seconds > 0 for seconds in phases)
    assert sum(phases) + timing.vote <= timing.total
    assert sum(e.num_tokens for e in events if isinstance(e, StepRewritten)) == target.decode_tokens


def test_the_target_alone_spends_its_time_writing() -> None:
    run = make_run(Paths(ANSWER), method="target")
    played(run)
    assert run.seconds["write"] > 0
    assert run.seconds["draft"] == run.seconds["verify"] == run.seconds["rewrite"] == 0


def test_a_tie_goes_to_the_better_scores_and_votes_are_told() -> None:
    script = Paths(A=[Turn("\\boxed{1}", 0.8)], B=[Turn("\\boxed{2}", 0.95)])
    run = make_run(script, paths=2)
    events = played(run)
    assert isinstance(events[-2], VotesCounted)
    assert [(g.answer, g.winner) for g in events[-2].groups] == [("2", True), ("1", False)]
    assert [e.answer for e in events if isinstance(e, PathEnded)] == ["1", "2"]
