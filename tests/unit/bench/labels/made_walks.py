"""Labelled steps made up for tests, with verifiers planted in them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from ssr_local.bench.records import LabelledStep, Rate, Walk
from ssr_local.core.records import Models

SAMPLES = 6


def digits(mean: float) -> tuple[float, ...]:
    """Log-probabilities of ten digits, falling off around ``mean``."""
    weights = [math.exp(-((digit - mean) ** 2) / 4) for digit in range(10)]
    return tuple(math.log(weight / sum(weights)) for weight in weights)


def step(bad: bool = False, **changes: Any) -> LabelledStep:
    """A step that keeps 5 of 6 rollouts right, or leaves 1 when it is bad."""
    fields: dict[str, Any] = {
        "author": "draft",
        "given": (),
        "text": "a step\n\n",
        "before": Rate(5, SAMPLES),
        "after": Rate(1 if bad else 5, SAMPLES),
        "states_answer": False,
        "log_probs": (-0.3, -0.3),
        "probes": {},
    }
    return LabelledStep(**(fields | changes))


def walk(problem: str, steps: Sequence[LabelledStep], **changes: Any) -> Walk:
    """One problem's steps, before which every rollout but one is right."""
    fields: dict[str, Any] = {
        "task": "gsm8k",
        "problem": problem,
        "reference": "1",
        "samples": SAMPLES,
        "seed": 0,
        "start": Rate(5, SAMPLES),
        "steps": tuple(steps),
        "models": Models(),
        "elapsed_s": 1.0,
        "version": "0.1",
        "prompt_hash": "0123456789ab",
        "machine": "A processor, 2 cores",
        "started_at": "2025-01-02T00:00:00+00:00",
    }
    return Walk(**(fields | changes))


def planted(
    signals: Mapping[str, float],
    *,
    num_problems: int = 40,
    num_steps: int = 6,
    bad_share: float = 0.3,
    seed: int = 0,
) -> list[Walk]:
    """Problems whose bad steps have lower values, by so many deviations, of what is named.

    Names are "likelihood" (of all tokens), "number" (of those that hold a digit) and "digit"; what
    is not named knows nothing of the label.
    """
    rng = random.Random(seed)

    def one(index: int) -> LabelledStep:
        bad = rng.random() < bad_share

        def value(name: str) -> float:
            return rng.gauss(-signals.get(name, 0.0) if bad else 0.0, 1.0)

        probes = {"digit/rate": digits(6 + value("digit"))}
        words = (-0.5 + 0.05 * value("likelihood"),) * rng.randint(3, 40)
        numbers = (-0.5 + 0.05 * value("number"),) * 2
        prefix = tuple(f"step {number}" for number in range(index))
        return step(bad, given=prefix, log_probs=(*numbers, *words), digits=(0, 1), probes=probes)

    return [walk(str(p), [one(index) for index in range(num_steps)]) for p in range(num_problems)]
