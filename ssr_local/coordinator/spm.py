"""The paper's Selective Parallel Module: strategies chosen, paths opened (docs/method.md, 1)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import NamedTuple

from ssr_local.coordinator.ending import end
from ssr_local.coordinator.path import PathState
from ssr_local.coordinator.prompter import shared_prefix
from ssr_local.coordinator.room import num_cells
from ssr_local.coordinator.run import Run, counted
from ssr_local.core.errors import ProblemError
from ssr_local.core.events import AnyEvent, PathOpened, SelectionScored, WaveOpened
from ssr_local.core.records import UNKNOWN_LETTER, ModelRole, PathForm, PathKind, Strategy
from ssr_local.engine.base import Engine, ExtendJob, Sampling, StepJob, decode_steps
from ssr_local.engine.prefixes import KeptPrefix
from ssr_local.method import selection
from ssr_local.method.plans import SELECTED
from ssr_local.method.pools import UNKNOWN

_TOKENS_PER_LETTER = 4
# Tokens before the problem; fewer are prefilled as fast as they are restored.
_WORTH_KEEPING = 64


def room_for(run: Run) -> dict[ModelRole, int]:
    """KV-cache cells that this run needs on each model; finds what its prompts share.

    Raises ``ProblemError`` when a prompt alone is longer than a model's context.
    """
    cells: dict[ModelRole, int] = {}
    for role, engine in run.engines.items():
        forms, selections = _path_prompts(run, role), _selection_prompts(run, role)
        whole = itertools.chain(selections, *forms.values())
        longest = max(map(len, whole), default=0)
        _refuse(engine, longest, engine.context_length)
        shared = {form: shared_prefix(prompts) for form, prompts in forms.items()}
        # What each form begins with stays; the paths' own ends come and go.
        run.room_needed[role] = max(longest, 1 + sum(shared.values()))
        cells[role] = num_cells(
            run.plan,
            run.options,
            role,
            shared=sum(shared.values()),
            advice=max((max(map(len, forms[form])) - shared[form] for form in forms), default=0),
            selection=max(map(len, selections), default=0),
            context_length=engine.context_length,
        )
        for form, prompts in forms.items():
            run.prefixes[role, form] = prompts[0][: max(1, shared[form])]
    return cells


def _refuse(engine: Engine, num_tokens: int, limit: int) -> None:
    if num_tokens >= limit:
        raise ProblemError(
            f"The problem is too long: its prompt has {num_tokens} tokens,"
            f" and there is room for {limit} in {engine.info.name}.",
            "",
            "Shorten it, or give a larger --ctx if the model allows one.",
        )


def check_room(run: Run) -> None:
    """Raise ``ProblemError`` when prompts are longer than what a model has room for now."""
    for role, engine in run.engines.items():
        _refuse(engine, run.room_needed[role], engine.max_tokens)


def open_wave(run: Run) -> Iterator[AnyEvent]:
    """Open the plan's next wave: its shared prefixes, its strategies, its paths."""
    wave = run.plan.waves[run.num_waves]
    kinds = tuple(path.kind for path in wave.paths)
    selects = run.letters is None and any(path.strategy == SELECTED for path in wave.paths)
    opened = WaveOpened(
        wave=run.num_waves,
        paths=kinds,
        why=_why_another(run),
        text=wave.text,
        rule=wave.rule,
        num_planned=len(run.plan.waves),
        selects=selects,
    )
    run.waves.append(opened.why)
    yield run.at(opened)
    if run.num_waves == 1:
        for note in _notes(run):
            yield run.notice(note)
    # First, because its prompt shares nothing with the paths': it needs no cells beside theirs.
    if selects:
        run.letters = yield from select(run)
    _prefill_shared(run, kinds)
    selected = iter((run.letters or ())[run.num_followed :])
    letters = [
        next(selected) if path.strategy == SELECTED else path.strategy or UNKNOWN_LETTER
        for path in wave.paths
    ]
    run.num_followed += sum(path.strategy == SELECTED for path in wave.paths)
    yield from open_paths(run, list(zip(kinds, letters, strict=True)))


