"""Which models a method uses for what (docs/method.md, section 5)."""

from __future__ import annotations

from msgspec import Struct

from ssr_local.core.options import VERIFIED_METHODS, SolveOptions
from ssr_local.core.records import ModelRole

# Room after a path for the probe that scores a step, or for the letters of a selection.
_TOKENS_BESIDE_PATH = 128


class Plan(Struct, frozen=True):
    """Which models a method uses for what.

    ``writer`` writes the steps; with ``verified`` the target judges and rewrites them;
    with ``selects`` the paths follow strategies.
    """

    writer: ModelRole
    verified: bool
    selects: bool
    num_paths: int

    @property
    def roles(self) -> tuple[ModelRole, ...]:
        """The models the method needs loaded."""
        if self.verified:
            return ("draft", "target")
        return (self.writer,)


def plan_for(options: SolveOptions) -> Plan:
    """The plan of ``options.method`` (docs/method.md, section 5)."""
    method = options.method
    is_parallel = method in ("ssr", "parallel", "parallel-spm")
    return Plan(
        writer="target" if method in ("target", "parallel", "parallel-spm") else "draft",
        verified=method in VERIFIED_METHODS,
        selects=method in ("ssr", "parallel-spm"),
        num_paths=options.paths if is_parallel else 1,
    )


def num_sequences(plan: Plan, options: SolveOptions) -> int:
    """Sequences that a run has open at most on one model: the shared prefix, and then the
    paths or the orders of the selection."""
    orders = options.selection_permutations if plan.selects else 0
    return 1 + max(plan.num_paths, orders)


def num_cells(
    plan: Plan,
    options: SolveOptions,
    *,
    shared: int,
    advice: int,
    selection: int,
    context_length: int,
) -> int:
    """KV-cache cells that a run needs at most on one model.

    ``shared`` is the length in tokens of what all prompts begin with, ``advice`` and
    ``selection`` of what a path's prompt and the selection's add to it; no path grows
    beyond ``context_length``. The selection's orders lie side by side and are gone before
    the paths are opened.
    """
    path = min(advice + options.max_tokens + _TOKENS_BESIDE_PATH, context_length - shared)
    paths = plan.num_paths * max(1, path)
    orders = options.selection_permutations * (selection + _TOKENS_BESIDE_PATH)
    return shared + max(paths, orders)
