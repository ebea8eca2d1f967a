"""The target's log-probabilities of existing steps: what every verifier would see, unjudged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ssr_local.coordinator.prompter import Prompter
from ssr_local.core.errors import DecodeError, ProblemError
from ssr_local.core.records import UNKNOWN_LETTER, StepReading
from ssr_local.engine.base import Engine, Extended, ExtendJob
from ssr_local.method.pools import Pool
from ssr_local.method.prompts import QUESTIONS
from ssr_local.method.steps import THINK_OPEN, is_thinking
from ssr_local.method.verification import places_of_digits

_NO_PROBABILITY = -1000.0  # JSON has no infinities
_TOKENS_FOR_PROBES = 128


def read_steps(
    engine: Engine,
    prompter: Prompter,
    pool: Pool,
    problem: str,
    steps: Sequence[str],
    questions: Sequence[tuple[str, str]],
    prefix_steps: Sequence[str] = (),
) -> Iterator[StepReading]:
    """What the target makes of each step, given the problem and the steps before it.

    ``prefix_steps`` come before them all and are not asked about. ``questions`` are (kind,
    wording) pairs of ``prompts.QUESTIONS``. Every step is prefilled once, every question's
    probe after it and then forgotten. Raises ``ProblemError`` when there is no room,
    ``DecodeError`` when the model's output is not a number.
    """
    (prompt,) = prompter.paths(problem, [pool.by_letter(UNKNOWN_LETTER)], prefix_steps)
    tokens = [prompter.step(step) for step in steps]
    needed = len(prompt) + sum(map(len, tokens)) + _TOKENS_FOR_PROBES
    reserve(engine, needed)
    try:
        seq_id = engine.open(prompt)
        text = f"{THINK_OPEN}\n" if prompter.opens_thinking else ""
        text += "".join(prefix_steps)
        for step, step_tokens in zip(steps, tokens, strict=True):
            text += step
            yield _read(engine, prompter, seq_id, step, step_tokens, questions, is_thinking(text))
    finally:
        engine.clear()


def reserve(engine: Engine, num_tokens: int) -> None:
    """Give the model a KV cache for so many tokens; raises ``ProblemError`` when it has none."""
    engine.reserve(num_tokens)
    if num_tokens > engine.max_tokens:
        raise ProblemError(
            f"Problem and steps are too long: they take {num_tokens} tokens,"
            f" and there is room for {engine.max_tokens} in {engine.info.name}.",
            "",
            "Shorten them, or give a larger --ctx if the model allows one.",
        )


def _read(
    engine: Engine,
    prompter: Prompter,
    seq_id: int,
    step: str,
    tokens: list[int],
    questions: Sequence[tuple[str, str]],
    thinking: bool,
) -> StepReading:
    (extended,) = engine.extend([ExtendJob(seq_id=seq_id, tokens=tokens, log_probs=True)])
    probes: dict[str, tuple[float, ...]] = {}
    for kind, wording in questions:
        job = ExtendJob(
            seq_id=seq_id,
            suffix=prompter.probe(kind, wording, thinking),
            candidates=prompter.candidates(QUESTIONS[kind, wording].words),
        )
        (answer,) = engine.extend([job])
        probes[f"{kind}/{wording}"] = _numbers(engine, answer, answer.probe)
    return StepReading(
        text=step,
        log_probs=_numbers(engine, extended, extended.log_probs),
        digits=places_of_digits(engine.pieces(tokens)),
        probes=probes,
    )


def _numbers(
    engine: Engine, extended: Extended, values: tuple[float, ...] | None
) -> tuple[float, ...]:
    if extended.no_room or values is None or any(math.isnan(value) for value in values):
        raise DecodeError(
            f"{engine.info.name} could not read a step.",
            f"{extended.no_room or 'its output was not a number'}.",
        )
    return tuple(max(value, _NO_PROBABILITY) for value in values)
