"""What is found of a step, in words that are as sure as what is known. Pure."""

from __future__ import annotations

from ssr_local.core.display import one_line
from ssr_local.tutoring.checking import CheckedStep

_SURE, _DOUBTFUL = 8.0, 4.0


def in_words(step: CheckedStep) -> str:
    """A step's verdict; how sure it sounds follows from who says so and the score."""
    score = "no score" if step.score is None else f"{step.score:.1f} of 9"
    if not step.is_judged:
        return "not judged: no number or equation in it was checked."
    if step.algebra == "does not hold":
        also = ", although the model finds it good" if step.model_accepted else ""
        return f"wrong by algebra{also} ({score}). {one_line(step.reason)}"
    if step.algebra == "holds":
        also = "" if step.model_accepted else ", although the model doubts it"
        return f"its equations hold{also} ({score})."
    if step.score is None:
        return "the model could not judge it."
    if step.accepted:
        words = "looks right" if step.score >= _SURE else "probably right"
    else:
        words = "doubtful" if step.score >= _DOUBTFUL else "probably wrong"
    reason = f" The model says: {one_line(step.reason)}" if step.reason else ""
    return f"{words} ({score}); algebra cannot tell.{reason}"
