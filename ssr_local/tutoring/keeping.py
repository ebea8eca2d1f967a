"""What the history keeps of a check and of a hint."""

from __future__ import annotations

from collections.abc import Callable

from ssr_local.history.saving import Saver
from ssr_local.history.store import Recording
from ssr_local.tutoring.checking import CheckResult
from ssr_local.tutoring.hints import Hint


def kept_check(saver: Saver, work: Callable[..., CheckResult]) -> CheckResult:
    """The check that ``work(on_judged=...)`` makes, saved as it grows and at its end."""
    result = work(
        on_judged=lambda judged: saver.save(Recording.so_far, judged, body=_text_of(judged))
    )
    keep_check(saver, result)
    return result


def keep_check(saver: Saver, result: CheckResult) -> None:
    """Save a check."""
    status = "good" if result.is_good else "wrong answer"
    saver.save(
        Recording.end,
        result,
        status="wrong step" if result.first_bad is not None else status,
        answer=result.answer,
        body=_text_of(result),
    )


def _text_of(result: CheckResult) -> str:
    return "\n\n".join(step.text for step in result.steps)


def keep_hint(saver: Saver, hint: Hint) -> None:
    """Save a hint."""
    status = "withheld" if hint.withheld else "given"
    saver.save(Recording.end, hint, status=status, answer=None, body=hint.text)
