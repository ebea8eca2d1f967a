"""Turns requests into one model's token ids: chat template, think blocks, candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ssr_local.coordinator import templates
from ssr_local.coordinator.templates import (
    RENDER,
    Dialogue,
    Message,
    RenderRequest,
    family_of,
    render_builtin,
)
from ssr_local.core.errors import SSRError
from ssr_local.core.records import PathForm, Strategy
from ssr_local.engine.base import Engine
from ssr_local.method import prompts
from ssr_local.method.pools import UNKNOWN, Pool
from ssr_local.method.steps import THINK_CLOSE, THINK_OPEN, is_thinking
from ssr_local.process.helper import Helper

# Stand for a user's and an assistant's turn while a template is rendered around them.
_USER_MARK = "SSRLOCALUSER5C1D"
_MARK = "SSRLOCALTURN7F3A"


class Beginning(NamedTuple):
    """The beginning of a path: its whole prompt as token ids, and its own text so far."""

    tokens: list[int]
    text: str


class Prompter:
    """The prompts of one model for one pool of strategies.

    Making one tries the model's chat template on every kind of dialogue, the pool's system text
    included, so that all the prompts of a run have one form; ``notices`` says when the built-in
    one is used.
    """

    def __init__(self, engine: Engine, pool: Pool, helper: Helper) -> None:
        self._engine = engine
        self._pool = pool
        self._helper = helper
        self._template = engine.chat_template
        self._family = family_of(engine.vocabulary.special_texts)
        self._heads: dict[tuple[PathForm, bool], list[int]] = {}
        self.notices: list[str] = []
        if not self._template:
            self._use_builtin("its file has none")
        asked = (Message("user", _USER_MARK),)
        questions = {name: question.text for name, question in prompts.QUESTIONS.items()}
        _, opened, *probes = self._render(
            [self._system + asked, asked, *map(_probe, questions.values())]
        )
        self.opens_thinking = is_thinking(opened)
        """Whether the template itself opens a think block for the assistant."""
        self._probes = dict(zip(questions, probes, strict=True))

    def paths(
        self,
        problem: str,
        asked: Sequence[tuple[Strategy, PathForm]],
        prefix_steps: Sequence[str] = (),
    ) -> list[list[int]]:
        """Token ids of whole prompts, one for each strategy and form, the assistant's turn opened.

        ``prefix_steps`` are steps the assistant is made to have written already.
        """
        problem = self._safe(problem)
        written = [token for step in prefix_steps for token in self.step(step)]
        requests = [
            (*self._before(problem, form), self._request(problem, strategy.advice, form))
            for strategy, form in asked
        ]
        return [prompt + written for prompt in self._encode(requests)]

    def _request(self, problem: str, advice: str, form: PathForm) -> Message:
        pool = self._pool
        instruction = pool.program_instruction if form == "program" else pool.instruction
        return Message("user", prompts.path_request(problem, advice, instruction))

    def _before(self, problem: str, form: PathForm) -> Dialogue:
        """The turns that show how problems like this one are solved."""
        if form != "brief":
            return ()
        kind = prompts.is_typeset(problem)
        return tuple(
            turn
            for example in self._pool.examples
            if prompts.is_typeset(example.problem) is kind
            for turn in (
                self._request(example.problem, "", form),
                Message("assistant", example.solution),
            )
        )

    def head(self, form: PathForm, problem: str) -> list[int]:
        """Token ids that stand before a problem, and before every other one with formulas, or
        without, that is to be solved in this form."""
        typeset = prompts.is_typeset(problem)
        if (form, typeset) not in self._heads:
            like = ("A $1$", "1 $1$") if typeset else ("A", "1")
            asked = [self.paths(one, [(UNKNOWN, form)])[0] for one in like]
            self._heads[form, typeset] = asked[0][: shared_prefix(asked)]
        return self._heads[form, typeset]

    def opening(self, prefix_steps: Sequence[str]) -> str:
        """What a path's prompt already holds of its text."""
        return (f"{THINK_OPEN}\n" if self.opens_thinking else "") + "".join(prefix_steps)

    def path(self, problem: str, prefix_steps: Sequence[str]) -> Beginning:
        """A path without advice on which the prefix steps stand."""
        (tokens,) = self.paths(problem, [(UNKNOWN, "prose")], prefix_steps)
        return Beginning(tokens, self.opening(prefix_steps))

    def step(self, text: str) -> list[int]:
        """Token ids of a step somebody else wrote; nothing in it reads as a control token."""
        return self._engine.tokenize(text)

    def selections(
        self, problem: str, orders: Sequence[Sequence[Strategy]], count: int
    ) -> list[list[int]]:
        """Token ids of the selection prompt, once for each order the pool is shown in."""
        problem = self._safe(problem)
        return self._selections([(problem, order) for order in orders], count)

    def typical(self, order: Sequence[Strategy]) -> list[list[int]]:
        """The selection prompts (for one letter) of the pool's typical problems; what they begin
        with, all other problems' do too."""
        return self._selections([(self._safe(one), order) for one in self._pool.typical], 1)

    def _selections(
        self, asked: Sequence[tuple[str, Sequence[Strategy]]], count: int
    ) -> list[list[int]]:
        letters = [strategy.letter for strategy in self._pool.strategies]
        skip = self._engine.tokenize(self._skip_thinking(), special=True)
        requests = [
            (Message("user", prompts.selection_request(problem, letters, order, count)),)
            for problem, order in asked
        ]
        return [tokens + skip for tokens in self._encode(requests)]

    def probe(self, question: str, wording: str, thinking: bool) -> list[int]:
        """Token ids that ask a verifier's question after an unfinished assistant's turn.

        ``question`` and ``wording`` name it in ``prompts.QUESTIONS``; ``thinking`` says that
        the turn is inside an open think block, closed first.
        """
        return self._after_turn(self._probes[question, wording], thinking)

    def question(self, text: str, thinking: bool) -> list[int]:
        """Token ids that ask anything after an unfinished assistant's turn, like a probe."""
        (rendered,) = self._render([_probe(self._safe(text))])
        return self._after_turn(rendered, thinking)

    def _after_turn(self, rendered: str, thinking: bool) -> list[int]:
        close = f"\n{THINK_CLOSE}\n\n" if thinking else ""
        suffix = rendered.rpartition(_MARK)[2]
        return self._engine.tokenize(close + suffix + self._skip_thinking(), special=True)

    def candidates(self, words: Sequence[str]) -> list[tuple[int, ...]]:
        """For each word the token ids it can begin with, those of several words left out."""
        first = [
            {tokens[0] for form in (word, f" {word}") if (tokens := self._engine.tokenize(form))}
            for word in words
        ]
        return [
            tuple(sorted(ids - set().union(*(other for other in first if other is not ids))))
            for ids in first
        ]

    def _skip_thinking(self) -> str:
        """What makes the next token the answer itself, for models that think first."""
        if self.opens_thinking:
            return f"\n{THINK_CLOSE}\n\n"
        if self._template and THINK_CLOSE in self._template:
            return f"{THINK_OPEN}\n\n{THINK_CLOSE}\n\n"
        return ""

    def _encode(self, dialogues: Sequence[Dialogue]) -> list[list[int]]:
        texts = self._render([self._system + one for one in dialogues])
        return [self._tokenize(text) for text in texts]

    @property
    def _system(self) -> Dialogue:
        return (Message("system", self._pool.system),) if self._pool.system else ()

    def _tokenize(self, text: str) -> list[int]:
        vocabulary = self._engine.vocabulary
        if vocabulary.add_bos and not text.startswith(vocabulary.bos_text):
            text = vocabulary.bos_text + text
        return self._engine.tokenize(text, special=True)

    def _render(self, dialogues: Sequence[Dialogue]) -> list[str]:
        if self._template:
            try:
                return self._render_own(dialogues)
            except Exception as error:  # noqa: BLE001 - a hostile template can raise anything
                self._use_builtin(_reason(error))
        return render_builtin(self._family, dialogues, self._engine.vocabulary.bos_text)

    def _render_own(self, dialogues: Sequence[Dialogue]) -> list[str]:
        vocabulary = self._engine.vocabulary
        request = RenderRequest(
            self._template or "", vocabulary.bos_text, vocabulary.eos_text, tuple(dialogues)
        )
        texts: list[str] = self._helper.call(
            RENDER, request, timeout_s=templates.RENDER_TIMEOUT_S, type=list[str]
        )
        for text, dialogue in zip(texts, dialogues, strict=True):
            # Some templates trim what they are given, but all must contain it.
            if not all(message.content.strip() in text for message in dialogue):
                raise ValueError("it leaves out what it is given")
        return texts

    def _use_builtin(self, reason: str) -> None:
        self._template = None
        self.notices.append(
            f"{self._engine.info.name}: the {self._family} chat template built into ssr-local is"
            f" used instead of the model's own ({reason[:200]})."
        )

    def _safe(self, problem: str) -> str:
        return prompts.defuse(problem.strip(), self._engine.vocabulary.special_texts)


def _probe(question: str) -> Dialogue:
    """A question after an assistant's turn that a mark stands for."""
    return (
        Message("user", _USER_MARK),
        Message("assistant", _MARK),
        Message("user", question),
    )


def _reason(error: Exception) -> str:
    """Why a template could not be used, in one line; the helper says it in its second."""
    text = (error.why or error.what) if isinstance(error, SSRError) else str(error)
    return " ".join(text.split()) or type(error).__name__


def shared_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """How many tokens all sequences begin with."""
    shortest = min(sequences, key=len)
    for position, token in enumerate(shortest):
        if any(sequence[position] != token for sequence in sequences):
            return position
    return len(shortest)
