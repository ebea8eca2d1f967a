"""How a run's events look as lines in a shell."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import click

from ssr_local.core.display import END_WORDS, RULE_WORDS, clean, one_line
from ssr_local.core.events import (
    AnyEvent,
    ModelLoaded,
    ModelLoading,
    Notice,
    PathEnded,
    PathOpened,
    ProgramRan,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    SelectionScored,
    StepDrafted,
    StepRewritten,
    StepVerified,
    WaveOpened,
)
from ssr_local.core.options import VERIFIED_METHODS
from ssr_local.core.records import ModelRole, RunResult, VoteGroup
from ssr_local.core.tree import Tree

_STRATEGIES_SHOWN = 5
_LONGEST_PAUSE_S = 2.0


class LineView:
    """Writes what happens, a line or a paragraph an event, through ``echo``.

    ``spoken`` puts words where signs would make no sense when read aloud.
    """

    def __init__(
        self, echo: Callable[[str], None], tree: Tree | None = None, *, spoken: bool = False
    ) -> None:
        self._echo = echo
        self._tree = tree or Tree()
        self._spoken = spoken
        self._gap = ": " if spoken else "  "

    def show(self, event: AnyEvent) -> None:
        """Fold an event into the tree, and write what there is to say of it.

        Most token-level ones say nothing.
        """
        self._tree.apply(event)
        if isinstance(event, ModelLoading):
            self._line(f"Loading {clean(event.name)} ({event.role}) ...", dim=True)
        elif isinstance(event, ModelLoaded):
            who = f"The {event.role} is" if self._spoken else " "
            info = event.info
            where = clean(f"{info.device}, {info.engine}" if info.engine else info.device)
            self._line(f"{who} ready after {event.elapsed_s:.1f} s on {where}", dim=True)
        elif isinstance(event, RunStarted):
            self._line(_options(event), dim=True)
        elif isinstance(event, Notice):
            self._line(f"Note: {one_line(event.message)}", fg="yellow")
        elif isinstance(event, SelectionScored):
            self._selection(event)
        elif isinstance(event, WaveOpened):
            if self._tree.shown_waves:
                self._line(f"{one_line(event.title)}. {RULE_WORDS[event.rule]}", bold=True)
        elif isinstance(event, PathOpened):
            if self._spoken:
                self._line(f"{self._name(event.path)} begins: {one_line(event.strategy.name)}")
        elif isinstance(event, RunPaused):
            self._line("Paused.", dim=True)
        elif isinstance(event, RunResumed):
            self._line("Going on.", dim=True)
        elif isinstance(event, RunEnded):
            self.result(event.result)
        else:
            self._step(event)

    def _selection(self, event: SelectionScored) -> None:
        shown = []
        for row in event.scores[:_STRATEGIES_SHOWN]:
            mark = "*" if row.times_chosen else " "
            if self._spoken:
                mark = "chosen " if row.times_chosen else "not chosen "
            score = "" if row.score is None else f" {row.score:.2f}"
            shown.append(f"{mark}{one_line(row.letter)} {one_line(row.name)}{score}")
        gap = "; " if self._spoken else "  "
        self._line("Strategies: " + gap.join(shown), bold=True)

    def _step(self, event: AnyEvent) -> None:
        if isinstance(event, StepDrafted):
            path = self._tree.paths.get(event.path)
            if path is None or not path.kind.verified:
                tag = self._tag(event.path, event.step, event.author)
                self._line(f"{tag} {_body(event.text)}")
        elif isinstance(event, StepVerified):
            self._verdict(event)
        elif isinstance(event, ProgramRan):
            self._line(f"{self._name(event.path)} {one_line(event.program.words)}")
        elif isinstance(event, StepRewritten):
            tag = self._tag(event.path, event.step, "target")
            self._line(f"{tag} {click.style('rewritten', fg='cyan')}{self._gap}{_body(event.text)}")
        elif isinstance(event, PathEnded):
            words = END_WORDS[event.reason]
            answer = "" if event.answer is None else f": {one_line(event.answer)}"
            color = "green" if event.answer is not None else "yellow"
            self._line(
                f"{self._name(event.path)} {click.style(f'ends, {words}{answer}', fg=color)}"
            )
            if event.refuted:
                refuted = f"algebra refutes: {one_line(event.refuted)}"
                self._line(f"{self._name(event.path)} {click.style(refuted, fg='yellow')}")

    def _verdict(self, event: StepVerified) -> None:
        verdict = event.verdict
        score = "no score" if verdict.score is None else f"{verdict.score:.1f}"
        if self._spoken:
            score = f"with {score}" if verdict.score is None else f"with {score} of 9"
        tag, text = self._tag(event.path, event.step, "draft"), self._drafted(event)
        if verdict.accepted:
            self._line(f"{tag} {click.style(f'kept {score}', fg='green')}{self._gap}{text}")
            return
        why = f" ({one_line(verdict.reason)})" if verdict.reason else ""
        words = click.style(f"rejected {score}{why}", fg="red")
        self._line(f"{tag} {words}{self._gap}{click.style(text, dim=True)}")

    def _drafted(self, event: StepVerified) -> str:
        """What the draft wrote there; "" in a log that begins later."""
        path = self._tree.paths.get(event.path)
        if path is None or not 0 <= event.step < len(path.steps):
            return ""
        step = path.steps[event.step]
        return _body(step.text if step.rejected is None else step.rejected)

    def result(self, result: RunResult) -> None:
        """The votes, the answer, and what it cost."""
        for group in result.votes:
            self._line(_vote(group, self._spoken))
        if result.answer is not None:
            self._line(f"Answer: {one_line(result.answer)}", bold=True)
        elif result.status == "cancelled":
            self._line("Stopped before there was an answer.", fg="yellow")
        else:
            self._line("No path came to an answer.", fg="yellow")
        best = [path for path in result.paths if path.index == result.best_path and path.steps]
        for path in best if result.answer is None else ():
            self._line(f"The furthest path ({one_line(path.strategy)}) got this far:")
            self._line(clean(path.text).strip())
        self._line(_cost(result), dim=True)

    def _tag(self, path: int, step: int, author: ModelRole) -> str:
        by = f", by the {author}," if self._spoken else ""
        return f"{self._name(path)} step {step + 1}{by}"

    def _name(self, path: int) -> str:
        shown = self._tree.paths.get(path)
        letter = "" if shown is None else one_line(shown.strategy.letter)
        name = f"Path {path + 1}, strategy {letter}," if self._spoken else f"[{path + 1}{letter}]"
        return click.style(name, fg="blue")

    def _line(
        self, text: str, *, fg: str | None = None, bold: bool = False, dim: bool = False
    ) -> None:
        self._echo(click.style(text, fg=fg, bold=bold or None, dim=dim or None))


def in_time(events: Iterable[AnyEvent], speed: float) -> Iterator[AnyEvent]:
    """A log's events, each when it happened: 2 is twice as fast, 0 at once."""
    before = 0.0
    for event in events:
        if speed:
            time.sleep(min(_LONGEST_PAUSE_S, max(0.0, event.at_s - before) / speed))
            before = event.at_s
        yield event


