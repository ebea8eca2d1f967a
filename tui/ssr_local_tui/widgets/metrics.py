"""What a run has cost so far, and what the same would have cost the target alone."""

from __future__ import annotations

from textwrap import wrap

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from ssr_local.core.display import human_bytes
from ssr_local.core.records import ModelRole, Timing, Usage
from ssr_local.core.tree import Tree
from ssr_local_tui import looks

_PHASES = (
    ("selection", "choosing strategies"),
    ("prefill", "reading the problem"),
    ("draft", "drafting"),
    ("verify", "verifying"),
    ("rewrite", "rewriting"),
    ("write", "writing"),
    ("vote", "voting"),
)
_ROLES: tuple[ModelRole, ModelRole] = ("draft", "target")
_BAR_CELLS = 8


class MetricsPane(VerticalScroll):
    """Figures of the run."""

    DEFAULT_CSS = """
    MetricsPane { padding: 0 1; background: $surface; }
    MetricsPane > Static { width: 100%; height: auto; }
    """

    _shown: tuple[list[int], int] | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="metrics")

    def show(self, tree: Tree) -> None:
        """Show the figures as they are now."""
        rows, body = rows_of(tree), self.query_one("#metrics", Static)
        shown = (_heights(rows, body.size.width), body.size.width)
        body.update(table_of(rows), layout=shown != self._shown)
        self._shown = shown


def _heights(rows: list[tuple[str, str]], width: int) -> list[int]:
    """How many lines every row takes: a layout is expensive, and most figures keep their height."""
    room = max(1, width - 1 - max((len(name) for name, _ in rows), default=0))
    return [len(wrap(value, room, break_on_hyphens=False)) for _, value in rows]


def table_of(rows: list[tuple[str, str]]) -> Table:
    """The figures as rows of a name and a value."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for name, value in rows:
        table.add_row(Text(name, style="dim"), Text(value))
    return table


def rows_of(tree: Tree) -> list[tuple[str, str]]:
    """The figures in words; what is not known yet is left out."""
    counts = tree.counts
    rows = []
    if counts.acceptance_rate is not None:
        rate = counts.acceptance_rate
        rows.append(
            ("kept", f"{looks.bar(rate)} {counts.accepted} of {counts.drafted} ({rate:.0%})")
        )
        rows.append(("rewritten", f"{counts.rewritten}"))
    figures = looks.figures_of(tree)
    if figures is None:
        rows.append(("tokens", f"draft {counts.draft_tokens}, target {counts.target_tokens}"))
        return rows
    usage, timing = figures
    for role, used in zip(_ROLES, (usage.draft, usage.target), strict=True):
        if used.decode_tokens or used.prefill_tokens:
            speed = looks.speed_of(tree, role)
            rate_text = "" if speed is None else f", {speed:.0f}/s"
            rows.append(
                (role, f"{used.decode_tokens} written{rate_text}, {used.prefill_tokens} read")
            )
    rows += _times(timing)
    rows += _flops(tree, usage)
    rows += _caches(tree)
    return rows


def _times(timing: Timing) -> list[tuple[str, str]]:
    total = timing.total or 1.0
    spent = [(words, getattr(timing, name)) for name, words in _PHASES]
    shown = [
        (words, f"{looks.bar(seconds / total, _BAR_CELLS)} {seconds:.1f} s ({seconds / total:.0%})")
        for words, seconds in spent
        if seconds >= 0.05
    ]
    return [*shown, ("altogether", f"{timing.total:.1f} s")] if timing.total else shown


def _flops(tree: Tree, usage: Usage) -> list[tuple[str, str]]:
    """Both counts against the same tokens written by the target."""
    kept = sum(step.num_tokens for path in tree.paths.values() for step in path.steps)
    alone = 2.0 * usage.target.num_parameters * kept
    decode = usage.draft.decode_flops + usage.target.decode_flops
    if not alone or not decode:
        return []
    total = usage.draft.total_flops + usage.target.total_flops
    return [
        ("FLOPs, written", f"{decode / alone:.2f} × the target writing these steps"),
        ("FLOPs, all", f"{total / alone:.2f} × the same, with all that was read"),
    ]


def _caches(tree: Tree) -> list[tuple[str, str]]:
    rows = []
    for role in _ROLES:
        view = tree.models.get(role)
        if view is None or view.info is None:
            continue
        info = view.info
        size = f", {human_bytes(info.kv_bytes)}" if info.kv_bytes else ""
        cells = f"{info.num_ctx} cells{size}"
        if tree.measured is not None and tree.result is None:
            used = tree.measured.kv_cells.get(role, 0)
            share = used / info.num_ctx if info.num_ctx else 0.0
            cells = f"{looks.bar(share)} {used} of {cells}"
        rows.append((f"KV cache, {role}", cells))
    return rows