def _why_another(run: Run) -> str:
    """Why the waves so far were not enough."""
    if not run.num_waves:
        return ""
    if not run.groups:
        return "no path has an answer"
    sound = [group for group in run.groups if group.num_sound]
    if not sound:
        return "algebra refutes a step of each path with an answer"
    which = " without a refuted step" if any(group.refuted for group in sound) else ""
    if len(sound) > 1 and sound[1].num_sound > 1:
        return f"as many paths say {sound[0].answer} as {sound[1].answer}"
    if len(sound) == 1:
        return f"no other path{which} agrees with {sound[0].answer}"
    return f"no two paths{which} agree: {', '.join(group.answer for group in sound)}"


def _prefill_shared(run: Run, kinds: Sequence[PathKind]) -> None:
    """Prefill what the prompts of a form begin with, on models that do not hold it yet."""
    with run.phase("prefill"):
        for role, form in dict.fromkeys((role, kind.form) for kind in kinds for role in kind.roles):
            if (role, form) not in run.roots:
                run.roots[role, form] = _root(run, role, form)


def _root(run: Run, role: ModelRole, form: PathForm) -> int:
    """A sequence of what the prompts of a form begin with, from what is there or kept already."""
    prefix, head = run.prefixes[role, form], run.prompters[role].head(form, run.problem)
    nearest = _nearest(run, role, prefix)
    if len(head) >= max(_WORTH_KEEPING, nearest.num_shared) and prefix[: len(head)] == head:
        (root, _), num_shared = _open_kept(run, role, head, [head]), 0
    elif nearest.num_shared:
        root, num_shared = run.fork(role, nearest.root), nearest.num_shared
    else:
        run.root_cells[role] += len(prefix)
        return run.open(role, prefix)
    if run.extend(role, [_rest(run, role, root, prefix)])[0].no_room:
        run.release(role, root)
        return run.open(role, prefix)  # whose error says for how much there is room
    run.root_cells[role] += len(prefix) - num_shared
    return root


class _Nearest(NamedTuple):
    """The root that has most in common with a prompt, and how many tokens that is."""

    root: int = -1
    num_shared: int = 0


def _nearest(run: Run, role: ModelRole, prompt: list[int]) -> _Nearest:
    roots = [root for (whose, _), root in run.roots.items() if whose == role]
    alike = [
        _Nearest(root, shared_prefix([prompt, run.engines[role].tokens(root)])) for root in roots
    ]
    return max(alike, key=lambda one: one.num_shared, default=_Nearest())


def _sharing(run: Run, role: ModelRole, prompt: list[int]) -> tuple[int, ExtendJob]:
    """A new sequence that shares what a root has in common with the prompt; what makes it whole."""
    nearest = _nearest(run, role, prompt)
    new = run.fork(role, nearest.root) if nearest.num_shared else run.open(role, prompt[:1])
    return new, _rest(run, role, new, prompt)


def _rest(run: Run, role: ModelRole, seq_id: int, prompt: list[int]) -> ExtendJob:
    """What makes a sequence hold this prompt, once all it does not begin with is forgotten."""
    engine = run.engines[role]
    shared = shared_prefix([prompt, engine.tokens(seq_id)])
    if shared < engine.num_tokens(seq_id):
        engine.truncate(seq_id, shared)
    return ExtendJob(seq_id=seq_id, tokens=prompt[engine.num_tokens(seq_id) :])


def _path_prompts(run: Run, role: ModelRole) -> dict[PathForm, list[list[int]]]:
    pool = run.pool.strategies if run.plan.num_selected else ()
    letters = {one.letter for one in pool} | {path.strategy for path in run.plan.paths}
    strategies = [run.pool.by_letter(letter) for letter in sorted(letters - {"", SELECTED})]
    return {
        form: run.prompters[role].paths(
            run.problem, [(one, form) for one in (*strategies, UNKNOWN)], run.prefix_steps
        )
        for form in dict.fromkeys(p.kind.form for p in run.plan.paths if role in p.kind.roles)
    }


