"""Frozen values that modules hand to one another.

Nothing here computes more than a property; everything is a ``msgspec.Struct`` and
therefore turns into JSON and back without code of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

ModelRole = Literal["draft", "target"]
"""Which of the two models."""

PathForm = Literal["prose", "brief", "program"]
"""What a path's text is: reasoning in words, the same in few words after worked examples, or a
program that computes the answer."""
"""What a path's text is: reasoning that states its answer, or code that is run for it."""

EndReason = Literal[
    "answered",
    "end_of_generation",
    "concluded",
    "empty_step",
    "repetition",
    "token_budget",
    "step_budget",
    "time_limit",
    "context_full",
    "kv_cache_full",
    "program_failed",
    "early_exit",
    "dropped",
    "cancelled",
]
"""Why a path ended (docs/method.md, section 2)."""

Comparison = Literal["equal", "different", "undecided"]
"""What can be said of two answers; "undecided" is not "different"."""

Status = Literal["answered", "no_answer", "cancelled"]

OptionValues = dict[str, str | int | float | bool | None]
"""Option names and the values that were in force."""

UNKNOWN_LETTER = "M"
"""The letter of the empty strategy: no advice."""

REWRITE_SCORE = 9.0
"""The score recorded for a step the target wrote itself (arXiv 2505.15340, section 3.2)."""

ALGEBRA = "algebra"
"""The verifier of a step that was rejected for an equation of it, without asking the target."""


class Strategy(Struct, frozen=True):
    """One way of attacking a problem: a letter, a short name and one sentence of advice."""

    letter: str
    name: str
    advice: str


Rule = Literal["all", "first", "agree", "decided"]
"""When a run is over: when all paths of the wave have ended, with the first answer, when two
paths have one answer, when no path that still writes can change the vote."""


class PathKind(Struct, frozen=True):
    """Who writes a path, whether the target verifies its steps, what its text is, and whether
    each token is the likeliest one, whatever the temperature."""

    writer: ModelRole = "target"
    verified: bool = False
    form: PathForm = "prose"
    greedy: bool = False

    @property
    def roles(self) -> tuple[ModelRole, ...]:
        """The models it needs."""
        return ("draft", "target") if self.verified else (self.writer,)


class ProgramRun(Struct, frozen=True):
    """A path's program and what came of it.

    ``value`` is the answer as mathematics, "3/4", ``shown`` the same with all digits; without a
    value ``failure`` says why in words. ``code`` is what was run, "" where the path has none.
    """

    code: str = ""
    value: str | None = None
    shown: str = ""
    failure: str = ""

    @property
    def words(self) -> str:
        """What came of it, in words."""
        if self.value is None:
            return f"the program has no answer: {self.failure}"
        exact = f" ({self.shown})" if self.shown not in ("", self.value) else ""
        return f"the program gives {self.value}{exact}"


class StrategyScore(Struct, frozen=True):
    """How promising the target found a strategy.

    ``score`` is a probability over the pool's letters where the selection mode gives
    one, else None. ``times_chosen`` counts the paths that follow it.
    """

    letter: str
    name: str
    score: float | None
    times_chosen: int


class Verdict(Struct, frozen=True):
    """The judgement of one drafted step: the target's, or algebra's (verifier "algebra").

    ``score`` is on the scale 0 to 9, ``raw`` what the verifier read before calibration.
    Both are None when nothing could be read: then the step counts as rejected and
    ``reason`` says why. ``log_probs`` (nats) holds the candidates the verifier read,
    ``mean_log_prob`` the step's mean likelihood, nats a token.
    """

    score: float | None
    accepted: bool
    verifier: str
    raw: float | None = None
    reason: str = ""
    log_probs: tuple[tuple[str, float], ...] = ()
    mean_log_prob: float | None = None


class StepReading(Struct, frozen=True, kw_only=True):
    """The target's log-probabilities of an existing step, whoever wrote it.

    ``log_probs`` are the log-probabilities (nats) of the step's tokens, ``digits`` the positions
    of those tokens that hold a digit. ``probes`` maps "question/wording"
    (``prompts.QUESTIONS``) to the log-probabilities of that question's words, in its order.
    A value is -1000 where there is no probability.
    """

    text: str
    log_probs: tuple[float, ...]
    digits: tuple[int, ...] = ()
    probes: dict[str, tuple[float, ...]]


