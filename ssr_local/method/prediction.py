"""Seconds that a plan takes, from measured speeds and lengths of paths. Pure.

The one model of cost: what the doctor says of drafting and what ``plans`` says of seconds come
from here. All paths of a wave write in one batch, a token a path and round; it shrinks as they
end, the shortest first, and a later wave is opened as often as the rule does not hold.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import get_args

from msgspec import Struct
from msgspec.structs import replace

from ssr_local.core.errors import UsageError
from ssr_local.core.records import KindFigures, ModelRole, PathForm, PathKind, Profile, Rule
from ssr_local.method.plans import SELECTED, Plan, Wave

Speeds = Mapping[ModelRole, "Speed"]

STEP_TOKENS, PROBE_TOKENS = 40, 46
"""A typical step and the digit's question, in tokens of the default pair."""
PROMPT_TOKENS, INSTRUCTION_TOKENS, ADVICE_TOKENS, SELECTION_TOKENS = 80, 40, 60, 110
"""A problem with its turn, what follows it for a form, a strategy's advice, and what the
selection reads after its pool, which is kept: of the default pair on school problems."""
ROWS = (1, 2, 3, 4, 6, 8)
"""How many rows a batch is measured with."""

KIND_NAMES = tuple(
    f"{form}:{writer}" for form in get_args(PathForm) for writer in ("target", "draft", "ssd")
)
"""Kinds of path as a profile names them."""

SPREAD = 0.4
"""Standard deviation of the length of paths on one problem, as a share of the mean."""

_GUESSED: dict[PathForm, float] = {"prose": 0.66, "brief": 0.66, "program": 0.39}
_GUESSES_RIGHT = 0.5
_GUESS_LIMIT = 1.4
"""How often a path that writes alone has a guess at its next token, how many are right, and how
many times one row two may cost for guesses to be made (engine/lookup.py): a little less than were
right, so that what is switched on gains."""

_Writer = tuple[PathKind, KindFigures]

_USUAL: dict[PathForm, KindFigures] = {
    "program": KindFigures(tokens=75, answers=0.9, right=0.6),
    "prose": KindFigures(tokens=280, answers=0.9, right=0.6),
    "brief": KindFigures(tokens=130, answers=0.9, right=0.55),
}
_USUAL_ACCEPTANCE = 0.55
_USUAL_CORRELATION = 0.5


class Speed(Struct, frozen=True, kw_only=True):
    """How fast one model is: tokens per second of prefill, and of decoding by number of rows,
    ``(rows, tokens per second of all of them)`` ascending from one row."""

    prefill: float
    decode: tuple[tuple[int, float], ...]

    @property
    def tokens_per_s(self) -> float:
        """Of one path that writes alone."""
        return self.decode[0][1]

    @property
    def guesses_pay(self) -> bool:
        """Whether two rows are so cheap that a guess at the next token is worth one."""
        return 2 in dict(self.decode) and self.round_s(2) < _GUESS_LIMIT * self.round_s(1)

    def round_s(self, rows: float) -> float:
        """Seconds of a call that decodes one token in each of so many rows.

        Linear between measured calls and beyond them, never less for more rows: a call that was
        measured to be faster than a smaller one was disturbed less.
        """
        points, slowest = [(0.0, 0.0)], 0.0
        for count, rate in self.decode:
            slowest = max(slowest, count / rate)
            points.append((float(count), slowest))
        right = min(max(1, bisect_left(points, (rows, -math.inf))), len(points) - 1)
        (x0, y0), (x1, y1) = points[right - 1], points[right]
        return y0 + (rows - x0) * (y1 - y0) / (x1 - x0)


class Prediction(Struct, frozen=True, kw_only=True):
    """Expected seconds of a run, its models loaded, and how often each wave is opened."""

    seconds: float
    opened: tuple[float, ...]


def ssd_token_s(
    draft: Speed, target: Speed, paths: int, acceptance: float, *, asks: bool = False
) -> float:
    """Seconds of a drafted token, verified and as often as it is rejected written anew, on so many
    SSD paths at once. ``asks``: the verifier puts a question after a step."""
    figures = KindFigures(tokens=1, right=0, acceptance=acceptance)
    one = (PathKind("draft", True), figures)
    speeds: Speeds = {"draft": draft, "target": target}
    return _rounds(*one) * _round_s([one] * paths, speeds, asks) / paths


def written_s(speed: Speed, paths: int, form: PathForm = "prose") -> float:
    """Seconds of a token that a model writes on so many paths at once, each by itself."""
    if paths > 1 or not speed.guesses_pay:
        return speed.round_s(paths) / paths
    one, two, share = speed.round_s(1), speed.round_s(2), _GUESSED[form]
    return (one + share * (two - one)) / (1 + share * _GUESSES_RIGHT)


