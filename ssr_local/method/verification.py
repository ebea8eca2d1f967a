"""From log-probabilities to a verdict on one drafted step. Pure.

A verifier reads one raw value from what the target returned; a calibration maps it to
the scale 0 to 9, so that a threshold means the same under every verifier (ssr.md,
section 2). To add a verifier, write its function and enter it in ``VERIFIERS``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from ssr_local.core.records import Calibration, StepReading, Verdict
from ssr_local.method.prompts import QUESTIONS, Question

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
    log-probability of each of the step's tokens, ``numbers`` those of the tokens that hold a
    digit, all in nats; None where not asked for.
    """

    probe: tuple[float, ...] | None = None
    tokens: tuple[float, ...] | None = None
    numbers: tuple[float, ...] | None = None

    @classmethod
    def of(
        cls,
        probe: tuple[float, ...] | None,
        tokens: tuple[float, ...] | None,
        digits: Sequence[int] | None,
    ) -> Reading:
        """The reading; ``digits`` are the places of the tokens that hold a digit."""
        numbers = None
        if tokens is not None and digits is not None:
            numbers = tuple(tokens[place] for place in digits)
        return cls(probe=probe, tokens=tokens, numbers=numbers)


class Readable(Protocol):
    """A step that was read before, with all that may be asked of it."""

    @property
    def log_probs(self) -> tuple[float, ...]: ...
    @property
    def digits(self) -> tuple[int, ...] | None: ...
    @property
    def probes(self) -> Mapping[str, tuple[float, ...]]: ...


def reading_of(step: Readable, question: str | None, wording: str) -> Reading:
    """What a run would have of the step under this question, None for none."""
    probe = None if question is None else step.probes.get(f"{question}/{wording}")
    return Reading.of(probe, step.log_probs, step.digits)


def places_of_digits(pieces: Sequence[bytes]) -> tuple[int, ...]:
    """The places, from 0, of the tokens that hold a digit."""
    return tuple(place for place, piece in enumerate(pieces) if not _DIGITS.isdisjoint(piece))


class Verifier(Struct, frozen=True, kw_only=True):
    """How one verifier works.

    ``question`` is the kind of question its probe asks (``prompts.QUESTIONS``), None when it
    asks nothing; the wording is that of ``worded_by``'s calibration. ``raw`` turns a reading
    into a value, NaN when it cannot be read.
    """

    name: str
    question: str | None
    worded_by: str = ""
    needs_tokens: bool = False
    needs_digits: bool = False
    raw: Callable[[Reading, Mapping[str, Calibration]], float]


def expected_digit(reading: Reading, _: Mapping[str, Calibration]) -> float:
    """The mean digit under the ten digits' probabilities, 0 to 9."""
    weights = _share(reading.probe)
    return math.fsum(digit * weight for digit, weight in enumerate(weights))


def most_likely_digit(reading: Reading, _: Mapping[str, Calibration]) -> float:
    """The digit the target would say (the paper's greedy score), 0 to 9."""
    weights = _share(reading.probe)
    if any(math.isnan(weight) for weight in weights):
        return math.nan
    return float(max(range(len(weights)), key=weights.__getitem__))


def yes_no(reading: Reading, _: Mapping[str, Calibration]) -> float:
    """The probability of the word for a good step among the two words, 0 to 1."""
    return _share(reading.probe)[0]


def mean_likelihood(reading: Reading, _: Mapping[str, Calibration]) -> float:
    """Mean log-probability of the step's tokens, nats a token."""
    if not reading.tokens:
        return math.nan
    return math.fsum(reading.tokens) / len(reading.tokens)


def lowest_likelihood(reading: Reading, _: Mapping[str, Calibration]) -> float:
    """Log-probability of the step's least likely token, nats."""
    return _lowest(reading.tokens) if reading.tokens else math.nan


def number_likelihood(reading: Reading, _: Mapping[str, Calibration]) -> float:
    """Log-probability of the least likely token that holds a digit, nats; 0 without numbers.

    A person's words are none a model would choose; the numbers are the same when right.
    """
    if reading.numbers is None:
        return math.nan
    return _lowest(reading.numbers) if reading.numbers else 0.0


def combined(reading: Reading, calibrations: Mapping[str, Calibration]) -> float:
    """Standardised yes-no plus standardised mean likelihood, in deviations."""
    return standardise(yes_no(reading, {}), calibrations["yes-no"]) + standardise(
        mean_likelihood(reading, {}), calibrations["likelihood"]
    )