class Step(Struct, frozen=True, kw_only=True):
    """One paragraph of reasoning as it stands in its path.

    ``score`` is the verdict's for a drafted step, 9 for a rewrite, None where nothing
    was verified. ``accepted`` is False when the draft's version was rejected; then
    ``draft_text`` and ``draft_score`` hold what was replaced. ``log_prob`` is the
    log-probability (nats) of its ``num_tokens`` tokens under their author, None where unknown.
    """

    text: str
    author: ModelRole
    score: float | None = None
    accepted: bool | None = None
    num_tokens: int = 0
    log_prob: float | None = None
    draft_text: str | UnsetType = UNSET
    draft_score: float | UnsetType | None = UNSET


def confidence(texts: Iterable[tuple[float | None, int]]) -> float | None:
    """The mean probability (geometric, 0 to 1) of tokens, given by the log-probability (nats) of
    each text and its number of tokens; None where it is unknown."""
    known = [(log_prob, count) for log_prob, count in texts if log_prob is not None]
    num_tokens = sum(count for _, count in known)
    return math.exp(math.fsum(one for one, _ in known) / num_tokens) if num_tokens else None


class ReasoningPath(Struct, frozen=True, kw_only=True):
    """One strategy being followed: its steps, why it ended, and the answer it stated.

    ``mean_score`` is the mean of the steps' scores (0 to 9), None without scored steps,
    ``confidence`` the mean probability of its tokens under who wrote them (geometric, 0 to 1), None
    where it is unknown. Versions before 0.2 did not say of which ``kind`` a path was. ``refuted``
    is the first equation in its steps that algebra refutes, as it was written, "" without one.
    """

    index: int
    strategy: str
    strategy_name: str
    selection_score: float | None
    steps: tuple[Step, ...] = ()
    end_reason: EndReason | None = None
    answer: str | None = None
    mean_score: float | None = None
    confidence: float | None = None
    kind: PathKind | None = None
    wave: int = 0
    program: ProgramRun | None = None
    refuted: str = ""

    @property
    def text(self) -> str:
        """All the steps' text, as the models wrote it."""
        return "".join(step.text for step in self.steps)


class VoteGroup(Struct, frozen=True, kw_only=True):
    """Paths whose answers are equivalent; ``answer`` is the form shown for all of them.

    ``refuted`` are those of the paths with a step that algebra refutes.
    """

    answer: str
    paths: tuple[int, ...]
    mean_score: float | None
    winner: bool = False
    refuted: tuple[int, ...] = ()

    @property
    def num_sound(self) -> int:
        """How many of its paths have no refuted step."""
        return len(self.paths) - len(self.refuted)

    @property
    def refuted_words(self) -> str:
        """Which of its paths are refuted, to be put after what is said of it; "" for none."""
        if not self.refuted:
            return ""
        numbers = ", ".join(str(path + 1) for path in self.refuted)
        return f", refuted by algebra: {numbers}"


class ModelUsage(Struct, frozen=True):
    """Tokens one model has worked through. ``num_parameters`` is for counting FLOPs."""

    prefill_tokens: int = 0
    decode_tokens: int = 0
    num_parameters: int = 0

    @property
    def decode_flops(self) -> float:
        """2 x parameters x decoded tokens, as the paper counts."""
        return 2.0 * self.num_parameters * self.decode_tokens

    @property
    def total_flops(self) -> float:
        """The same with prefilled tokens counted too."""
        return 2.0 * self.num_parameters * (self.decode_tokens + self.prefill_tokens)


class Usage(Struct, frozen=True):
    """Tokens of both models in one run."""

    draft: ModelUsage = ModelUsage()
    target: ModelUsage = ModelUsage()


class Timing(Struct, frozen=True):
    """Wall-clock seconds of one run by phase; ``total`` covers all of it.

    ``draft`` is what the draft wrote, ``rewrite`` what the target wrote in place of
    rejected steps, ``write`` what it wrote where nobody drafts. ``paused`` is how long the user
    had it stand still.
    """

    selection: float = 0.0
    prefill: float = 0.0
    draft: float = 0.0
    verify: float = 0.0
    rewrite: float = 0.0
    write: float = 0.0
    vote: float = 0.0
    paused: float = 0.0
    total: float = 0.0


class Flops(Struct, frozen=True):
    """Floating-point operations of one run: decoded tokens alone, and with prefill."""

    decode: float = 0.0
    total: float = 0.0


class ModelInfo(Struct, frozen=True, kw_only=True):
    """A loaded model as a run's result names it; ``engine`` is the library and its version."""

    name: str
    file: str
    sha256: str | None
    num_parameters: int
    num_vocab: int
    num_ctx: int
    device: str
    engine: str = ""
    kv_bytes: int = 0