def _options(event: RunStarted) -> str:
    """What matters most of what is in force; an old log may lack an option."""
    options = event.options
    if options.get("plan"):
        return one_line(f"plan {options['plan']}, seed {options.get('seed')}")
    shown = [f"{options.get('method')}"]
    if options.get("method") in ("ssr", "parallel", "parallel-spm"):
        shown.append(f"{options.get('paths')} paths")
    if options.get("method") in VERIFIED_METHODS:
        shown.append(f"verifier {options.get('verifier')}")
    return one_line(", ".join([*shown, f"seed {options.get('seed')}"]))


def _body(text: str) -> str:
    return clean(text).strip()


def _vote(group: VoteGroup, spoken: bool) -> str:
    paths = ", ".join(str(path + 1) for path in group.paths)
    mark = "*" if group.winner else " "
    score = "" if group.mean_score is None else f", mean score {group.mean_score:.1f}"
    if spoken:
        mark = "Most votes" if group.winner else "Also"
        word = "path" if len(group.paths) == 1 else "paths"
        return f"{mark}: {one_line(group.answer)}, from {word} {paths}{score}{group.refuted_words}."
    return f"{mark} {one_line(group.answer)}  (paths {paths}{score}{group.refuted_words})"


def _cost(result: RunResult) -> str:
    usage, timing = result.usage, result.timing_s
    rate = (
        ""
        if result.acceptance_rate is None
        else f", {result.num_accepted} of {result.num_drafted} drafted steps kept"
    )
    stopped = f" ({one_line(result.stopped)})" if result.stopped else ""
    return (
        f"{timing.total:.1f} s{stopped}{rate}; tokens decoded: draft {usage.draft.decode_tokens},"
        f" target {usage.target.decode_tokens}; prefilled: draft {usage.draft.prefill_tokens},"
        f" target {usage.target.prefill_tokens}"
    )