VERIFIERS: dict[str, Verifier] = {
    verifier.name: verifier
    for verifier in (
        Verifier(
            name="combined",
            question="yes-no",
            worded_by="yes-no",
            needs_tokens=True,
            raw=combined,
        ),
        Verifier(name="yes-no", question="yes-no", worded_by="yes-no", raw=yes_no),
        Verifier(name="likelihood", question=None, needs_tokens=True, raw=mean_likelihood),
        Verifier(name="min-likelihood", question=None, needs_tokens=True, raw=lowest_likelihood),
        Verifier(
            name="number-likelihood",
            question=None,
            needs_tokens=True,
            needs_digits=True,
            raw=number_likelihood,
        ),
        Verifier(
            name="digit",
            question="digit",
            worded_by="digit",
            raw=most_likely_digit,
        ),
        Verifier(
            name="expected-digit",
            question="digit",
            worded_by="expected-digit",
            raw=expected_digit,
        ),
    )
}

_REQUIRED = {"combined": ("yes-no", "likelihood", "combined")}
# The paper's verifiers speak the scale already, and how likely a number is means much the same
# under any model: one in four is 7, one in three thousand is 0.
_SELF_CALIBRATED = {
    **dict.fromkeys(
        ("digit", "expected-digit"), Calibration(knots=((0.0, 0.0), (MAX_SCORE, MAX_SCORE)))
    ),
    "number-likelihood": Calibration(knots=((-8.0, 0.0), (-1.4, 7.0), (0.0, MAX_SCORE))),
}


class Judge:
    """Turns readings into verdicts for one run.

    With no calibration for the verifier it falls back to the likelihood relative to the
    run's own steps, and ``notice`` says so; so it has a memory, of three numbers.
    """

    def __init__(
        self, verifier: str, threshold: float, calibrations: Mapping[str, Calibration]
    ) -> None:
        self._calibrations = _SELF_CALIBRATED | dict(calibrations)
        self._threshold = threshold
        self._relative = any(
            name not in self._calibrations for name in _REQUIRED.get(verifier, (verifier,))
        )
        self.notice = (
            f"There is no calibration of the verifier {verifier!r} for this pair: steps are scored"
            " by their likelihood relative to this run's own steps."
            if self._relative
            else ""
        )
        self.verifier = VERIFIERS["likelihood" if self._relative else verifier]
        self.wording, self.question = self._worded()
        self._weight = _PRIOR_WEIGHT
        self._mean = _PRIOR_MEAN
        self._squares = _PRIOR_WEIGHT * _PRIOR_DEVIATION**2

    def verdict_on(self, step: StepReading) -> Verdict:
        """The verdict on a step that was read with this judge's question."""
        return self.verdict(reading_of(step, self.verifier.question, self.wording))

    def verdict(self, reading: Reading) -> Verdict:
        """The verdict on one step; what cannot be read is rejected, with the reason."""
        raw = self.verifier.raw(reading, self._calibrations)
        mean = mean_likelihood(reading, {})
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
        score = self._relative_score(raw) if self._relative else self._score(raw)
        return Verdict(
            score=score,
            accepted=score >= self._threshold,
            verifier=self.verifier.name,
            raw=raw,
            log_probs=tuple((name, _finite(value)) for name, value in shown),
            mean_log_prob=mean if math.isfinite(mean) else None,
        )

    def _worded(self) -> tuple[str, Question | None]:
        """The name of the question's wording and the question; none where nothing is asked."""
        if self.verifier.question is None:
            return "", None
        wordings = QUESTIONS[self.verifier.question]
        wording = self._calibrations[self.verifier.worded_by].wording or next(iter(wordings))
        return wording, wordings[wording]

    def _score(self, raw: float) -> float:
        return interpolate(self._calibrations[self.verifier.name].knots, raw)

    def _relative_score(self, raw: float) -> float:
        deviation = math.sqrt(self._squares / self._weight) or 1.0
        score = _RELATIVE_CENTRE + _RELATIVE_SLOPE * (raw - self._mean) / deviation
        self._weight += 1
        step = raw - self._mean
        self._mean += step / self._weight
        self._squares += step * (raw - self._mean)
        return min(MAX_SCORE, max(0.0, score))


def standardise(raw: float, calibration: Calibration) -> float:
    """``raw`` in deviations from the calibration's mean."""
    return (raw - calibration.mean) / calibration.deviation


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


def _share(log_probs: tuple[float, ...] | None) -> list[float]:
    """Probabilities among the candidates alone; NaN when none has any."""
    if not log_probs or any(math.isnan(value) for value in log_probs):
        return [math.nan] * max(1, len(log_probs or ()))
    top = max(log_probs)
    if not math.isfinite(top):
        return [math.nan] * len(log_probs)
    weights = [math.exp(value - top) for value in log_probs]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def _finite(value: float) -> float:
    """JSON has no infinities: what has no probability is shown as -1000 nats."""
    return value if math.isfinite(value) else -1000.0
