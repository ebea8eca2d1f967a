"""Rows made by hand, and a small evaluation made of them, for the report's tests."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from ssr_local.bench.records import Outcome, Row
from ssr_local.core.records import (
    EndReason,
    Flops,
    ModelInfo,
    Models,
    ModelUsage,
    ReasoningPath,
    RunResult,
    Step,
    StrategyScore,
    Timing,
    Usage,
    VoteGroup,
)

POOL = ("A", "B", "C", "D")
NAMES = {"A": "algebra", "B": "backwards", "C": "cases", "D": "drawing", "M": "unknown"}
DRAFT_SIZE, TARGET_SIZE = 500_000_000, 1_500_000_000


def model(
    name: str, *, num_parameters: int = TARGET_SIZE, sha256: str | None = "ab" * 32
) -> ModelInfo:
    return ModelInfo(
        name=name,
        file=f"{name}.gguf",
        sha256=sha256,
        num_parameters=num_parameters,
        num_vocab=100,
        num_ctx=4096,
        device="cpu",
        engine="llama.cpp 1",
    )


PAIR = Models(
    model("small-draft", num_parameters=DRAFT_SIZE, sha256="cd" * 32), model("large-target")
)

ACCEPTED = Step(text="a" * 40, author="draft", score=8.0, accepted=True, num_tokens=10)
REWRITE = Step(
    text="r" * 80,
    author="target",
    score=9.0,
    accepted=False,
    num_tokens=20,
    draft_text="d" * 60,
    draft_score=3.0,
)
ALONE = Step(text="t" * 60, author="target", num_tokens=15)
DRAFT_ALONE = Step(text="s" * 50, author="draft", num_tokens=12)


def path(
    steps: Sequence[Step] = (ACCEPTED,),
    *,
    index: int = 0,
    strategy: str = "M",
    end: EndReason = "answered",
    answer: str | None = "7",
) -> ReasoningPath:
    return ReasoningPath(
        index=index,
        strategy=strategy,
        strategy_name=NAMES.get(strategy, strategy),
        selection_score=None,
        steps=tuple(steps),
        end_reason=end,
        answer=answer,
    )


def result(
    paths: Sequence[ReasoningPath] = (),
    *,
    won: Sequence[int] = (0,),
    answer: str | None = "7",
    draft_tokens: int = 0,
    target_tokens: int = 100,
    prefill: int = 50,
    options: dict[str, Any] | None = None,
    models: Models = PAIR,
    orders: Sequence[Sequence[str]] = (),
    pool: Sequence[str] = POOL,
) -> RunResult:
    paths = paths or (path([ALONE]),)
    steps = [step for one in paths for step in one.steps]
    usage = Usage(
        ModelUsage(prefill if draft_tokens else 0, draft_tokens, DRAFT_SIZE),
        ModelUsage(prefill, target_tokens, TARGET_SIZE),
    )
    drafted = [step for step in steps if step.accepted is not None]
    accepted = sum(step.accepted is True for step in drafted)
    return RunResult(
        problem="?",
        answer=answer,
        status="answered" if answer is not None else "no_answer",
        paths=tuple(paths),
        votes=(VoteGroup(answer=answer, paths=tuple(won), mean_score=None, winner=True),)
        if answer is not None
        else (),
        usage=usage,
        timing_s=Timing(total=1.0),
        acceptance_rate=accepted / len(drafted) if drafted else None,
        flops=Flops(
            usage.draft.decode_flops + usage.target.decode_flops,
            usage.draft.total_flops + usage.target.total_flops,
        ),
        options={"max_tokens": 512, "temperature": 0.6, "seed": 1, **(options or {})},
        models=models,
        version="0.1",
        num_steps=len(steps),
        num_drafted=len(drafted),
        num_accepted=accepted,
        num_rewrites=len(drafted) - accepted,
        strategies=tuple(
            StrategyScore(
                letter, NAMES.get(letter, letter), 0.25, sum(p.strategy == letter for p in paths)
            )
            for letter in (*pool, "M")
        ),
        selection_orders=tuple(map(tuple, orders)),
    )


def row(
    method: str = "target",
    problem: str = "p1",
    outcome: Outcome = "right",
    *,
    found: RunResult | None = None,
    paths: Sequence[Outcome] | None = None,
    seconds: float = 10.0,
    task: str = "gsm8k",
    repeat: int = 0,
    **others: Any,
) -> Row:
    """A row; a failed one has no result, and one path has the row's own outcome."""
    if found is None and outcome != "failed":
        answers = {"right": "7", "wrong": "8", "undecided": "x"}
        found = result(answer=answers.get(outcome))
    fields: dict[str, Any] = {
        "seed": 1 + repeat,
        "reference": "7",
        "concurrency": 1,
        "version": "0.1",
        "prompt_hash": "0123456789ab",
        "machine": "A processor, 2 cores",
        "started_at": "2025-01-01T00:00:00+00:00",
        "error": "the worker died" if outcome == "failed" else "",
    }
    return Row(
        task=task,
        problem=problem,
        method=method,
        repeat=repeat,
        outcome=outcome,
        path_outcomes=tuple(paths if paths is not None else (outcome,) if found else ()),
        result=found,
        elapsed_s=seconds,
        **(fields | others),
    )


