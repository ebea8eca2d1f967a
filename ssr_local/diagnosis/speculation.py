"""Whether drafting can pay on measured speeds: what the doctor estimates. Pure."""

from __future__ import annotations

from msgspec import Struct

from ssr_local.diagnosis.findings import Finding, advised
from ssr_local.diagnosis.speed import ModelSpeed
from ssr_local.method.verification import VERIFIERS

# The length of the digit's question and of a typical step, in tokens of the default pair.
_PROBE_TOKENS = 46
_STEP_TOKENS = 40


class Speculation(Struct, frozen=True, kw_only=True):
    """What drafting and verifying costs beside the target writing everything itself.

    ``all_kept`` and ``half_kept`` are ratios of times (below 1: SSR is faster) when every
    drafted step is kept, and every second one. ``break_even`` is the share of kept steps at
    which both are equally fast; None when even 1 is too little.
    """

    num_paths: int
    all_kept: float
    half_kept: float
    break_even: float | None


def estimate(draft: ModelSpeed, target: ModelSpeed, num_paths: int, verifier: str) -> Speculation:
    """What SSR's steps cost on these speeds; ``num_paths`` is 1 or 3.

    For a drafted token: the draft decodes it, the target prefills it and its share of the
    verifier's question. For a rejected one the target decodes it anew and the draft prefills
    that. Without SSR the target would decode it, on as many paths.
    """
    own = target.decode_one if num_paths == 1 else target.decode_three
    drafting = draft.decode_one if num_paths == 1 else draft.decode_three
    question = VERIFIERS[verifier].question
    probe = _PROBE_TOKENS / _STEP_TOKENS if question else 0.0
    kept = 1 / drafting + (1 + probe) / target.prefill
    rejected = 1 / own + 1 / draft.prefill
    share = 1 - (1 / own - kept) / rejected
    return Speculation(
        num_paths=num_paths,
        all_kept=own * kept,
        half_kept=own * (kept + rejected / 2),
        break_even=share if share <= 1 else None,
    )


def judge(speculation: Speculation, disturbed: bool) -> Finding:
    """Whether drafting can be faster than the target alone, in plain words."""
    name = f"SSR, {speculation.num_paths} path{'' if speculation.num_paths == 1 else 's'}"
    value = (
        f"about {speculation.all_kept:.2f} times the target's own time with every drafted step"
        f" kept, {speculation.half_kept:.2f} with half of them"
    )
    advice = ""
    if speculation.break_even is None:
        value = f"slower than the target alone: {value}"
        advice = "For speed take --method target or --method parallel."
    else:
        share = f"{100 * speculation.break_even:.0f} %"
        value = (
            f"can be faster than the target alone: {value}; it pays when at least {share} are kept"
        )
    if disturbed:
        value = f"by these disturbed speeds {value}"
        advice = "Measure again before trusting it."
    return advised(name, value, advice)
