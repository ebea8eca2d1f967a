"""The line that says what came out, or what went wrong."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from ssr_local.core.display import clean
from ssr_local.core.errors import SSRError
from ssr_local.core.tree import Tree
from ssr_local_tui import looks


class AnswerBar(Static):
    """The final answer once there is one, before that the one that leads; errors instead."""

    DEFAULT_CSS = """
    AnswerBar { height: auto; max-height: 5; padding: 0 1; display: none; }
    AnswerBar.-shown { display: block; }
    AnswerBar.-answer { background: $success-muted; color: $text-success; }
    AnswerBar.-leading { background: $panel; }
    AnswerBar.-none { background: $warning-muted; color: $text-warning; }
    AnswerBar.-error { background: $error-muted; color: $text-error; }
    """

    _shown: tuple[str, Text] | None = None

    def show(self, tree: Tree, error: SSRError | None, *, again: str) -> None:
        """Show the state of the votes, or the error; the key ``again`` starts once more."""
        kind, text = _content(tree, error, again)
        if (kind, text) == self._shown:
            return
        self._shown = (kind, text)
        self.set_classes(f"-shown -{kind}" if kind else "")
        self.update(text)


def _content(tree: Tree, error: SSRError | None, again: str) -> tuple[str, Text]:
    if error is not None:
        # What to do comes right after what happened: the reason may be longer than the room.
        lines = clean(str(error)).splitlines()
        if tree.problem:
            lines.insert(1, f"Press {again} to start again. What there is stays until then.")
        return "error", Text("\n".join(filter(None, lines)))
    result, winner = tree.result, tree.winner
    if result is None:
        if winner is None:
            if tree.phase == "loading" and tree.notices:
                return "leading", Text(clean(tree.notices[-1]))
            return "", Text()
        return "leading", Text(f"So far: {looks.shown_text(winner.answer)} ({_votes(tree)})")
    stopped = ", stopped" if result.status == "cancelled" else ""
    if result.answer is not None:
        answer = looks.shown_text(result.answer)
        return "answer", Text.assemble(
            ("Answer: ", "bold"), (answer, "bold"), f"   {_votes(tree)}{stopped}"
        )
    if result.status == "cancelled":
        return "none", Text("Stopped before there was an answer. What there is stays.")
    why = f"; {clean(tree.stopped)}" if tree.stopped else ""
    return "none", Text(f"No path came to an answer{why}.")


def _votes(tree: Tree) -> str:
    """How far the paths agree, in words."""
    total, open_ones = len(tree.paths), len(tree.live_paths)
    ended = sum(path.answer is not None for path in tree.paths.values())
    if total == 1:
        return "one path, nothing to compare it with"
    num = len(tree.winner.paths) if tree.winner else 0
    said = f"{num} of {total} paths say so"
    without = total - ended - open_ones
    if without:
        said += f", {without} came to no answer"
    return f"{said}, {open_ones} still go on" if open_ones else said
