"""What the lines of the reasoning tree stand for. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from ssr_local.core.tree import Node, Tree
from ssr_local.core.views import PathView, StepView

ItemKind = Literal[
    "problem",
    "wave",
    "path",
    "step",
    "rejected",
    "pruned",
    "strategy",
    "votes",
    "vote",
    "notices",
    "notice",
]


class Item(Struct, frozen=True):
    """What a line of the tree stands for.

    ``index`` is the path's or the wave's, or that of the strategy, vote or notice in its list;
    ``step`` counts from 0.
    """

    kind: ItemKind
    index: int = -1
    step: int = -1

    def path_in(self, tree: Tree) -> PathView | None:
        """The path it is, or belongs to."""
        is_on_path = self.kind in ("path", "step", "rejected")
        return tree.paths.get(self.index) if is_on_path else None

    def step_in(self, tree: Tree) -> StepView | None:
        """The step it is, or whose rejected draft it is."""
        path = self.path_in(tree)
        return path.steps[self.step] if path and 0 <= self.step < len(path.steps) else None

    def is_changed_by(self, changed: frozenset[Node]) -> bool:
        """Whether its detail may look different after a change."""
        if self.kind in ("step", "rejected"):
            return Node("step", self.index, self.step) in changed
        if self.kind == "path":
            return any(node.path == self.index for node in changed)
        return any(node.kind in ("run", "votes", "notices", "strategies") for node in changed)

    def newest_in(self, tree: Tree, changed: frozenset[Node]) -> Item:
        """The newest step of its path, of another that has changed when that one has ended."""
        path = self.path_in(tree)
        if path is None or path.end_reason is not None:
            steps = [node for node in changed if node.kind == "step"]
            path = tree.paths.get(min(steps).path) if steps else None
        return Item("step", path.index, len(path.steps) - 1) if path and path.steps else self


PROBLEM, PRUNED, VOTES, NOTICES = Item("problem"), Item("pruned"), Item("votes"), Item("notices")