def outcomes(method: str, pattern: str, **others: Any) -> list[Row]:
    """One row a character: + right, - wrong, ? undecided, . missing, ! failed."""
    kinds: dict[str, Outcome] = {
        "+": "right",
        "-": "wrong",
        "?": "undecided",
        ".": "missing",
        "!": "failed",
    }
    return [
        row(method, f"p{number:02d}", kinds[mark], **others)
        for number, mark in enumerate(pattern, 1)
        if mark != " "
    ]


# How often a method's path is right, how it drafts, and how long a step takes.
_SKILL = {
    "target": 0.7,
    "draft": 0.45,
    "specreason": 0.65,
    "parallel-3": 0.7,
    "ssr-m3": 0.72,
    "ssr-m3-fast2": 0.7,
    "ssr-m3+none": 0.65,
    "ssr-m3+random": 0.6,
}


def small_evaluation() -> list[Row]:
    """Eight methods on 24 problems of one task; on another, repeats and every odd outcome."""
    chance = random.Random(7)
    rows = [
        _run(
            chance,
            method,
            f"test/{number}",
            ease=number / 30,
            subject=("algebra", "geometry")[number % 2],
            level=1 + number % 3,
        )
        for number in range(24)
        for method in _SKILL
    ]
    for repeat in range(3):
        rows += outcomes(
            "target", "++-+!?", task="logic", repeat=repeat, prompt_hash="ba9876543210"
        )
        marks = ("+-+.+", "+++.+", "-++++")[repeat]
        rows += outcomes(
            "ssr-m3",
            marks,
            task="logic",
            repeat=repeat,
            seconds=31.0 + repeat,
            prompt_hash="ba9876543210",
        )
    rows += outcomes("target", "++-", concurrency=4, seconds=17.0)
    rows += outcomes("ssr-m3", "+++", concurrency=4, seconds=41.0)
    return rows


def _run(chance: random.Random, method: str, problem: str, *, ease: float, **others: Any) -> Row:
    num_paths = 3 if "3" in method else 1
    drafts = method.startswith(("ssr", "specreason"))
    selects = method.startswith("ssr") and "+none" not in method
    letters = chance.sample(POOL, num_paths) if selects else ["M"] * num_paths
    paths, found = [], []
    for index in range(num_paths):
        right = chance.random() < _SKILL[method] + 0.4 - 0.8 * ease
        length = chance.randint(2, 9)
        steps = [
            (ACCEPTED if chance.random() < 0.6 else REWRITE)
            if drafts
            else DRAFT_ALONE
            if method == "draft"
            else ALONE
            for _ in range(length)
        ]
        cut = chance.random() < 0.05
        found.append("missing" if cut else "right" if right else "wrong")
        paths.append(
            path(
                steps,
                index=index,
                strategy=letters[index],
                end="token_budget" if cut else "answered",
                answer=None if cut else "7" if right else str(8 + index % 2),
            )
        )
    answers = [one.answer for one in paths if one.answer]
    answer = max(answers, key=lambda text: (answers.count(text), text)) if answers else None
    draft_tokens = sum(len(one.steps) for one in paths) * 12 if drafts or method == "draft" else 0
    target_tokens = (
        0 if method == "draft" else sum(len(one.steps) for one in paths) * (9 if drafts else 15)
    )
    return row(
        method,
        problem,
        "missing" if answer is None else "right" if answer == "7" else "wrong",
        found=result(
            paths,
            won=[one.index for one in paths if one.answer == answer],
            answer=answer,
            draft_tokens=draft_tokens,
            target_tokens=target_tokens,
            prefill=40 * num_paths * (3 if drafts else 1),
            options={"selection": "random" if "random" in method else "logprob"},
            orders=[letters, chance.sample(POOL, num_paths)] if method == "ssr-m3" else (),
        ),
        paths=found,  # type: ignore[arg-type]
        seconds=round(
            1
            + draft_tokens * 0.01
            + target_tokens * 0.05
            + (12 if drafts else 0) * chance.random(),
            2,
        ),
        **others,
    )