def _selection_prompts(run: Run, role: ModelRole) -> list[list[int]]:
    asked = run.plan.num_selected and run.options.selection in ("logprob", "generate")
    if role != "target" or not asked:
        return []
    return run.prompters[role].selections(run.problem, [run.pool.strategies], 1)


def _notes(run: Run) -> Iterator[str]:
    if run.note:
        yield run.note
    for role in run.engines:
        yield from run.engines[role].notes
        yield from run.prompters[role].notices
    if run.plan.is_verified and not run.same_vocabulary:
        yield (
            "Draft and target have different vocabularies:"
            " steps are passed on as text and tokenized again."
        )
    if run.plan.is_verified and run.judge.notice:
        yield run.judge.notice


def select(run: Run) -> Generator[AnyEvent, None, tuple[str, ...]]:
    """Yield the scores; return the letters the paths follow."""
    count, mode = run.plan.num_selected, run.options.selection
    pool = [one for one in run.pool.strategies if one.name not in run.harmful]
    scores: dict[str, float] | None = None
    with run.phase("selection"):
        if mode == "logprob":
            scores = _score_letters(run)
            possible = {one.letter: scores[one.letter] for one in pool} if scores else {}
            read = selection.best(possible, count) if scores else None
        elif mode == "generate":
            read = _generate_letters(run, pool)
        elif mode == "random":
            read = selection.at_random(pool, count, run.seed("selection"))
        else:
            read = selection.first(pool if mode == "first" else (), count)
    chosen = read or selection.first(pool, count)
    if read is None:
        yield run.notice(
            "The target's choice of strategies could not be read: the pool's first ones are"
            " followed."
        )
    run.scores = selection.score_table(run.pool.strategies, chosen, scores)
    yield run.at(SelectionScored(mode=mode, scores=run.scores, chosen=chosen))
    return chosen


def _score_letters(run: Run) -> dict[str, float] | None:
    prompter, pool = run.prompters["target"], run.pool.strategies
    orders = selection.orders(pool, run.options.selection_permutations)
    prompts = prompter.selections(run.problem, orders, 1)
    # Each order needs a sequence of its own; the paths have not taken theirs yet.
    opened = [_open_pool(run, order) for order in orders]
    candidates = prompter.candidates([strategy.letter for strategy in pool])
    jobs = [
        ExtendJob(
            seq_id=seq_id,
            suffix=_rest(run, "target", seq_id, prompt).tokens,
            candidates=candidates,
        )
        for (seq_id, _), prompt in zip(opened, prompts, strict=True)
    ]
    rows = [
        selection.calibrated(result.probe or (float("nan"),) * len(pool), baseline)
        for result, (_, baseline) in zip(run.extend("target", jobs), opened, strict=True)
    ]
    for seq_id, _ in opened:
        run.release("target", seq_id)
    scores = selection.probabilities(pool, orders, rows)
    if scores and len(orders) > 1:
        run.orders = selection.by_order(orders, rows, run.plan.num_selected)
    return scores


def _open_pool(run: Run, order: Sequence[Strategy]) -> tuple[int, tuple[float, ...]]:
    """A sequence of what stands before the problem in the selection prompt; and what each letter
    gets after it for the pool's typical problems."""
    prompter = run.prompters["target"]
    typical = prompter.typical(order)
    # Of one prompt alone the problem would be taken for what stands before it.
    alike = typical if len(typical) > 1 else [*typical, *prompter.selections("", [order], 1)]
    tokens = typical[0][: max(1, shared_prefix(alike))]
    candidates = prompter.candidates([strategy.letter for strategy in run.pool.strategies])

    def baseline(seq_id: int) -> tuple[float, ...]:
        rows = []
        for prompt in typical:
            fork = run.fork("target", seq_id)  # a probe makes recurrent memory forget its sequence
            job = ExtendJob(seq_id=fork, suffix=prompt[len(tokens) :], candidates=candidates)
            rows.append(run.extend("target", [job])[0].probe or ())
            run.release("target", fork)
        return selection.mean_of(rows) if all(rows) else ()

    return _open_kept(run, "target", tokens, typical, baseline)


