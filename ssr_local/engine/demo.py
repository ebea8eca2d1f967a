"""The demonstration: one problem, played by two scripted models, no weights needed.

``SSR_LOCAL_DEMO_SPEED`` says how many times as fast as usual it plays; 0: without waiting.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from ssr_local.core.errors import UsageError
from ssr_local.core.options import EngineOptions
from ssr_local.core.records import Calibration, ModelRole
from ssr_local.engine.base import SEQUENCES
from ssr_local.engine.fake import FakeEngine, Script
from ssr_local.method.pools import LETTERS, PACKAGED, load_pool
from ssr_local.method.prompts import CONTENT_FREE
from ssr_local.models.models_file import PairSpec
from ssr_local.models.registry import DEMO_PAIR

SPEED_VARIABLE = "SSR_LOCAL_DEMO_SPEED"

PROBLEM = (
    "A farm has hens and cows. Together they have 30 heads and 84 legs. How many hens are there?"
)
NOTE = (
    "This is the demonstration: the same scripted run for every problem; no model is involved,"
    f" and what it answers is this: {PROBLEM}"
)
"""Said at the start of every run, for whoever asks something else."""
_ASSISTANT = "<|im_start|>assistant\n"
_USER = "<|im_start|>user\n"
_QUESTION = "<|im_end|>\n<|im_start|>user\n"
_PARAMETERS: Mapping[ModelRole, int] = {"draft": 500_000_000, "target": 1_500_000_000}
_TOKEN_S: Mapping[ModelRole, float] = {"draft": 0.015, "target": 0.03}

# The scripted probabilities are 0.9 and more for good steps, below 0.7 for bad ones, and a
# step's likelihood follows them. So the default threshold of 7 parts good from bad.
_EVIDENCE = "made for the demonstration's script"
# All tokens of a step are equally likely.
_LIKELIHOOD = Calibration(knots=((-0.5, 0.0), (-0.2, 6.0), (-0.1, 7.5), (0.0, 9.0)), note=_EVIDENCE)
_CALIBRATIONS = {
    "likelihood": _LIKELIHOOD,
    "min-likelihood": _LIKELIHOOD,
    "number-likelihood": _LIKELIHOOD,
}


class ScriptedStep(NamedTuple):
    """One step: the draft's text, the probability the target gives it, and the target's own."""

    draft: str
    yes: float
    target: str = ""


_PATHS: tuple[tuple[ScriptedStep, ...], ...] = (
    (
        ScriptedStep("Let h be the number of hens and c the number of cows.\n\n", 0.93),
        ScriptedStep("Heads give h + c = 30, and legs give 2h + 4c = 84.\n\n", 0.92),
        ScriptedStep(
            "Dividing the second equation by 2 gives h + 2c = 84.\n\n",
            0.61,
            "Dividing the second equation by 2 gives h + 2c = 42.\n\n",
        ),
        ScriptedStep("Subtracting the first equation leaves c = 12, so h = 18.\n\n", 0.91),
        ScriptedStep("There are \\boxed{18} hens.", 0.94),
    ),
    (
        ScriptedStep("Suppose all 30 animals were hens: they would have 60 legs.\n\n", 0.92),
        ScriptedStep("There are 84 - 60 = 24 legs more than that.\n\n", 0.93),
        ScriptedStep("Every cow adds 2 legs, so there are 24 / 2 = 12 cows.\n\n", 0.93),
        ScriptedStep("That leaves 30 - 12 = 18 hens, so the answer is \\boxed{18}.", 0.95),
    ),
    (
        ScriptedStep("Try half and half: 15 hens and 15 cows have 30 + 60 = 90 legs.\n\n", 0.91),
        ScriptedStep(
            "That is 6 legs too many, so 6 cows must become hens.\n\n",
            0.66,
            "That is 6 legs too many; turning a cow into a hen saves 2 legs.\n\n",
        ),
        ScriptedStep("So 15 + 6 = 21 of them are hens: \\boxed{21}.", 0.9),
    ),
)
_REPLY = "It does not follow from what stands before it."
_ANSWER = "\\boxed"  # what every problem asks for that has examples before it
_CHOICE = "Do not solve this yet."  # how the selection's prompt differs from a path's
_LETTERS = {"A": 0.3, "I": 0.22, "K": 0.18, "B": 0.1, "E": 0.06}
_OTHER_LETTER = 0.005


def is_typical(selection_prompt: str) -> bool:
    """Whether the problem that strategies are chosen for is one that they are compared with."""
    problem = selection_prompt.rpartition("Problem: ")[2].partition(_CHOICE)[0].strip()
    return problem in _typical_problems()


@cache
def _typical_problems() -> frozenset[str]:
    return frozenset(CONTENT_FREE).union(*(load_pool(name).typical for name in PACKAGED))


class DemoScript(Script):
    """Plays ``paths`` in turn over a problem's prompts as it meets them; selection favours
    ``letters``."""

    def __init__(
        self,
        paths: Sequence[Sequence[ScriptedStep]] = _PATHS,
        letters: Mapping[str, float] = _LETTERS,
    ) -> None:
        self._paths = paths
        self._letters = letters
        self._met: dict[str, dict[str, int]] = {}

    def continuation(self, role: ModelRole, text: str) -> str:
        prompt, _, written = text.rpartition(_ASSISTANT)
        asked = prompt.rpartition(_USER)[2]
        if _ASSISTANT in prompt and _ANSWER not in asked:  # about existing steps
            return _REPLY.removeprefix(written)
        if _CHOICE in prompt:
            ranked = sorted(self._letters, key=lambda letter: -self._letters[letter])
            return ", ".join(ranked).removeprefix(written)
        # After prefix steps another path may be the one that continues from there.
        for steps in (self._steps(prompt), *self._paths):
            rest = _after(steps, role, written)
            if rest is not None:
                return rest
        return ""

    def probe(self, text: str) -> Mapping[str, float]:
        partial, asked, _ = text.rpartition(_QUESTION)
        prompt, _, written = partial.rpartition(_ASSISTANT)
        if not asked or not prompt:
            letters = {} if is_typical(text) else self._letters
            return {letter: letters.get(letter, _OTHER_LETTER) for letter in LETTERS}
        yes = self._yes(prompt, written)
        return {"8": yes, "2": 1 - yes}

    def likelihood(self, text: str) -> float:
        prompt, _, written = text.rpartition(_ASSISTANT)
        return self._yes(prompt, written) - 1

    def _yes(self, prompt: str, written: str) -> float:
        return next((s.yes for s in self._steps(prompt) if written.endswith(s.draft)), 0.9)

    def _steps(self, prompt: str) -> Sequence[ScriptedStep]:
        problem = prompt.rpartition(_USER)[2].partition("\n\n")[0]
        met = self._met.setdefault(problem, {})
        index = met.setdefault(prompt, len(met))
        return self._paths[index % len(self._paths)]


def _after(steps: Sequence[ScriptedStep], role: ModelRole, written: str) -> str | None:
    """What the model writes next on a path; None where something else is written."""
    for step in steps:
        own = step.draft if role == "draft" else step.target or step.draft
        for version in (step.draft, step.target):
            if version and written.startswith(version):
                written = written[len(version) :]
                break
        else:
            return own[len(written) :] if own.startswith(written) else None
    return None if written else ""


# Draft and target follow one script, and so agree on which path is which.
_SCRIPT = DemoScript()


def demo_engine(
    role: ModelRole, should_stop: Callable[[], bool], max_sequences: int = SEQUENCES
) -> FakeEngine:
    """One of the demonstration's two models; both follow the same script.

    Raises ``UsageError`` when ``SSR_LOCAL_DEMO_SPEED`` is no such number.
    """
    speed = _speed()
    return FakeEngine(
        _SCRIPT,
        role=role,
        name=f"demo-{role}",
        num_parameters=_PARAMETERS[role],
        token_s=_TOKEN_S[role] / speed if speed else 0.0,
        notes=(NOTE,) if role == "draft" else (),
        max_sequences=max_sequences,
        should_stop=should_stop,
    )


def is_demo(options: EngineOptions) -> bool:
    """Whether these options ask for the demonstration."""
    return options.pair == DEMO_PAIR and options.draft is None and options.target is None


def demo_pair() -> PairSpec:
    """The demonstration's pair, with the calibrations its script was written for."""
    return PairSpec(
        name=DEMO_PAIR, draft="demo-draft", target="demo-target", calibrations=_CALIBRATIONS
    )


def _speed() -> float:
    text = os.environ.get(SPEED_VARIABLE, "").strip() or "1"
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 <= speed < math.inf:
        raise UsageError(
            f"{SPEED_VARIABLE} cannot be {text[:60]!r}.",
            "Accepted: a number, 1 for the usual speed, 0 for no waiting.",
        )
    return speed
