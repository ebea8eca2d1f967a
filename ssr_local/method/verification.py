"""From log-probabilities to a verdict on one drafted step. Pure.

A verifier reads one raw value from what the target returned; a calibration maps it to
the scale 0 to 9, so that a threshold means the same under every verifier (docs/method.md,
section 2). To add a verifier, write its function, enter it in ``VERIFIERS`` and name it in
``options.VerifierName``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from ssr_local.core.records import Calibration, Verdict
from ssr_local.method.prompts import DIGIT, QUESTIONS, Question

MAX_SCORE = 9.0
_DIGITS = frozenset(b"0123456789")

# With no calibration for a pair, a step is compared with the run's own steps so far; this
# is the score of one exactly as likely as they are, and how fast the score moves with the
# distance in deviations. A first step is compared with a typical small model's steps.
_RELATIVE_CENTRE = 7.0
_RELATIVE_SLOPE = 2.0
_PRIOR_MEAN, _PRIOR_DEVIATION, _PRIOR_WEIGHT = -0.3, 0.35, 4.0


class Reading(Struct, frozen=True, kw_only=True):
    """What the target returned for one step.

    ``probe`` has the log-probabilities of the probe's candidates, ``tokens`` the
    log-probability of each of the step's tokens, all in nats, ``digits`` the indices of those
    tokens that hold a digit; None where not asked for.
    """

    probe: tuple[float, ...] | None = None
    tokens: tuple[float, ...] | None = None
    digits: tuple[int, ...] | None = None


class Readable(Protocol):
    """A step that was read before, with all that may be asked of it."""

    @property
    def log_probs(self) -> tuple[float, ...]: ...
    @property
    def digits(self) -> tuple[int, ...] | None: ...
    @property
    def probes(self) -> Mapping[str, tuple[float, ...]]: ...


def reading_of(step: Readable, question: tuple[str, str] | None) -> Reading:
    """What a run would have of the step under this question, None for none."""
    probe = None if question is None else step.probes.get("/".join(question))
    return Reading(probe=probe, tokens=step.log_probs, digits=step.digits)


def indices_of_digits(pieces: Sequence[bytes]) -> tuple[int, ...]:
    """The indices of the tokens that hold a digit."""
    return tuple(index for index, piece in enumerate(pieces) if not _DIGITS.isdisjoint(piece))


class Verifier(Struct, frozen=True, kw_only=True):
    """How one verifier works.

    ``question`` is what its probe asks (a key of ``prompts.QUESTIONS``), None when it asks
    nothing. ``raw`` turns a reading into a value, NaN when it cannot be read.
    """

    name: str
    question: tuple[str, str] | None = None
    needs_tokens: bool = False
    needs_digits: bool = False
    raw: Callable[[Reading], float]


def most_likely_digit(reading: Reading) -> float:
    """The digit the target would say (the paper's greedy score), 0 to 9."""
    probe = reading.probe
    if not probe or any(map(math.isnan, probe)) or not math.isfinite(max(probe)):
        return math.nan
    return float(max(range(len(probe)), key=probe.__getitem__))


def mean_likelihood(reading: Reading) -> float:
    """Mean log-probability of the step's tokens, nats a token."""
    if not reading.tokens:
        return math.nan
    return math.fsum(reading.tokens) / len(reading.tokens)


def lowest_likelihood(reading: Reading) -> float:
    """Log-probability of the step's least likely token, nats."""
    return _lowest(reading.tokens) if reading.tokens else math.nan


def number_likelihood(reading: Reading) -> float:
    """Log-probability of the least likely token that holds a digit, nats; 0 without numbers.

    A person's words are none a model would choose; the numbers are the same when right.
    """
    if reading.tokens is None or reading.digits is None:
        return math.nan
    numbers = tuple(reading.tokens[index] for index in reading.digits)
    return _lowest(numbers) if numbers else 0.0


VERIFIERS: dict[str, Verifier] = {
    verifier.name: verifier
    for verifier in (
        Verifier(name="min-likelihood", needs_tokens=True, raw=lowest_likelihood),
        Verifier(
            name="number-likelihood", needs_tokens=True, needs_digits=True, raw=number_likelihood
        ),
        Verifier(name="likelihood", needs_tokens=True, raw=mean_likelihood),
        Verifier(name="digit", question=DIGIT, raw=most_likely_digit),
    )
}

# The paper's verifier speaks the scale already, and how likely a number is means much the same
# under any model: one in four is 7, one in three thousand is 0.
_SELF_CALIBRATED = {
    "digit": Calibration(knots=((0.0, 0.0), (MAX_SCORE, MAX_SCORE))),
    "number-likelihood": Calibration(knots=((-8.0, 0.0), (-1.4, 7.0), (0.0, MAX_SCORE))),
}


class Judge:
    """Turns readings into verdicts for one run.

    With no calibration for the verifier it falls back to the likelihood relative to the
    run's own steps, and ``notice`` says so, and ``to_calibrate``, how to get one; so it has a
    memory, of three numbers.
    """

    def __init__(
        self,
        verifier: str,
        threshold: float,
        calibrations: Mapping[str, Calibration],
        to_calibrate: str = "",
    ) -> None:
        calibration = (_SELF_CALIBRATED | dict(calibrations)).get(verifier)
        self._knots = calibration.knots if calibration else None
        self._threshold = threshold
        self.notice = (
            f"There is no calibration of the verifier {verifier!r} for this pair: steps are scored"
            " by their likelihood relative to this run's own steps."
            + (f" To get one: {to_calibrate}." if to_calibrate else "")
            if calibration is None
            else ""
        )
        self.verifier = VERIFIERS["likelihood" if calibration is None else verifier]
        asked = self.verifier.question
        self.question: Question | None = None if asked is None else QUESTIONS[asked]
        self._weight = _PRIOR_WEIGHT
        self._mean = _PRIOR_MEAN
        self._squares = _PRIOR_WEIGHT * _PRIOR_DEVIATION**2

    def verdict_on(self, step: Readable) -> Verdict:
        """The verdict on a step that was read with this judge's question."""
        return self.verdict(reading_of(step, self.verifier.question))

    def verdict(self, reading: Reading) -> Verdict:
        """The verdict on one step; what cannot be read is rejected, with the reason."""
        raw = self.verifier.raw(reading)
        mean = mean_likelihood(reading)
        words = self.question.words if self.question else ()
        shown = tuple(zip(words, reading.probe or (), strict=False))
        if not math.isfinite(raw):
            return Verdict(
                score=None,
                accepted=False,
                verifier=self.verifier.name,
                reason="the verifier read no number: the model's output there was not finite"
                " or gave none of the candidates any probability",
                log_probs=tuple((name, _finite(value)) for name, value in shown),
            )
        score = self._relative_score(raw) if self._knots is None else interpolate(self._knots, raw)
        return Verdict(
            score=score,
            accepted=score >= self._threshold,
            verifier=self.verifier.name,
            raw=raw,
            log_probs=tuple((name, _finite(value)) for name, value in shown),
            mean_log_prob=mean if math.isfinite(mean) else None,
        )

    def _relative_score(self, raw: float) -> float:
        deviation = math.sqrt(self._squares / self._weight) or 1.0
        score = _RELATIVE_CENTRE + _RELATIVE_SLOPE * (raw - self._mean) / deviation
        self._weight += 1
        step = raw - self._mean
        self._mean += step / self._weight
        self._squares += step * (raw - self._mean)
        return min(MAX_SCORE, max(0.0, score))


def interpolate(knots: Sequence[tuple[float, float]], raw: float) -> float:
    """The calibrated score, 0 to 9: linear between knots, flat outside them."""
    below = knots[0]
    for knot in knots:
        if raw < knot[0]:
            if knot is below:
                return knot[1]
            share = (raw - below[0]) / (knot[0] - below[0])
            return below[1] + share * (knot[1] - below[1])
        below = knot
    return knots[-1][1]


def _lowest(log_probs: tuple[float, ...]) -> float:
    """The lowest; NaN when any is, which ``min`` may pass over."""
    return math.nan if any(map(math.isnan, log_probs)) else min(log_probs)


def _finite(value: float) -> float:
    """JSON has no infinities: what has no probability is shown as -1000 nats."""
    return value if math.isfinite(value) else -1000.0