def break_even(draft: Speed, target: Speed, paths: int, *, asks: bool = False) -> float | None:
    """The acceptance from which SSD is no slower than the target writing as many paths alone; None
    when even 1 is too little."""
    own = written_s(target, paths)

    def is_slower(acceptance: float) -> bool:
        return ssd_token_s(draft, target, paths, acceptance, asks=asks) > own

    low, high = 0.0, 1.0
    if is_slower(high):
        return None
    if not is_slower(low):
        return 0.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if is_slower(middle) else (low, middle)
    return high


def predict(
    plan: Plan, speeds: Speeds, profile: Profile | None, *, asks: bool = False
) -> Prediction:
    """Expected seconds of a plan on these speeds, with a pair's figures of paths.

    Kinds of path that were not measured count like the same form by the target, and without a
    profile like the default pair's. Raises ``UsageError`` when a model's speed is not known.
    """
    missing = [role for role in plan.roles if role not in speeds]
    if missing:
        raise UsageError(f"No speed of the {missing[0]} is known.")
    seconds, reached, opened = 0.0, 1.0, list[float]()
    seen: list[KindFigures] = []
    prefilled: set[tuple[str, ...]] = set()
    for wave in plan.waves:
        opened.append(reached)
        begun = _prefill_s(wave, speeds, profile, prefilled)
        writing, ended, still_open = _writing(wave, speeds, profile, seen, asks)
        seconds += reached * (begun + writing)
        reached *= still_open
        seen = [] if wave.rule == "first" else ended  # after that none has an answer
    return Prediction(seconds=seconds, opened=tuple(opened))


def figures_of(kind: PathKind, profile: Profile | None) -> KindFigures:
    """What is known of paths of this kind, or of those most like it."""
    known = profile.kinds if profile else {}
    like = (kind, PathKind(kind.writer, False, kind.form), PathKind("target", False, kind.form))
    names = map(kind_name, like)
    return next((known[name] for name in names if name in known), _USUAL[kind.form])


def figures_on(profile: Profile | None, problems: str) -> Profile | None:
    """A profile with what was measured of paths on such problems, by their name in ``plans_for``,
    before what was on its usual ones."""
    if profile is None or problems not in profile.plans_for:
        return profile
    return replace(profile, kinds=profile.kinds | profile.plans_for[problems].kinds)


def kind_name(kind: PathKind) -> str:
    """A kind as a profile names it: "program:target", "prose:ssd"."""
    return f"{kind.form}:{'ssd' if kind.verified else kind.writer}"


def undecided(
    rule: Rule, ended: Sequence[KindFigures], correlation: float, num_live: int = 0
) -> float:
    """The chance that a rule does not hold when these paths have ended and so many still write.

    Of ``correlation`` of the problems one luck decides over all paths, on the others each has its
    own: two samples of one problem are alike, and agreement is rarer than without. Wrong answers
    count as all different.
    """
    if rule == "all":
        return 1.0
    shares = sorted((one.answers if rule == "first" else one.right) for one in ended)
    num = len(shares)
    bounds = (0.0, *shares, 1.0)
    alike = [bounds[num - k + 1] - bounds[num - k] for k in range(num + 1)]
    apart = [1.0]  # the chance that so many are right
    for share in shares:
        none, one = (*apart, 0.0), (0.0, *apart)
        apart = [a * (1 - share) + b * share for a, b in zip(none, one, strict=True)]

    def is_enough(right: int) -> bool:
        if rule == "decided":
            return right > min(1, num - right) + num_live
        return right >= (1 if rule == "first" else 2)

    chances = zip(alike, apart, strict=True)
    mixed = (correlation * a + (1 - correlation) * b for a, b in chances)
    return math.fsum(chance for right, chance in enumerate(mixed) if not is_enough(right))


def correlation_of(profile: Profile | None) -> float:
    """How alike the paths of one problem are, 0 to 1: what makes two forms agree as often as was
    measured."""
    measured = profile.agree if profile else None
    if profile is None or measured is None or measured.num == 0:
        return _USUAL_CORRELATION
    words: PathForm = "brief" if "brief:target" in profile.kinds else "prose"
    one, two = (figures_of(PathKind(form=form), profile).right for form in (words, "program"))
    apart, together = one * two, min(one, two)
    if together <= apart:
        return _USUAL_CORRELATION
    return min(1.0, max(0.0, (measured.same / measured.num - apart) / (together - apart)))


