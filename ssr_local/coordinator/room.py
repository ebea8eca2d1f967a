"""How many sequences and KV-cache cells a plan needs."""

from __future__ import annotations

from ssr_local.core.options import SolveOptions
from ssr_local.core.records import ModelRole
from ssr_local.method.plans import SELECTED, Plan

# Room after a path for the probe that scores a step, or for the letters of a selection.
_TOKENS_BESIDE_PATH = 128


def num_sequences(plan: Plan, options: SolveOptions) -> int:
    """Sequences that a run has open at most on one model: the shared prefixes, and then the
    paths of a wave or, before them, the orders of the selection and a fork of one."""
    orders = options.selection_permutations if plan.num_selected else 0
    forms = len({path.kind.form for path in plan.paths})
    beside = forms if _selects_later(plan) else 0
    most = max(len(wave.paths) for wave in plan.waves)
    return max(beside + orders + bool(orders), forms + most)


def _selects_later(plan: Plan) -> bool:
    """Whether there are shared prefixes already when the target selects strategies."""
    return plan.num_selected > 0 and all(p.strategy != SELECTED for p in plan.waves[0].paths)


def num_cells(
    plan: Plan,
    options: SolveOptions,
    role: ModelRole,
    *,
    shared: int,
    advice: int,
    selection: int,
    context_length: int,
) -> int:
    """KV-cache cells that a run needs at most on one model.

    ``shared`` is the length in tokens of what the prompts of each form begin with, ``advice`` of
    what a path's prompt adds to it, ``selection`` of a selection prompt; no path grows beyond
    ``context_length``. Waves follow one another; the selection's orders lie side by side
    and are gone before its paths are opened.
    """
    path = min(advice + options.budget + _TOKENS_BESIDE_PATH, context_length - shared)
    most = max(sum(role in path.kind.roles for path in wave.paths) for wave in plan.waves)
    paths = most * max(1, path)
    orders = options.selection_permutations * (selection + _TOKENS_BESIDE_PATH)
    if role == "draft" or not plan.num_selected:
        return shared + paths
    return max(shared + paths, orders + (shared if _selects_later(plan) else 0))
