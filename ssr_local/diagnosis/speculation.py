"""Whether drafting can pay on measured speeds: what the doctor estimates. Pure."""

from __future__ import annotations

from msgspec import Struct

from ssr_local.diagnosis.findings import Finding, advised
from ssr_local.method.prediction import Speed, break_even, ssd_token_s, written_s
from ssr_local.method.verification import VERIFIERS


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


def estimate(draft: Speed, target: Speed, num_paths: int, verifier: str) -> Speculation:
    """What SSR's steps cost on these speeds."""
    asks = VERIFIERS[verifier].question is not None
    own = written_s(target, num_paths)

    def times_own(acceptance: float) -> float:
        return ssd_token_s(draft, target, num_paths, acceptance, asks=asks) / own

    return Speculation(
        num_paths=num_paths,
        all_kept=times_own(1.0),
        half_kept=times_own(0.5),
        break_even=break_even(draft, target, num_paths, asks=asks),
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
