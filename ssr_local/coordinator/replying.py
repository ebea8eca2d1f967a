"""A short reply of the target's to a question about existing steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssr_local.coordinator.prompter import Prompter
from ssr_local.coordinator.reading import reserve
from ssr_local.core.records import UNKNOWN_LETTER
from ssr_local.engine.base import Engine, Sampling, StepJob, decode_steps
from ssr_local.method.pools import Pool
from ssr_local.method.steps import THINK_OPEN, is_thinking

_GREEDY = Sampling(temperature=0.0, top_p=1.0, seed=0)


def reply(
    engine: Engine,
    prompter: Prompter,
    pool: Pool,
    problem: str,
    question: str,
    prefix_steps: Sequence[str],
    max_tokens: int,
) -> Iterator[str]:
    """The pieces of what the model says to ``question``, at most one paragraph.

    ``prefix_steps`` are the steps written after the problem. Raises ``ProblemError`` when there
    is no room for them.
    """
    (prompt,) = prompter.paths(problem, [pool.by_letter(UNKNOWN_LETTER)], prefix_steps)
    text = (f"{THINK_OPEN}\n" if prompter.opens_thinking else "") + "".join(prefix_steps)
    prompt += prompter.question(question, is_thinking(text))
    reserve(engine, len(prompt) + max_tokens)
    try:
        job = StepJob(engine.open(prompt), max_tokens, _GREEDY)
        for delta in decode_steps(engine, [job]):
            yield delta.text
    finally:
        engine.clear()
