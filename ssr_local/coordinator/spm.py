"""The paper's Selective Parallel Module: strategies are chosen, paths opened (ssr.md, 1)."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from ssr_local.coordinator.ending import end
from ssr_local.coordinator.path import PathState
from ssr_local.coordinator.plan import num_cells
from ssr_local.coordinator.prompter import shared_prefix
from ssr_local.coordinator.run import Run
from ssr_local.core.errors import ProblemError
from ssr_local.core.events import AnyEvent, Notice, PathOpened, SelectionScored
from ssr_local.core.records import Author
from ssr_local.engine.base import Engine, ExtendJob, Sampling, StepJob, decode_steps
from ssr_local.method import selection

_TOKENS_PER_LETTER = 4


def make_room(run: Run) -> None:
    """Give every model a KV cache that holds this problem on every path.

    ``solve`` does it when nobody has; calling it before tells the caches' sizes earlier.
    Raises ``ProblemError`` when the problem's prompt alone is too long.
    """
    for role, engine in run.engines.items():
        paths, selections = _path_prompts(run, role), _selection_prompts(run, role)
        longest = max(len(prompt) for prompt in paths + selections)
        _refuse(engine, longest, engine.context_length)
        shared = shared_prefix(paths + selections)
        engine.reserve(
            num_cells(
                run.plan,
                run.options,
                shared=shared,
                advice=max(len(prompt) for prompt in paths) - shared,
                selection=max((len(prompt) for prompt in selections), default=shared) - shared,
                context_length=engine.context_length,
            )
        )
        _refuse(engine, longest, engine.max_tokens)
        run.prefixes[role] = paths[0][: max(1, shared)]


def _refuse(engine: Engine, num_tokens: int, limit: int) -> None:
    if num_tokens >= limit:
        raise ProblemError(
            f"The problem is too long: its prompt has {num_tokens} tokens,"
            f" and there is room for {limit} in {engine.info.name}.",
            "",
            "Shorten it, or give a larger --ctx if the model allows one.",
        )


def prepare(run: Run) -> Iterator[AnyEvent]:
    """Check that the problem fits, and prefill what all paths and the selection share."""
    with run.phase("prefill"):
        if not run.prefixes:
            make_room(run)
        for role, engine in run.engines.items():
            run.roots[role] = engine.open(run.prefixes[role])
    for note in _notes(run):
        yield run.at(Notice(message=note))


def _path_prompts(run: Run, role: Author) -> list[list[int]]:
    unknown = run.pool.by_letter("M")
    strategies = [*run.pool.strategies, unknown] if run.plan.selects else [unknown]
    return run.prompters[role].paths(run.problem, strategies, run.given)


def _selection_prompts(run: Run, role: Author) -> list[list[int]]:
    if role != "target" or not run.asks_the_target:
        return []
    return run.prompters[role].selections(run.problem, [run.pool.strategies], 1)


def _notes(run: Run) -> Iterator[str]:
    for role in run.engines:
        yield from run.engines[role].notes
        yield from run.prompters[role].notices
    if run.plan.verified and not run.same_vocabulary:
        yield (
            "Draft and target have different vocabularies:"
            " steps are handed over as text and tokenized again."
        )
    if run.plan.verified and run.judge.notice:
        yield run.judge.notice


def select(run: Run) -> Generator[AnyEvent, None, tuple[str, ...]]:
    """Yield the scores; return the letters the paths follow."""
    count, pool = run.plan.num_paths, run.pool.strategies
    mode = run.options.selection if run.plan.selects else "none"
    scores: dict[str, float] | None = None
    with run.phase("selection"):
        if mode == "logprob":
            scores = _score_letters(run)
            read = selection.best(scores, count) if scores else None
        elif mode == "generate":
            read = _generate_letters(run)
        elif mode == "random":
            read = selection.at_random(pool, count, run.seed("selection"))
        elif mode == "first":
            read = selection.first(pool, count)
        else:
            read = selection.none(count)
    chosen = read or selection.first(pool, count)
    if read is None:
        yield run.at(
            Notice(
                message="The target's choice of strategies could not be read: the pool's"
                " first ones are followed."
            )
        )
    run.scores = selection.score_table(pool, chosen, scores)
    if run.plan.selects:
        yield run.at(SelectionScored(mode=mode, scores=run.scores, chosen=chosen))
    return chosen


def _score_letters(run: Run) -> dict[str, float] | None:
    engine, prompter = run.engines["target"], run.prompters["target"]
    pool = run.pool.strategies
    orders = selection.orders(pool, run.options.selection_permutations)
    prompts = prompter.selections(run.problem, orders, 1)
    candidates = prompter.candidates([strategy.letter for strategy in pool])
    root = run.roots["target"]
    rows: list[tuple[float, ...]] = []
    # Each order needs a sequence of its own; the paths have not taken theirs yet.
    forks = [engine.fork(root) for _ in prompts]
    for result in engine.extend(
        [
            ExtendJob(
                seq_id=fork,
                suffix=_continue(run, "target", fork, prompt).tokens,
                candidates=candidates,
            )
            for fork, prompt in zip(forks, prompts, strict=True)
        ]
    ):
        rows.append(result.probe or (float("nan"),) * len(pool))
    for fork in forks:
        engine.release(fork)
    scores = selection.probabilities(pool, orders, rows)
    if scores and len(orders) > 1:
        run.orders = selection.by_order(orders, rows, run.plan.num_paths)
    return scores


def _generate_letters(run: Run) -> tuple[str, ...] | None:
    engine, count = run.engines["target"], run.plan.num_paths
    pool = run.pool.strategies
    (prompt,) = run.prompters["target"].selections(run.problem, [pool], max(2, count))
    root = run.roots["target"]
    fork = engine.fork(root)
    (result,) = engine.extend([_continue(run, "target", fork, prompt)])
    text = ""
    if not result.no_room:
        job = StepJob(fork, _TOKENS_PER_LETTER * count, Sampling(temperature=0))
        text = "".join(delta.text for delta in decode_steps(engine, [job]))
    engine.release(fork)
    return None if result.no_room else selection.parse_letters(text, pool, count)


def _continue(run: Run, role: Author, fork: int, prompt: list[int]) -> ExtendJob:
    """What makes a fresh fork of a model's root hold this prompt.

    Normally the root is the prompt's beginning. It is not where the prompt has another
    form than the ones the root was made of.
    """
    engine = run.engines[role]
    shared = shared_prefix([prompt, engine.tokens(fork)])
    if shared < engine.num_tokens(fork):
        engine.truncate(fork, shared)
    return ExtendJob(seq_id=fork, tokens=prompt[engine.num_tokens(fork) :])


def open_paths(run: Run, letters: Sequence[str]) -> Iterator[AnyEvent]:
    """Fork every path from the shared prefix and prefill its own advice."""
    table = {row.letter: row.score for row in run.scores}
    new = [
        PathState(len(run.paths) + offset, run.pool.by_letter(letter), table.get(letter))
        for offset, letter in enumerate(letters)
    ]
    with run.phase("prefill"):
        for role, engine in run.engines.items():
            prompts = run.prompters[role].paths(
                run.problem, [path.strategy for path in new], run.given
            )
            jobs = []
            for path, prompt in zip(new, prompts, strict=True):
                path.sequences[role] = engine.fork(run.roots[role])
                jobs.append(_continue(run, role, path.sequences[role], prompt))
            for path, result in zip(new, engine.extend(jobs), strict=True):
                path.end_reason = path.end_reason or result.no_room
    for path in new:
        if run.prompters[run.plan.writer].opens_thinking:
            path.opening = "<think>\n"
        path.opening += "".join(run.given)
        run.paths.append(path)
        yield run.at(
            PathOpened(
                path=path.index, strategy=path.strategy, selection_score=path.selection_score
            )
        )
        if path.end_reason:
            yield from end(run, path, path.end_reason)
