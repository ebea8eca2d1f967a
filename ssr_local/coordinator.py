"""The loop: select, draft, verify, rewrite, end. Yields everything that happens as events.

It owns the order of things and nothing else: texts come from ``prompter``, decisions from
the pure modules, tokens from the engines. Drafting is continuous: a path whose step was
accepted joins the draft's running batch again while others still write or are rewritten.
"""

from __future__ import annotations

import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import msgspec

from ssr_local import selection, voting
from ssr_local.answers import extract_answer
from ssr_local.commands import (
    AddPath,
    AnyCommand,
    Cancel,
    DropPath,
    OverrideVerdict,
    Pause,
    Resume,
)
from ssr_local.engine.base import (
    Cancelled,
    Delta,
    Engine,
    ExtendJob,
    Sampling,
    StepJob,
    decode_steps,
)
from ssr_local.errors import ProblemError
from ssr_local.events import (
    AnyEvent,
    Notice,
    PathEnded,
    PathOpened,
    RunPaused,
    RunResumed,
    SelectionScored,
    StepDelta,
    StepDrafted,
    StepRewritten,
    StepVerified,
    VotesCounted,
)
from ssr_local.options import SolveOptions
from ssr_local.pathstate import Judged, PathState, Plan, StepInProgress
from ssr_local.prompter import Prompter, shared_prefix
from ssr_local.records import (
    REWRITE_SCORE,
    Author,
    EndReason,
    Status,
    Step,
    StrategyScore,
    Usage,
    Verdict,
    VoteGroup,
)
from ssr_local.steps import is_thinking, path_end
from ssr_local.strategies import Pool
from ssr_local.verification import Judge, Reading

_SELECTION_TOKENS_PER_LETTER = 4
_FINISHED: tuple[EndReason, ...] = ("answered", "end_of_generation")


class CommandSource(Protocol):
    """Where commands come from while a run goes on."""

    def poll(self) -> Sequence[AnyCommand]:
        """What has come since the last look; does not wait."""

    def wait(self) -> Sequence[AnyCommand]:
        """The next commands; waits for them. Used while paused."""


class NoCommands:
    """Nobody interferes."""

    def poll(self) -> Sequence[AnyCommand]:
        return ()

    def wait(self) -> Sequence[AnyCommand]:
        return (Resume(),)