class Models(Struct, frozen=True):
    """The pair a run used; a method that runs one model alone leaves the other None."""

    draft: ModelInfo | None = None
    target: ModelInfo | None = None


class RunResult(Struct, frozen=True, kw_only=True):
    """A run's result; ``ssr-local solve --json`` prints exactly this.

    ``options`` maps option names to the values that were in force, the seed included.
    ``acceptance_rate`` is accepted / drafted steps, None when nothing was verified.
    ``best_path`` is the index of the path to show when no path finished with an answer.
    ``plan`` is the plan that was followed, as ``method.plans`` writes it, and ``stopped`` says in
    words why no more of it was needed; ``waves`` says why each was opened, "" for the first.
    ``given`` are the steps every path began with, written by neither model. With several
    letter orders ``selection_orders`` has, for each, the letters it alone would have chosen.
    """

    problem: str
    answer: str | None
    status: Status
    paths: tuple[ReasoningPath, ...]
    votes: tuple[VoteGroup, ...]
    usage: Usage
    timing_s: Timing
    acceptance_rate: float | None
    flops: Flops
    options: OptionValues
    models: Models
    version: str
    num_steps: int = 0
    num_drafted: int = 0
    num_accepted: int = 0
    num_rewrites: int = 0
    best_path: int | None = None
    strategies: tuple[StrategyScore, ...] = ()
    notices: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    plan: str = ""
    stopped: str = ""
    waves: tuple[str, ...] = ()
    selection_orders: tuple[tuple[str, ...], ...] = ()


_Share = Annotated[float, Meta(ge=0, le=1)]
_Percent = Annotated[float, Meta(ge=0, le=100)]
_Count = Annotated[int, Meta(ge=0)]
_Amount = Annotated[float, Meta(gt=0, le=1e6)]


class KindFigures(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured of one kind of path: its mean tokens, and of ``num`` paths the shares with
    an answer and with the right one, 0 to 1.

    Of SSD paths ``acceptance`` is the share of drafted tokens that were kept, and ``rewrite`` how
    many the target wrote for one that was not.
    """

    tokens: _Amount
    answers: _Share = 1.0
    right: _Share
    num: _Count = 0
    acceptance: _Share | None = None
    rewrite: _Amount = 1.0


class PlanFigures(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured of one plan: of ``num`` problems how many it solved, in percent with the
    95 % interval, mean tokens, the share of drafted steps that were kept, and seconds as a multiple
    of the target's prose alone.
    """

    right: _Count
    num: _Count
    percent: tuple[_Percent, _Percent, _Percent]
    tokens: _Amount | None = None
    acceptance: _Share | None = None
    times_target: _Amount | None = None


class Agreement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On how many of ``num`` problems a program and a prose path had the same answer, and on how
    many of these it was right."""

    same: _Count
    right: _Count
    num: _Count


class EffortPlans(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The plan for each effort, as ``method.plans`` reads it, and what was measured of kinds of
    path, by "form:writer"."""

    quick: str
    normal: str
    thorough: str
    kinds: dict[str, KindFigures] = {}


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured of plans with one pair: the plan for each effort, as ``method.plans``
    reads it, in words what that rests on, and figures where there are some.

    ``plans_for`` has the plans where they differ: for a pool by its name, and for problems with
    formulas in LaTeX as "typeset".
    ``harmful`` names the strategies whose advice does harm with this pair: they are never
    selected. ``plans`` are by the plan's text, ``kinds`` by "form:writer". ``prompt_tokens`` is the
    mean of a problem's prompt; ``machine`` and ``date`` say where and when seconds were measured.
    """

    quick: str
    normal: str
    thorough: str
    note: str = ""
    plans_for: dict[str, EffortPlans] = {}
    harmful: tuple[str, ...] = ()
    plans: dict[str, PlanFigures] = {}
    kinds: dict[str, KindFigures] = {}
    agree: Agreement | None = None
    prompt_tokens: _Amount | None = None
    machine: str = ""
    date: str = ""


class Calibration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a verifier's raw value turns into a score from 0 to 9, for one pair.

    ``knots`` are (raw, score) pairs, both ascending; between them the map is linear, outside
    it is flat. ``auc``, ``samples`` and ``date`` say what evidence it rests on; ``note`` says
    it in words.
    """

    knots: tuple[tuple[float, float], ...]
    auc: float | None = None
    samples: int | None = None
    date: str | None = None
    note: str = ""
