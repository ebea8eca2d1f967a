"""Where a step ends, and what ends a path. Pure: text and counts in, decisions out.

A step is one paragraph of reasoning: it ends after the first blank line that follows
some content (docs/method.md, section 2). The rule looks at the text alone, never at token
boundaries, so a step is the same however its characters arrive.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ssr_local.core.records import EndReason

# A blank line after content: a newline, a line of nothing but blanks, a newline.
_STEP_END = re.compile(r"\S[^\S\n]*\n[^\S\n]*\n")
_LOOK_BACK = 1

_LOOPS = 4
_SHORTEST_LOOP, _LOOP_CHARS = 10, 150
"""How often text of how many characters has to stand there, one right after the other."""

THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"


class StepSplitter:
    """Finds the end of one step while its text arrives piece by piece."""

    def __init__(self) -> None:
        self.text = ""
        self._scanned = 0

    def push(self, piece: str) -> int | None:
        """Take more text in; the length of the finished step in ``self.text``, or None.

        Text after that length belongs to the next step.
        """
        self.text += piece
        match = _STEP_END.search(self.text, self._scanned)
        if match:
            return match.end()
        # The end can begin at the last character that is not white space; rescan from there.
        self._scanned = max(self._scanned, len(self.text.rstrip()) - _LOOK_BACK)
        return None


def split_steps(text: str) -> list[str]:
    """The steps of a finished text; joined together they are the text again."""
    steps: list[str] = []
    start = 0
    while match := _STEP_END.search(text, start):
        steps.append(text[start : match.end()])
        start = match.end()
    if text[start:].strip():
        steps.append(text[start:])
    elif steps:
        steps[-1] += text[start:]
    return steps


def is_thinking(text: str) -> bool:
    """Whether a path's text (with its generation prompt) is inside an open think block."""
    return text.rfind(THINK_OPEN) > text.rfind(THINK_CLOSE)


def is_repeated(step: str, earlier: Sequence[str]) -> bool:
    """Whether a step says, up to white space, exactly what an earlier one of its path said."""
    words = step.split()
    return any(other.split() == words for other in earlier)


def is_looping(step: str) -> bool:
    """Whether a step ends in the same stretch of text over and over, as greedy decoding may."""
    end = step.rstrip()[-_LOOP_CHARS * _LOOPS :]
    lengths = range(_SHORTEST_LOOP, len(end) // _LOOPS + 1)
    found = (end[-length:] for length in lengths if end.endswith(end[-length:] * _LOOPS))
    return any(any(map(str.isalnum, stretch)) for stretch in found)  # lines are drawn in any length


def path_end(
    *,
    step: str,
    earlier: Sequence[str],
    prefix_steps: Sequence[str] = (),
    step_end: str,
    answered: bool,
    num_tokens: int,
    max_tokens: int,
    max_steps: int,
) -> EndReason | None:
    """Why a path ends after a finished step, or None when it continues.

    ``step_end`` is the engine's reason for the step's end; ``answered`` says whether the
    path has now stated a final answer; ``num_tokens`` counts the path's tokens so far.
    ``prefix_steps`` come before the path's own ``earlier`` steps. The first reason that holds
    is the one recorded, an answer before all others.
    """
    if answered:
        return "answered"
    if step_end == "end_of_generation":
        return "end_of_generation"
    if step_end == "context_full":  # before what a step cut short may look like
        return "context_full"
    if step_end == "kv_cache_full":
        return "kv_cache_full"
    if not step.strip():
        return "empty_step"
    if is_repeated(step, (*prefix_steps, *earlier)) or is_looping(step):
        return "repetition"
    if num_tokens >= max_tokens:
        return "token_budget"
    if len(earlier) + 1 >= max_steps:
        return "step_budget"
    return None
