"""What the history keeps of a check and of a hint."""

from __future__ import annotations

from ssr_local.history.saving import Saver
from ssr_local.tutoring.checking import CheckResult
from ssr_local.tutoring.hints import Hint


def keep_steps(saver: Saver, result: CheckResult) -> None:
    """Save a check whose steps are judged, before its vote."""
    saver.so_far(result, body=_text_of(result))


def keep_check(saver: Saver, result: CheckResult) -> None:
    """Save a check."""
    status = "good" if result.is_good else "wrong answer"
    saver.end(
        result,
        status="wrong step" if result.first_bad is not None else status,
        answer=result.answer,
        body=_text_of(result),
    )


def _text_of(result: CheckResult) -> str:
    return "\n\n".join(step.text for step in result.steps)


def keep_hint(saver: Saver, given: Hint) -> None:
    """Save a hint."""
    status = "withheld" if given.withheld else "given"
    saver.end(given, status=status, answer=None, body=given.text)