def _prefill_s(
    wave: Wave, speeds: Speeds, profile: Profile | None, prefilled: set[tuple[str, ...]]
) -> float:
    """What has to be read before a wave's paths can write, without what was read before."""
    prompt = (profile and profile.prompt_tokens) or PROMPT_TOKENS
    seconds = 0.0

    def read(role: ModelRole, tokens: float, *what: str) -> None:
        nonlocal seconds
        if (role, *what) not in prefilled:
            prefilled.add((role, *what))
            seconds += tokens / speeds[role].prefill

    for index, path in enumerate(wave.paths):
        if path.strategy == SELECTED:
            read("target", SELECTION_TOKENS, "selection")
        for role in path.kind.roles:
            read(role, prompt, "prompt")
            after = INSTRUCTION_TOKENS + (ADVICE_TOKENS if path.strategy else 0)
            # Paths on selected strategies are on different ones.
            own = (str(index),) if path.strategy == SELECTED else ()
            read(role, after, path.kind.form, path.strategy, *own)
    return seconds


def _writing(
    wave: Wave, speeds: Speeds, profile: Profile | None, before: list[KindFigures], asks: bool
) -> tuple[float, list[KindFigures], float]:
    """Seconds of a wave's rounds, the paths that have ended with it, and the chance that its rule
    does not hold then."""
    correlation = correlation_of(profile)
    known = [(path.kind, figures_of(path.kind, profile)) for path in wave.paths]
    left = sorted(zip(_lengths(known), range(len(known)), strict=True), reverse=True)
    seconds, now, ended = 0.0, 0.0, list(before)
    start = undecided(wave.rule, before, correlation, len(left))
    still = 1.0
    while left:
        rounds, index = left[-1]
        if rounds > now:
            batch = [known[i] for _, i in left]
            seconds += still * (rounds - now) * _round_s(batch, speeds, asks)
            now = rounds
        left.pop()
        ended.append(known[index][1])
        now_open = undecided(wave.rule, ended, correlation, len(left))
        still = now_open / start if start else 0.0
    return seconds, ended, still


def _lengths(known: Sequence[_Writer]) -> list[float]:
    """Rounds of each path: of several alike the shortest, the next ..., as normal lengths are."""
    seen: dict[_Writer, int] = {}
    lengths = []
    for one in known:
        rank, num = seen.get(one, 0), known.count(one)
        seen[one] = rank + 1
        off = NormalDist().inv_cdf((rank + 1 - 0.375) / (num + 0.25))  # Blom 1958
        lengths.append(_rounds(*one) * max(0.1, 1 + SPREAD * off))
    return lengths


def _rounds(kind: PathKind, figures: KindFigures) -> float:
    """Rounds that a path takes part in; on an SSD path a token is drafted or written anew."""
    if not kind.verified:
        return figures.tokens
    share, rejected = _acceptance(figures), _rejected(figures)
    return figures.tokens / (share + rejected) * (1 + rejected)


def _round_s(batch: Sequence[_Writer], speeds: Speeds, asks: bool) -> float:
    """Expected seconds of a round of all who write, with the verification that it brings.

    SSD paths are at their drafts or at rewriting independently of one another, so that both
    models' calls are seldom full.
    """
    verified = [figures for kind, figures in batch if kind.verified]
    drafting = sum(kind.writer == "draft" and not kind.verified for kind, _ in batch)
    writing = len(batch) - drafting - len(verified)

    def call_s(role: ModelRole, rows: int) -> float:
        return speeds[role].round_s(rows) if rows else 0.0

    if len(batch) == 1 and not verified:
        ((kind, _),) = batch
        return written_s(speeds[kind.writer], 1, kind.form)
    if not verified:
        return call_s("draft", drafting) + call_s("target", writing)
    num = len(verified)
    at_drafts = sum(1 / (1 + _rejected(one)) for one in verified) / num
    calls = sum(
        math.comb(num, k)
        * at_drafts**k
        * (1 - at_drafts) ** (num - k)
        * (call_s("draft", drafting + k) + call_s("target", writing + num - k))
        for k in range(num + 1)
    )
    question = PROBE_TOKENS / STEP_TOKENS if asks else 0.0
    read = at_drafts * (1 + question) / speeds["target"].prefill
    return calls + num * (read + (1 - at_drafts) / speeds["draft"].prefill)


def _rejected(figures: KindFigures) -> float:
    """Tokens written anew for one that is drafted."""
    return (1 - _acceptance(figures)) * figures.rewrite


def _acceptance(figures: KindFigures) -> float:
    return _USUAL_ACCEPTANCE if figures.acceptance is None else figures.acceptance
