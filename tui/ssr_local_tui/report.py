"""A run as a Markdown report, of a run that has not ended too. Pure.

What models wrote stays as they wrote it, formulas and Markdown included. It stands in block
quotes, which nothing in it can get out of, and a space goes into whatever could begin a
tag, load a picture or link to anything but the web: a formula reads the same with it, and
nothing is left to run in whatever shows the report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from ssr_local.display import END_WORDS, clean, one_line
from ssr_local.records import ModelUsage, RunResult, VoteGroup
from ssr_local_tui.state import ModelView, PathView, StepView, Tree

MAX_CELL_CHARS = 200
"""Names and the answers in lists are cut there; the final answer never is."""

_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_PICTURE = re.compile(r"!(?=\[)")
_LINK = re.compile(r"\](?=[(:][\s<]*(?!https?://)[^\s)]{0,64}[:&\\])")
_MATHS_LINK = re.compile(r"\\(?=href|html)")
_TILDES = re.compile(r"~(?=~)")
_LAST_TILDE = re.compile(r"(?<!\\)((?:\\\\)*)~$")
_BACKTICKS = re.compile(r"`+")

_STATE_WORDS = {
    "writing": "being written",
    "waiting": "waiting for its verdict",
    "accepted": "accepted",
    "rewriting": "rejected, its rewrite being written",
    "rewritten": "rewritten",
    "unverified": "not verified",
}


def as_markdown(tree: Tree) -> str:
    """The run as a Markdown document, whatever there is of it."""
    sections = [
        "# Reasoning run",
        _standing(tree),
        "## Problem",
        _quote(tree.result.problem if tree.result else tree.problem)
        or "Not known: the log begins later.",
        *_given(tree),
        *_answer(tree),
        *_votes(tree),
        *_strategies(tree),
        *(part for path in tree.paths.values() for part in _path(path)),
        *_cost(tree),
        *_models(tree),
        *_options(tree),
        *_notices(tree),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _standing(tree: Tree) -> str:
    if tree.result is None:
        return (
            f"**This run has not ended.** It was still going on when this was saved, or it was"
            f" cut off: what follows is what there was of it after {tree.at_s:.1f} s"
            f" (phase: {tree.phase})."
        )
    return {
        "answered": "The run ended with an answer.",
        "no_answer": "The run ended, and no path came to an answer.",
        "cancelled": "**This run was stopped before its end:** some of it is missing.",
    }[tree.result.status]


# Text from outside -------------------------------------------------------------


def _harmless(text: str) -> str:
    """Foreign Markdown in which nothing can run, or be fetched by opening the file."""
    text = _TAG.sub("< ", clean(text))
    text = _PICTURE.sub("! ", text)
    return _MATHS_LINK.sub(r"\\ ", _LINK.sub("] ", text))


def _quote(text: str) -> str:
    """A block quote of it, "" when there is nothing to quote."""
    lines = _harmless(text).strip("\n").rstrip().split("\n")
    return "" if lines == [""] else "\n".join(f"> {line}" if line else ">" for line in lines)


def _struck(text: str) -> str:
    """A block quote of it with every line struck through.

    Every line is a paragraph of its own: a backtick in one cannot join up with another's.
    """
    lines = [line.strip() for line in _harmless(text).split("\n")]
    return "\n>\n".join(f"> ~~{_unstriking(line)}~~" for line in lines if line)


def _unstriking(line: str) -> str:
    """The line without anything in it that would end its own striking through."""
    line = _TILDES.sub("~ ", line)
    if line.startswith("~"):
        line = "\\" + line
    line = _LAST_TILDE.sub(r"\1\\~", line)
    num_backslashes = len(line) - len(line.rstrip("\\"))
    return line + "\\" * (num_backslashes % 2)


def _name(text: str) -> str:
    """A name on one line, also fit for a table."""
    return _harmless(one_line(text, MAX_CELL_CHARS)).replace("|", "&#124;")


def _code(text: str, limit: int = MAX_CELL_CHARS) -> str:
    """A code span, exactly as it was written."""
    shown = one_line(text, limit)
    longest = max((len(run) for run in _BACKTICKS.findall(shown)), default=0)
    fence = "`" * (longest + 1)
    gap = " " if longest else ""
    return f"{fence}{gap}{shown}{gap}{fence}" if shown else "(empty)"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


# Sections ----------------------------------------------------------------------


def _given(tree: Tree) -> Iterator[str]:
    given = tree.result.given if tree.result else tree.given
    if given:
        yield "## Given steps"
        yield "Every path began with them; neither model wrote them."
    for place, text in enumerate(given, 1):
        yield f"**Given {place}**"
        yield _quote(text)


def _answer(tree: Tree) -> Iterator[str]:
    yield "## Answer"
    result = tree.result
    if result is None:
        leader = tree.winner
        yield "None yet." if leader is None else f"None yet; {_code(leader.answer)} is ahead."
    elif result.answer is None:
        yield "None."
        if result.best_path is not None:
            yield f"Path {result.best_path + 1} got furthest."
    elif "\n" in (answer := clean(result.answer).strip("\n")):
        yield "It has several lines:"
        yield "\n".join(f"    {line}".rstrip() for line in answer.split("\n"))
    else:
        yield _code(answer, limit=0)


def _votes(tree: Tree) -> Iterator[str]:
    if tree.groups:
        yield "## Votes"
        yield "\n".join(_vote(group) for group in tree.groups)


def _vote(group: VoteGroup) -> str:
    paths = ", ".join(str(path + 1) for path in group.paths)
    score = "" if group.mean_score is None else f", mean score {group.mean_score:.1f}"
    won = " **(winner)**" if group.winner else ""
    return f"- {_code(group.answer)}{won}: path{'s' if len(group.paths) > 1 else ''} {paths}{score}"


def _strategies(tree: Tree) -> Iterator[str]:
    scores = tree.scores or (tree.result.strategies if tree.result else ())
    if not scores:
        return
    yield "## Strategies"
    chosen = {*tree.chosen, *(row.letter for row in scores if row.times_chosen)}
    rows = [
        (
            _name(row.letter),
            _name(row.name),
            _number(row.score, 3),
            "yes" if row.letter in chosen else "",
            str(row.times_chosen or ""),
        )
        for row in scores
    ]
    yield _table(("letter", "strategy", "score (0 to 1)", "chosen", "paths"), rows)


def _path(path: PathView) -> Iterator[str]:
    strategy = path.strategy
    yield f"## Path {path.index + 1}: {_name(strategy.letter)} {_name(strategy.name)}".rstrip()
    if strategy.advice:
        yield "The strategy's advice:"
        yield _quote(strategy.advice)
    for place, step in enumerate(path.steps, 1):
        yield from _step(place, step)
    if path.end_reason is None:
        yield "**This path has not ended.**"
        return
    parts = [END_WORDS[path.end_reason]]
    if path.answer is not None:
        parts = [*(parts if path.end_reason != "answered" else ()), f"answer {_code(path.answer)}"]
    parts += [] if path.mean_score is None else [f"mean score {path.mean_score:.1f}"]
    yield f"**End of the path:** {'; '.join(parts)}."


def _step(place: int, step: StepView) -> Iterator[str]:
    marks = [f"**Step {place}**, by the {step.author}: {_STATE_WORDS[step.state]}"]
    verdict = step.verdict
    if verdict is not None:
        whose = "" if step.rejected is None else "the draft's "
        marks.append("no score" if verdict.score is None else f"{whose}score {verdict.score:.1f}")
        marks += [_name(verdict.reason)] if verdict.reason else []
        marks += ["verdict changed by the user"] if step.overridden else []
    yield ", ".join(marks)
    if step.rejected is not None:
        yield "The draft's version was rejected:"
        yield _struck(step.rejected) or "It was empty."
        yield "In its place:"
    yield _quote(step.text) or "Nothing was written."


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
    yield _table(
        ("phase", "seconds"),
        [(phase, f"{spent:.2f}") for phase, spent in times.items() if spent or phase == "total"],
    )
    usage = {"draft": result.usage.draft, "target": result.usage.target}
    yield _table(
        ("tokens", "decoded", "prefilled"),
        [
            (role, f"{model.decode_tokens}", f"{model.prefill_tokens}")
            for role, model in usage.items()
        ],
    )
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
        return f"{_code(model.name)}, not loaded yet"
    parts = [_code(info.name), f"{info.num_parameters:,} parameters", f"on {_code(info.device)}"]
    parts += [_code(info.engine)] if info.engine else []
    parts += [f"file {_code(info.file)}"] if info.file else []
    parts += [f"SHA-256 {_code(info.sha256)}"] if info.sha256 else []
    return ", ".join(parts)


def _options(tree: Tree) -> Iterator[str]:
    options: Mapping[str, object] = tree.result.options if tree.result else tree.options
    if options:
        yield "## Options in force"
        shown = {key: "none" if value is None else str(value) for key, value in options.items()}
        yield "\n".join(f"- {_code(key)}: {_code(value)}" for key, value in shown.items())


def _notices(tree: Tree) -> Iterator[str]:
    notices = dict.fromkeys([*tree.notices, *(tree.result.notices if tree.result else ())])
    if notices:
        yield "## Notices"
        yield from (_quote(one_line(notice)) for notice in notices)
