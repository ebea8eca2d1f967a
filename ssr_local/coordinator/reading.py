"""What the target makes of existing steps, unjudged, and what it says about them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ssr_local.coordinator.prompter import Beginning, Prompter
from ssr_local.core.errors import DecodeError, ProblemError
from ssr_local.core.records import StepReading
from ssr_local.engine.base import Engine, Extended, ExtendJob, Sampling, StepJob, decode_steps
from ssr_local.method.prompts import QUESTIONS
from ssr_local.method.steps import is_thinking
from ssr_local.method.verification import indices_of_digits

_NO_PROBABILITY = -1000.0  # JSON has no infinities
_TOKENS_FOR_PROBES = 128


def read_steps(
    engine: Engine,
    prompter: Prompter,
    path: Beginning,
    steps: Sequence[str],
    questions: Sequence[tuple[str, str]],
) -> Iterator[StepReading]:
    """What the target makes of each step, given the path's beginning and the steps before it.

    ``questions`` are (kind, wording) pairs of ``prompts.QUESTIONS``. Every step is prefilled
    once, every question's probe after it and then forgotten. Raises ``ProblemError`` when
    there is no room, ``DecodeError`` when the model's output is not a number.
    """
    tokens = [prompter.step(step) for step in steps]
    _reserve(engine, len(path.tokens) + sum(map(len, tokens)) + _TOKENS_FOR_PROBES)
    try:
        seq_id = engine.open(path.tokens)
        text = path.text
        for step, step_tokens in zip(steps, tokens, strict=True):
            text += step
            yield _read(engine, prompter, seq_id, step, step_tokens, questions, is_thinking(text))
    finally:
        engine.clear()


def reply(
    engine: Engine, prompter: Prompter, path: Beginning, question: str, max_tokens: int
) -> Iterator[str]:
    """The pieces of what the model says to ``question``, at most one paragraph.

    Raises ``ProblemError`` when there is no room for them.
    """
    prompt = path.tokens + prompter.question(question, is_thinking(path.text))
    _reserve(engine, len(prompt) + max_tokens)
    try:
        job = StepJob(engine.open(prompt), max_tokens, Sampling(temperature=0))
        for delta in decode_steps(engine, [job]):
            yield delta.text
    finally:
        engine.clear()


def _reserve(engine: Engine, num_tokens: int) -> None:
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
        digits=indices_of_digits(engine.pieces(tokens)),
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
