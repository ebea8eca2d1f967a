"""How the parts of a tree are put into words and signs. Pure."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from ssr_local.core.display import END_WORDS, one_line
from ssr_local.core.records import ModelRole, Timing, Usage
from ssr_local.core.tree import Tree
from ssr_local.core.views import PathView, StepState, StepView
from ssr_local.method.verification import MAX_SCORE
from ssr_local_tui.latex import readable

BAR_CELLS = 5
_EIGHTHS = " ▏▎▍▌▋▊▉█"
# Longer labels are cut before they are looked at: no terminal is wider.
LONGEST_LABEL = 2000

SIGNS: dict[StepState, str] = {
    "writing": "✎",
    "waiting": "?",
    "accepted": "✓",
    "rewriting": "✎",
    "rewritten": "↻",
    "unverified": "·",
}
STATES: dict[StepState, str] = {
    "writing": "being written",
    "waiting": "waits for the target's verdict",
    "accepted": "kept",
    "rewriting": "rejected; the target writes its own",
    "rewritten": "rejected and rewritten by the target",
    "unverified": "not verified",
}
PHASES = {
    "idle": "ready",
    "loading": "loading",
    "reading": "reading the problem",
    "selecting": "choosing strategies",
    "running": "solving",
    "paused": "paused",
    "ended": "done",
    "cut off": "cut off",
}


def bar(share: float, cells: int = BAR_CELLS) -> str:
    """A bar of ``cells`` columns that is full for 1."""
    eighths = round(min(1.0, max(0.0, share)) * cells * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(cells)


def score_text(score: float | None) -> str:
    """A score from 0 to 9 as a bar and a number, always as wide."""
    if score is None:
        return f"{'':{BAR_CELLS}}  – "
    return f"{bar(score / MAX_SCORE)} {score:3.1f}"


def shown_text(text: str) -> str:
    """A step's text on one line, its formulas in plain signs."""
    return one_line(readable(text[:LONGEST_LABEL]))


def head(text: str, width: int) -> str:
    """The beginning of a text, at most ``width`` columns wide."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(set_cell_size(text, width - 1) + "…", width)


def tail(text: str, width: int) -> str:
    """The end of a text, at most ``width`` columns wide."""
    return head(text[::-1], width)[::-1]


def path_name(path: PathView) -> str:
    """A path's number and strategy."""
    strategy = path.strategy
    return f"{path.index + 1} {one_line(strategy.letter)} {one_line(strategy.name, 40)}"


def path_end(path: PathView) -> str:
    """A path's answer or why it has none; empty while it is live."""
    if path.end_reason is None:
        return ""
    refuted = ", refuted" if path.refuted else ""
    if path.answer is None:
        return f"→ {END_WORDS[path.end_reason]}{refuted}"
    return f"→ {shown_text(path.answer)}{refuted}"


def step_title(step: StepView, number: int) -> str:
    """What became of a step, in one line of words."""
    score = step.verdict.score if step.verdict else None
    judged = f", score {score:.1f} of 9" if score is not None else ""
    changed = ", changed by you" if step.overridden else ""
    return f"Step {number}: {STATES[step.state]}{judged}{changed}"


def clock_text(seconds: float) -> str:
    """Seconds as a stopwatch shows them."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def speed_of(tree: Tree, role: ModelRole) -> float | None:
    """Tokens a second that a model has decoded while it was at it; None before it was."""
    figures = figures_of(tree)
    if figures is None:
        return None
    usage, timing = figures
    used = usage.draft if role == "draft" else usage.target
    wrote_s = timing.draft if role == "draft" else timing.rewrite + timing.write
    return used.decode_tokens / wrote_s if wrote_s > 0 and used.decode_tokens else None


def figures_of(tree: Tree) -> tuple[Usage, Timing] | None:
    """Tokens and seconds as they were last heard of, None before that."""
    source = tree.result or tree.measured
    return None if source is None else (source.usage, source.timing_s)