class Coordinator:
    """One run of one problem. Iterate over ``run()`` once, then read what it came to.

    ``engines`` has the models the plan names and ``prompters`` one for each of them;
    ``same`` decides whether two answers are equivalent.
    """

    def __init__(
        self,
        *,
        problem: str,
        options: SolveOptions,
        plan: Plan,
        pool: Pool,
        engines: Mapping[Author, Engine],
        prompters: Mapping[Author, Prompter],
        judge: Judge,
        same: Callable[[str, str], bool],
        commands: CommandSource | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problem = problem
        self.options = options
        self.plan = plan
        self.pool = pool
        self.engines = engines
        self.prompters = prompters
        self.judge = judge
        self.same = same
        self.commands = commands or NoCommands()
        self.clock = clock
        self.paths: list[PathState] = []
        self.scores: tuple[StrategyScore, ...] = ()
        self.groups: tuple[VoteGroup, ...] = ()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.num_drafted = self.num_accepted = self.num_rewrites = 0
        self.cancelled = False
        self.usage = Usage()
        self._roots: dict[Author, int] = {}
        self._probes: dict[bool, list[int]] = {}
        self._started = clock()

    def run(self) -> Iterator[AnyEvent]:
        """Solve the problem. Sequences are released however this ends."""
        try:
            yield from self._prepare()
            chosen = yield from self._select()
            yield from self._open_paths(chosen)
            while self._live():
                yield from self._obey(self.commands.poll())
                yield from self._write()
                yield from self._verify()
                yield from self._rewrite()
                yield from self._stop_early()
        except Cancelled:
            self.cancelled = True
            yield from self._end_all("cancelled")
        finally:
            self.usage = self._read_usage()
            for engine in self.engines.values():
                engine.clear()
        yield from self._vote()

    @property
    def status(self) -> Status:
        """How the run came out; valid when ``run`` is exhausted."""
        if self.cancelled:
            return "cancelled"
        return "answered" if self.groups else "no_answer"

    # Before the first step ---------------------------------------------------

    def _prepare(self) -> Iterator[AnyEvent]:
        """Check that the problem fits, and prefill what all paths and the selection share."""
        with self._phase("prefill"):
            for role, engine in self.engines.items():
                prompts = self._all_prompts(role)
                longest = max(len(prompt) for prompt in prompts)
                if longest >= engine.max_tokens:
                    raise ProblemError(
                        f"The problem is too long: its prompt has {longest} tokens,"
                        f" and there is room for {engine.max_tokens} in {engine.info.name}.",
                        "",
                        "Shorten it, or give a larger --ctx if the model allows one.",
                    )
                count = shared_prefix(prompts)
                self._roots[role] = engine.open(prompts[0][: max(1, count)])
        for note in self._notes():
            yield self._at(Notice(message=note))

    def _all_prompts(self, role: Author) -> list[list[int]]:
        prompter = self.prompters[role]
        unknown = self.pool.by_letter("M")
        strategies = [*self.pool.strategies, unknown] if self.plan.selects else [unknown]
        prompts = prompter.paths(self.problem, strategies)
        if role == "target" and self._asks_the_target:
            prompts += prompter.selections(self.problem, [self.pool.strategies], 1)
        return prompts

    def _notes(self) -> Iterator[str]:
        for role in self.engines:
            yield from self.engines[role].notes
            yield from self.prompters[role].notices
        if self.plan.verified and not self._same_vocabulary:
            yield (
                "Draft and target have different vocabularies:"
                " steps are handed over as text and tokenized again."
            )
        if self.plan.verified and self.judge.notice:
            yield self.judge.notice

    @property
    def _asks_the_target(self) -> bool:
        return self.plan.selects and self.options.selection in ("logprob", "generate")

    @property
    def _same_vocabulary(self) -> bool:
        prints = {engine.vocabulary.fingerprint for engine in self.engines.values()}
        return len(prints) == 1

    # Selection (SPM) ---------------------------------------------------------

    def _select(self) -> Iterator[AnyEvent]:
        """Yield the scores; return the letters the paths follow."""
        count, pool = self.plan.num_paths, self.pool.strategies
        mode = self.options.selection if self.plan.selects else "none"
        scores: dict[str, float] | None = None
        with self._phase("selection"):
            if mode == "logprob":
                scores = self._score_letters()
                chosen = selection.best(scores, count) if scores else selection.first(pool, count)
            elif mode == "generate":
                chosen = self._generate_letters()
            elif mode == "random":
                chosen = selection.at_random(pool, count, self._seed("selection"))
            elif mode == "first":
                chosen = selection.first(pool, count)
            else:
                chosen = selection.none(count)
        if mode == "logprob" and scores is None:
            yield self._at(
                Notice(message="The target's choice of strategies could not be read: the pool's"
                       " first ones are followed.")
            )
        self.scores = selection.score_table(pool, chosen, scores)
        if self.plan.selects:
            yield self._at(SelectionScored(mode=mode, scores=self.scores, chosen=chosen))
        return chosen

    def _score_letters(self) -> dict[str, float] | None:
        engine, prompter = self.engines["target"], self.prompters["target"]
        pool = self.pool.strategies
        orders = selection.orders(pool, self.options.selection_permutations)
        prompts = prompter.selections(self.problem, orders, 1)
        candidates = prompter.candidates([strategy.letter for strategy in pool])
        root = self._roots["target"]
        start = engine.num_tokens(root)
        rows: list[tuple[float, ...]] = []
        # Each order needs a sequence of its own; the paths have not taken theirs yet.
        forks = [engine.fork(root) for _ in prompts]
        for result in engine.extend(
            [
                ExtendJob(seq_id=fork, suffix=prompt[start:], candidates=candidates)
                for fork, prompt in zip(forks, prompts, strict=True)
            ]
        ):
            rows.append(result.probe or (float("nan"),) * len(pool))
        for fork in forks:
            engine.release(fork)
        return selection.probabilities(pool, orders, rows)

    def _generate_letters(self) -> tuple[str, ...]:
        engine, count = self.engines["target"], self.plan.num_paths
        pool = self.pool.strategies
        (prompt,) = self.prompters["target"].selections(self.problem, [pool], max(2, count))
        root = self._roots["target"]
        fork = engine.fork(root)
        shared = shared_prefix([prompt, engine.tokens(root)])
        engine.truncate(fork, shared)
        engine.extend([ExtendJob(seq_id=fork, tokens=prompt[shared:])])
        job = StepJob(fork, _SELECTION_TOKENS_PER_LETTER * count, Sampling(temperature=0))
        text = "".join(delta.text for delta in decode_steps(engine, [job]))
        engine.release(fork)
        return selection.parse_letters(text, pool, count)

    # Paths -------------------------------------------------------------------

    def _open_paths(self, letters: Sequence[str]) -> Iterator[AnyEvent]:
        """Fork every path from the shared prefix and prefill its own advice."""
        table = {row.letter: row.score for row in self.scores}
        new = [
            PathState(len(self.paths) + offset, self.pool.by_letter(letter), table.get(letter))
            for offset, letter in enumerate(letters)
        ]
        with self._phase("prefill"):
            for role, engine in self.engines.items():
                prompts = self.prompters[role].paths(self.problem, [p.strategy for p in new])
                root = self._roots[role]
                start = engine.num_tokens(root)
                jobs = []
                for path, prompt in zip(new, prompts, strict=True):
                    path.sequences[role] = engine.fork(root)
                    jobs.append(ExtendJob(seq_id=path.sequences[role], tokens=prompt[start:]))
                for path, result in zip(new, engine.extend(jobs), strict=True):
                    path.end_reason = path.end_reason or result.no_room
        for path in new:
            if self.prompters[self.plan.writer].opens_thinking:
                path.opening = "<think>\n"
            self.paths.append(path)
            yield self._at(
                PathOpened(
                    path=path.index, strategy=path.strategy, selection_score=path.selection_score
                )
            )
            if path.end_reason:
                yield from self._end(path, path.end_reason)

    # Writing -----------------------------------------------------------------

    def _write(self) -> Iterator[AnyEvent]:
        """One decode round of the writer for every path that is writing."""
        writer = self.plan.writer
        ready = [path for path in self._live() if path.state == "ready"]
        with self._phase("draft" if writer == "draft" else "rewrite"):
            self._start_steps(writer, ready, "writing")
            writing = self._in_state("writing", writer)
            deltas = self.engines[writer].decode_round() if writing else []
        for delta in deltas:
            path = writing[delta.seq_id]
            yield from self._take(path, delta)
            if delta.end is not None:
                yield from self._written(path)

    def _written(self, path: PathState) -> Iterator[AnyEvent]:
        """A step is complete: it waits for its verdict, or stands when nobody verifies."""
        step = _current(path)
        if not step.text.strip():
            yield from self._settle(path, None)
            return
        yield self._at(
            StepDrafted(
                path=path.index,
                step=path.step_index,
                author=step.author,
                text=step.text,
                num_tokens=step.num_tokens,
                elapsed_s=self.clock() - step.started_s,
            )
        )
        if self.plan.verified:
            self.num_drafted += 1
            path.state = "drafted"
        else:
            yield from self._settle(
                path, Step(text=step.text, author=step.author, num_tokens=step.num_tokens)
            )

    # Verification (SSD) --------------------------------------------------------

    def _verify(self) -> Iterator[AnyEvent]:
        """Judge every waiting step in one batch, once at least as many wait as still write.

        Waiting for all would leave the draft's batch running half empty; not waiting at
        all would read the target's weights once for every single step.
        """
        waiting = [path for path in self._live() if path.state == "drafted"]
        writing = [path for path in self._live() if path.state == "writing"]
        if not waiting or len(waiting) < len(writing):
            return
        target = self.engines["target"]
        with self._phase("verify"):
            tokens = {path.index: self._hand_over(path, "draft", "target") for path in waiting}
            results = target.extend([self._probe_job(p, tokens[p.index]) for p in waiting])
        for path, result in zip(waiting, results, strict=True):
            if result.no_room:
                self._truncate(path)
                yield from self._end(path, result.no_room)
                continue
            verdict = self.judge.verdict(Reading(probe=result.probe, tokens=result.log_probs))
            yield from self._judged(path, verdict, tokens[path.index])

    def _probe_job(self, path: PathState, tokens: list[int]) -> ExtendJob:
        verifier = self.judge.verifier
        prompter = self.prompters["target"]
        suffix: list[int] = []
        if verifier.question:
            thinking = is_thinking(path.text + _current(path).text)
            if thinking not in self._probes:
                self._probes[thinking] = prompter.probe(verifier.question, thinking)
            suffix = self._probes[thinking]
        return ExtendJob(
            seq_id=path.sequences["target"],
            tokens=tokens,
            log_probs=verifier.needs_tokens,
            suffix=suffix,
            candidates=prompter.candidates(verifier.candidates),
        )

    def _judged(
        self, path: PathState, verdict: Verdict, target_tokens: list[int]
    ) -> Iterator[AnyEvent]:
        step = _current(path)
        draft = self.engines["draft"]
        tokens: dict[Author, list[int]] = {
            "draft": draft.tokens(path.sequences["draft"], step.marks["draft"]),
            "target": target_tokens,
        }
        path.judged = Judged(step, tokens, verdict, len(path.steps))
        yield self._at(StepVerified(path=path.index, step=path.step_index, verdict=verdict))
        if verdict.accepted:
            yield from self._accept(path)
        else:
            yield from self._reject(path)

    def _accept(self, path: PathState) -> Iterator[AnyEvent]:
        step, verdict = _current(path), _judged(path).verdict
        self.num_accepted += 1
        yield from self._settle(
            path,
            Step(
                text=step.text,
                author="draft",
                score=verdict.score,
                accepted=True,
                num_tokens=step.num_tokens,
            ),
        )

    def _reject(self, path: PathState) -> Iterator[AnyEvent]:
        self._truncate(path)
        path.current = None
        with self._phase("rewrite"):
            self._start_steps("target", [path], "rewriting")
        yield from ()

    # Rewriting (SSD) -----------------------------------------------------------

    def _rewrite(self) -> Iterator[AnyEvent]:
        """One decode round of the target for every path whose step was rejected."""
        rewriting = self._in_state("rewriting", "target")
        if not rewriting or not self.plan.verified:
            return
        with self._phase("rewrite"):
            deltas = self.engines["target"].decode_round()
        for delta in deltas:
            path = rewriting[delta.seq_id]
            yield from self._take(path, delta)
            if delta.end is not None:
                yield from self._rewritten(path)

    def _rewritten(self, path: PathState) -> Iterator[AnyEvent]:
        step, judged = _current(path), _judged(path)
        if not step.text.strip():
            yield from self._settle(path, None)
            return
        self.num_rewrites += 1
        yield self._at(
            StepRewritten(
                path=path.index,
                step=path.step_index,
                text=step.text,
                num_tokens=step.num_tokens,
                elapsed_s=self.clock() - step.started_s,
            )
        )
        with self._phase("draft"):
            tokens = self._hand_over(path, "target", "draft")
            (result,) = self.engines["draft"].extend(
                [ExtendJob(seq_id=path.sequences["draft"], tokens=tokens)]
            )
        if result.no_room and step.end == "blank_line":
            step.end = result.no_room
        yield from self._settle(
            path,
            Step(
                text=step.text,
                author="target",
                score=REWRITE_SCORE,
                accepted=False,
                num_tokens=step.num_tokens,
                draft_text=judged.step.text,
                draft_score=judged.verdict.score,
            ),
        )

    # What a finished step leads to ---------------------------------------------

    def _settle(self, path: PathState, step: Step | None) -> Iterator[AnyEvent]:
        """Put a step in its place (None: it was empty) and see whether the path ends."""
        current = _current(path)
        path.current = None
        path.state = "ready"
        earlier = [old.text for old in path.steps]
        if step is not None:
            path.steps.append(step)
            path.num_tokens += step.num_tokens
        reason = path_end(
            step=step.text if step else "",
            earlier=earlier,
            step_end=current.end or "blank_line",
            answered=self._answer_of(path, at_end=False) is not None,
            num_tokens=path.num_tokens,
            max_tokens=self.options.max_tokens,
            max_steps=self.options.max_steps,
        )
        if reason:
            yield from self._end(path, reason)

    def _answer_of(self, path: PathState, *, at_end: bool) -> str | None:
        if not at_end and is_thinking(path.text):
            return None
        return extract_answer(path.text, kind=self.pool.answer, at_end=at_end)

    def _end(self, path: PathState, reason: EndReason) -> Iterator[AnyEvent]:
        """Close a path; only one that came to its own end has an answer to vote with."""
        self._keep_unfinished(path)
        path.state = "ended"
        path.end_reason = reason
        if reason in _FINISHED:
            path.answer = self._answer_of(path, at_end=True)
        for role, seq_id in path.sequences.items():
            self.engines[role].release(seq_id)
        path.sequences.clear()
        yield self._at(
            PathEnded(
                path=path.index, reason=reason, answer=path.answer, mean_score=path.mean_score
            )
        )
        if path.answer is not None and any(other.live for other in self.paths):
            yield from self._count_votes()

    def _keep_unfinished(self, path: PathState) -> None:
        """What a path was writing when it was stopped stays in it, unverified."""
        step, path.current = path.current, None
        if step is not None and step.text.strip():
            path.steps.append(
                Step(text=step.text, author=step.author, num_tokens=step.num_tokens)
            )

    def _end_all(self, reason: EndReason) -> Iterator[AnyEvent]:
        for path in self._live():
            yield from self._end(path, reason)

    def _stop_early(self) -> Iterator[AnyEvent]:
        """End the other paths when the mode has what it waits for, or time is up."""
        if voting.early_exit(self.options.mode, self.groups):
            yield from self._end_all("early_exit")
        limit = self.options.time_limit
        if limit and self.clock() - self._started >= limit:
            yield from self._end_all("time_limit")

    # Votes ---------------------------------------------------------------------

    def _vote(self) -> Iterator[AnyEvent]:
        yield from self._count_votes()

    def _count_votes(self) -> Iterator[AnyEvent]:
        ballots = [
            voting.Ballot(path.index, path.answer, path.mean_score, path.selection_score)
            for path in self.paths
            if path.answer is not None
        ]
        with self._phase("vote"):
            self.groups = voting.group(ballots, self.same)
        yield self._at(VotesCounted(groups=self.groups))

    # Commands --------------------------------------------------------------------

    def _obey(self, commands: Sequence[AnyCommand]) -> Iterator[AnyEvent]:
        for position, command in enumerate(commands):
            if isinstance(command, Cancel):
                raise Cancelled
            if isinstance(command, Pause):
                yield from self._pause(commands[position + 1 :])
                return
            if isinstance(command, AddPath):
                yield from self._add_path(command.letter)
            elif isinstance(command, DropPath):
                path = self._find(command.path)
                if path is not None:
                    yield from self._end(path, "dropped")
            elif isinstance(command, OverrideVerdict):
                yield from self._override(command)

    def _pause(self, commands: Sequence[AnyCommand]) -> Iterator[AnyEvent]:
        """Stand still until told to go on; other commands are obeyed meanwhile."""
        yield self._at(RunPaused())
        while True:
            for position, command in enumerate(commands):
                if isinstance(command, Resume):
                    yield self._at(RunResumed())
                    yield from self._obey(commands[position + 1 :])
                    return
                if not isinstance(command, Pause):
                    yield from self._obey([command])
            commands = self.commands.wait()

    def _add_path(self, letter: str) -> Iterator[AnyEvent]:
        known = {strategy.letter for strategy in self.pool.strategies} | {"M"}
        room = min(
            engine.max_sequences - len(self._roots) - len(self._live())
            for engine in self.engines.values()
        )
        if letter not in known or not self.plan.selects or room < 1:
            reason = "no strategy has that letter" if letter not in known else "there is no room"
            yield self._at(Notice(message=f"No path was added on {letter}: {reason}."))
            return
        yield from self._open_paths([letter])

    def _override(self, command: OverrideVerdict) -> Iterator[AnyEvent]:
        """Give the step verified last the other verdict and go on from there."""
        path = self._find(command.path)
        judged = path.judged if path else None
        if path is None or judged is None or judged.verdict.accepted == command.accept:
            yield self._at(Notice(message=f"Path {command.path} has no such verdict to change."))
            return
        self._back_to(path, judged)
        old = judged.verdict
        verdict = Verdict(
            score=old.score,
            accepted=command.accept,
            verifier=old.verifier,
            raw=old.raw,
            reason="changed by the user",
            log_probs=old.log_probs,
            mean_log_prob=old.mean_log_prob,
        )
        path.judged = Judged(judged.step, judged.tokens, verdict, judged.num_steps)
        yield self._at(
            StepVerified(path=path.index, step=path.step_index, verdict=verdict, overridden=True)
        )
        if not command.accept:
            self.num_accepted -= 1
            yield from self._reject(path)
            return
        for role, engine in self.engines.items():
            job = ExtendJob(seq_id=path.sequences[role], tokens=judged.tokens[role])
            (result,) = engine.extend([job])
            judged.step.end = result.no_room or judged.step.end
        yield from self._accept(path)

    def _back_to(self, path: PathState, judged: Judged) -> None:
        """The path as it was before the judged step, on both models."""
        for step in path.steps[judged.num_steps :]:
            path.num_tokens -= step.num_tokens
            self.num_rewrites -= step.author == "target"
        del path.steps[judged.num_steps :]
        for role, seq_id in path.sequences.items():
            self.engines[role].stop_step(seq_id)
        path.current = judged.step
        self._truncate(path)

    def _find(self, index: int) -> PathState | None:
        return next((path for path in self._live() if path.index == index), None)

    def _read_usage(self) -> Usage:
        used = {role: engine.usage() for role, engine in self.engines.items()}
        return Usage(**used)

    # Small pieces ------------------------------------------------------------------

    def _live(self) -> list[PathState]:
        return [path for path in self.paths if path.live]

    def _in_state(self, state: str, role: Author) -> dict[int, PathState]:
        return {path.sequences[role]: path for path in self._live() if path.state == state}

    def _start_steps(self, role: Author, paths: Sequence[PathState], state: str) -> None:
        engine = self.engines[role]
        jobs = []
        for path in paths:
            marks = {r: self.engines[r].num_tokens(seq) for r, seq in path.sequences.items()}
            path.current = StepInProgress(role, marks, self.clock())
            path.state = "rewriting" if state == "rewriting" else "writing"
            left = max(1, self.options.max_tokens - path.num_tokens)
            sampling = Sampling(
                self.options.temperature,
                self.options.top_p,
                self._seed(f"{path.index}/{role}"),
            )
            jobs.append(
                StepJob(path.sequences[role], min(self.options.max_step_tokens, left), sampling)
            )
        if jobs:
            engine.start_steps(jobs)

    def _take(self, path: PathState, delta: Delta) -> Iterator[AnyEvent]:
        step = _current(path)
        step.text += delta.text
        step.num_tokens += delta.num_tokens
        step.end = delta.end
        if delta.text:
            yield self._at(
                StepDelta(
                    path=path.index, step=path.step_index, author=step.author, text=delta.text
                )
            )

    def _hand_over(self, path: PathState, giver: Author, taker: Author) -> list[int]:
        """The current step as the other model's token ids."""
        step = _current(path)
        if self._same_vocabulary:
            return self.engines[giver].tokens(path.sequences[giver], step.marks[giver])
        return self.engines[taker].tokenize(step.text)

    def _truncate(self, path: PathState) -> None:
        """Forget the current step on both models."""
        for role, seq_id in path.sequences.items():
            self.engines[role].truncate(seq_id, _current(path).marks[role])

    def _seed(self, purpose: str) -> int:
        """A seed of its own for every path and model, the same for the same run seed."""
        return zlib.crc32(f"{self.options.seed}/{purpose}".encode())

    def _at(self, event: AnyEvent) -> AnyEvent:
        return msgspec.structs.replace(event, at_s=self.clock() - self._started)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        started = self.clock()
        try:
            yield
        finally:
            self.seconds[name] += self.clock() - started


def _current(path: PathState) -> StepInProgress:
    if path.current is None:
        raise RuntimeError(f"path {path.index} is writing no step")
    return path.current


def _judged(path: PathState) -> Judged:
    if path.judged is None:
        raise RuntimeError(f"path {path.index} has no verdict yet")
    return path.judged
