"""A run as a Markdown report, of a run that has not ended too. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ssr_local.core.display import END_WORDS, RULE_WORDS, clean, one_line
from ssr_local.core.records import ModelUsage, RunResult, VoteGroup
from ssr_local.core.tree import Tree
from ssr_local.core.views import ModelView, PathView, StepView
from ssr_local.history.store import CANCELLED, FAILED, GOING, INTERRUPTED
from ssr_local.pages.foreign import code, name, quote, struck

_STATE_WORDS = {
    "writing": "being written",
    "waiting": "waiting for its verdict",
    "accepted": "accepted",
    "rewriting": "rejected, its rewrite being written",
    "rewritten": "rewritten",
    "unverified": "not verified",
}


def as_markdown(
    tree: Tree, title: str = "Reasoning run", said: Iterable[str] = (), status: str = ""
) -> str:
    """The run as a Markdown document, whatever there is of it.

    ``said`` are paragraphs, Markdown themselves, that stand below the title; ``status`` is
    what the history knows of a run without a result.
    """
    sections = [
        f"# {title}",
        *said,
        standing(tree, status),
        "## Problem",
        quote(tree.problem) or "Not known: the log begins later.",
        *_prefix_steps(tree),
        *_answer(tree),
        *_votes(tree),
        *strategies(tree),
        *_paths(tree),
        figures(tree),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def figures(tree: Tree) -> str:
    """What the run has cost, with what and with which options, as Markdown."""
    return "\n\n".join((*_cost(tree), *_models(tree), *_options(tree), *_notices(tree)))


def standing(tree: Tree, status: str = "") -> str:
    """In a sentence of Markdown, whether the run has ended and how.

    ``status`` is what the history knows of a run without a result.
    """
    if tree.result is None:
        how = {
            FAILED: "**This run failed.**",
            GOING: "**This run has not ended.** It still goes on.",
            INTERRUPTED: "**This run was interrupted:** its program was killed.",
            CANCELLED: "**This run was stopped before its end.**",
        }
        words = how.get(status, "**This run has not ended.** It still goes on, or it was cut off.")
        return f"{words} This is what there was of it after {tree.at_s:.1f} s."
    why = f"; {name(tree.stopped)}" if tree.stopped else ""
    return {
        "answered": f"The run ended with an answer{why}.",
        "no_answer": f"The run ended, and no path came to an answer{why}.",
        "cancelled": "**This run was stopped before its end:** some of it is missing.",
    }[tree.result.status]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# Sections ----------------------------------------------------------------------


def _prefix_steps(tree: Tree) -> Iterator[str]:
    if tree.given:
        yield "## Prefix steps"
        yield "Every path began with them; neither model wrote them."
    for position, text in enumerate(tree.given, 1):
        yield f"**Prefix step {position}**"
        yield quote(text)


def _answer(tree: Tree) -> Iterator[str]:
    yield "## Answer"
    result = tree.result
    if result is None:
        leader = tree.winner
        none = "None" if tree.phase in ("idle", "cut off") else "None yet"
        yield f"{none}." if leader is None else f"{none}; {code(leader.answer)} is ahead."
    elif result.answer is None:
        yield "None."
        if result.best_path is not None:
            yield f"Path {result.best_path + 1} got furthest."
    elif "\n" in (answer := clean(result.answer).strip("\n")):
        yield "It has several lines:"
        yield "\n".join(f"    {line}".rstrip() for line in answer.split("\n"))
    else:
        yield code(answer, limit=0)


def _votes(tree: Tree) -> Iterator[str]:
    if tree.groups:
        yield "## Votes"
        yield "\n".join(_vote(group) for group in tree.groups)


def _vote(group: VoteGroup) -> str:
    paths = ", ".join(str(path + 1) for path in group.paths)
    score = "" if group.mean_score is None else f", mean score {group.mean_score:.1f}"
    won = " **(winner)**" if group.winner else ""
    word = "paths" if len(group.paths) > 1 else "path"
    return f"- {code(group.answer)}{won}: {word} {paths}{score}{group.refuted_words}"


def strategies(tree: Tree) -> Iterator[str]:
    """How promising the target found each strategy, as Markdown."""
    scores = tree.scores or (tree.result.strategies if tree.result else ())
    if not scores:
        return
    yield "## Strategies"
    chosen = {*tree.chosen, *(row.letter for row in scores if row.times_chosen)}
    rows = [
        (
            name(row.letter),
            name(row.name),
            "–" if row.score is None else f"{row.score:.3f}",
            "yes" if row.letter in chosen else "",
            str(row.times_chosen or ""),
        )
        for row in scores
    ]
    yield _table(("letter", "strategy", "score (0 to 1)", "chosen", "paths"), rows)


def _paths(tree: Tree) -> Iterator[str]:
    for wave, paths in tree.by_wave():
        if wave is not None:
            yield f"## {name(wave.title)}"
            yield f"{code(wave.text)}. {RULE_WORDS[wave.rule]}"
        for path in paths:
            yield from _path(path)


def _path(path: PathView) -> Iterator[str]:
    strategy = path.strategy
    yield f"## Path {path.index + 1}: {name(strategy.letter)} {name(strategy.name)}".rstrip()
    if strategy.advice:
        yield "The strategy's advice:"
        yield quote(strategy.advice)
    for position, step in enumerate(path.steps, 1):
        yield from _step(position, step)
    if path.program is not None:
        yield f"**Its program was run:** {name(path.program.words)}."
    if path.refuted:
        yield f"**Algebra refutes:** {code(path.refuted)}."
    if path.end_reason is None:
        yield "**This path has not ended.**"
        return
    parts = [END_WORDS[path.end_reason]]
    if path.answer is not None:
        parts = [*(parts if path.end_reason != "answered" else ()), f"answer {code(path.answer)}"]
    parts += [] if path.mean_score is None else [f"mean score {path.mean_score:.1f}"]
    parts += [] if path.confidence is None else [f"confidence {path.confidence:.2f}"]
    yield f"**End of the path:** {'; '.join(parts)}."


def _step(position: int, step: StepView) -> Iterator[str]:
    yield f"**Step {position}**, {name(step_words(step))}"
    if step.rejected is not None:
        yield "The draft's version was rejected:"
        yield struck(step.rejected) or "It was empty."
        yield "In its place:"
    yield quote(step.text) or "Nothing was written."


def step_words(step: StepView) -> str:
    """Who wrote a step, how far it is, and what the target made of it."""
    words = [f"by the {step.author}: {_STATE_WORDS[step.state]}"]
    verdict = step.verdict
    if verdict is not None:
        whose = "" if step.rejected is None else "the draft's "
        words.append("no score" if verdict.score is None else f"{whose}score {verdict.score:.1f}")
        words += [verdict.reason] if verdict.reason else []
        words += ["verdict changed by the user"] if step.overridden else []
    return ", ".join(words)


def _cost(tree: Tree) -> Iterator[str]:
    yield "## Cost"
    result = tree.result
    if result is None:
        counts = tree.counts
        yield (
            f"So far: {tree.at_s:.1f} s; tokens in steps: draft {counts.draft_tokens}, target"
            f" {counts.target_tokens}; {counts.accepted} of {counts.drafted} judged steps accepted,"
            f" {counts.rewritten} rewritten."
        )
        return
    times = msgspec.structs.asdict(result.timing_s)
    spent = [(name, f"{time_s:.2f}") for name, time_s in times.items() if time_s or name == "total"]
    yield _table(("phase", "seconds"), spent)
    usage = (("draft", result.usage.draft), ("target", result.usage.target))
    tokens = [(role, f"{used.decode_tokens}", f"{used.prefill_tokens}") for role, used in usage]
    yield _table(("tokens", "decoded", "prefilled"), tokens)
    if result.acceptance_rate is not None:
        yield (
            f"{result.num_accepted} of {result.num_drafted} drafted steps accepted"
            f" ({result.acceptance_rate:.0%}), {result.num_rewrites} rewritten."
        )
    yield _flops(result)


def _flops(result: RunResult) -> str:
    """The run's FLOPs, beside the target decoding by itself what stands in the paths."""
    flops, target = result.flops, result.usage.target
    if not flops.total:
        return ""
    text = f"FLOPs: {flops.decode:.3g} for decoding, {flops.total:.3g} with prefill."
    num_tokens = sum(step.num_tokens for path in result.paths for step in path.steps)
    alone = ModelUsage(decode_tokens=num_tokens, num_parameters=target.num_parameters).decode_flops
    if not alone:
        return text
    return (
        f"{text} Decoding the {num_tokens} tokens of all paths' steps with the target alone:"
        f" {alone:.3g}; the run's decoding is {flops.decode / alone:.0%} of that."
    )


def _models(tree: Tree) -> Iterator[str]:
    if tree.models:
        yield "## Models"
        yield "\n".join(f"- {role}: {_model(model)}" for role, model in tree.models.items())


def _model(model: ModelView) -> str:
    info = model.info
    if info is None:
        return f"{code(model.name)}, not loaded yet"
    parts = [code(info.name), f"{info.num_parameters:,} parameters", f"on {code(info.device)}"]
    parts += [code(info.engine)] if info.engine else []
    parts += [f"file {code(info.file)}"] if info.file else []
    parts += [f"SHA-256 {code(info.sha256)}"] if info.sha256 else []
    return ", ".join(parts)


def _options(tree: Tree) -> Iterator[str]:
    if tree.options:
        yield "## Options in force"
        shown = {
            key: "none" if value is None else str(value) for key, value in tree.options.items()
        }
        yield "\n".join(f"- {code(key)}: {code(value)}" for key, value in shown.items())


def _notices(tree: Tree) -> Iterator[str]:
    notices = dict.fromkeys([*tree.notices, *(tree.result.notices if tree.result else ())])
    if notices:
        yield "## Notices"
        yield from (quote(one_line(notice)) for notice in notices)