def _open_kept(
    run: Run,
    role: ModelRole,
    tokens: list[int],
    prompts: Sequence[Sequence[int]],
    baseline: Callable[[int], tuple[float, ...]] | None = None,
) -> tuple[int, tuple[float, ...]]:
    """A sequence of tokens that stand before every problem, prefilled only where they are not kept;
    and the baseline that is kept with them. Both are of these prompts."""
    engine = run.engines[role]
    kept = run.kept.find(engine, prompts)
    seq_id = run.restore(role, tokens, kept.state) if kept else None
    if kept and seq_id is not None:
        return seq_id, kept.baseline
    seq_id = run.open(role, tokens)
    state = engine.save(seq_id)
    found = kept.baseline if kept else baseline(seq_id) if baseline else ()
    new = KeptPrefix(state=state, baseline=found)
    if new.baseline or not baseline:  # one that could not be read is tried again
        run.kept.keep(engine, prompts, new)
    return seq_id, new.baseline


def _generate_letters(run: Run, pool: Sequence[Strategy]) -> tuple[str, ...] | None:
    count = run.plan.num_selected
    (prompt,) = run.prompters["target"].selections(
        run.problem, [run.pool.strategies], max(2, count)
    )
    seq_id, _ = _open_pool(run, run.pool.strategies)
    (result,) = run.extend("target", [_rest(run, "target", seq_id, prompt)])
    text = ""
    if not result.no_room:
        letters = StepJob(seq_id, _TOKENS_PER_LETTER * count, Sampling(temperature=0))
        with counted("target", [(run, 1)]):
            for delta in decode_steps(run.engines["target"], [letters]):
                run.decoded["target"] += delta.num_tokens
                text += delta.text
    run.release("target", seq_id)
    return None if result.no_room else selection.parse_letters(text, pool, count)


def open_paths(run: Run, planned: Sequence[tuple[PathKind, str]]) -> Iterator[AnyEvent]:
    """Fork paths, given by kind and strategy's letter, from the shared prefix and prefill their
    own advice."""
    table = {row.letter: row.score for row in run.scores}
    new = [
        PathState(
            len(run.paths) + offset,
            _strategy(run, kind, letter),
            table.get(letter),
            kind,
            run.num_waves - 1,
        )
        for offset, (kind, letter) in enumerate(planned)
    ]
    with run.phase("prefill"):
        for role in run.engines:
            _open_on(run, role, [path for path in new if role in path.kind.roles])
    for path in new:
        path.opening = run.prompters[path.kind.writer].opening(run.prefix_steps)
        run.paths.append(path)
        yield run.at(
            PathOpened(
                path=path.index,
                strategy=path.strategy,
                selection_score=path.selection_score,
                kind=path.kind,
                wave=path.wave,
            )
        )
        if path.end_reason:
            yield from end(run, path, path.end_reason)


def _strategy(run: Run, kind: PathKind, letter: str) -> Strategy:
    if letter == UNKNOWN_LETTER and any(path.kind.form == "program" for path in run.plan.paths):
        return Strategy(UNKNOWN_LETTER, kind.form, "")
    return run.pool.by_letter(letter)


def _open_on(run: Run, role: ModelRole, paths: Sequence[PathState]) -> None:
    if not paths:
        return
    prompts = run.prompters[role].paths(
        run.problem, [(path.strategy, path.kind.form) for path in paths], run.prefix_steps
    )
    jobs = []
    for path, prompt in zip(paths, prompts, strict=True):
        path.sequences[role], job = _sharing(run, role, prompt)
        jobs.append(job)
    for path, result in zip(paths, run.extend(role, jobs), strict=True):
        path.end_reason = path.end_reason or result.no_room
