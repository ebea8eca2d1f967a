"""The main screen: tree, detail, metrics, answer, and the problem's input."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Tree as TreeWidget

from ssr_local.core.errors import SSRError
from ssr_local.core.tree import Node, Tree
from ssr_local_tui.feed import Feed
from ssr_local_tui.screens.steering import STARTING, Steering
from ssr_local_tui.widgets.answer import AnswerBar
from ssr_local_tui.widgets.detail import DetailPane
from ssr_local_tui.widgets.header import StatusHeader
from ssr_local_tui.widgets.key_footer import KeyFooter
from ssr_local_tui.widgets.metrics import MetricsPane
from ssr_local_tui.widgets.problem import ProblemInput
from ssr_local_tui.widgets.run_tree import Item, RunTree

REDRAWS_PER_S = 20
"""At most so many a second, however fast events come."""
# Of what is dear to draw: figures, and a text that grows.
_SLOW_REDRAW_S = 1.0
_SLOW_REDRAW_ON_CPU_S = 2.0
_IDLE_S = 0.25
_SHORTEST_WAIT_S = 0.002
# The share of a processor that drawing may take from the models.
_DRAWING_SHARE = 0.015
_LONGEST_GAP_S = 0.045
# Where the processor is all the models have, a word half a second late is the better deal.
_LONGEST_GAP_ON_CPU_S = 0.7


class MainScreen(Steering, Screen[None]):
    """Shows one run; what it can be told to do is in ``Steering``."""

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - Textual's own type
        (0, "-narrow"),
        (60, "-medium"),
        (110, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-low"),
        (20, "-middling"),
        (32, "-high"),
    ]
    CSS_PATH = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "edit", "Problem", id="problem", tooltip="type a problem"),
        Binding("question_mark,f1", "help", "Help", id="help", tooltip="all the keys"),
        Binding("escape", "tree", "Tree", id="tree", tooltip="leave the input"),
        Binding("x", "stop", "Stop", id="stop", tooltip="stop the run, keep what there is"),
        Binding("p", "pause", "Pause", id="pause", tooltip="stand still between rounds, go on"),
        Binding("r", "again", "Again", id="again", tooltip="the same problem, another seed"),
        Binding("y", "keep", "Keep step", id="keep", tooltip="whatever the target said"),
        Binding("n", "reject", "Reject step", id="reject", tooltip="the target writes its own"),
        Binding("d", "drop", "Drop path", id="drop", tooltip="end it; it has no vote"),
        Binding("a", "add", "Add path", id="add", tooltip="one more, with a strategy"),
        Binding("v", "compare", "Compare", id="compare", tooltip="two paths side by side"),
        Binding("e", "export", "Export", id="export", tooltip="write the run to a file"),
        Binding("s", "settings", "Settings", id="settings", tooltip="paths, models, verifier"),
        Binding("o", "open", "Open", id="open", tooltip="an event log"),
        Binding("q", "app.quit", "Quit", id="quit", tooltip="leave the app"),
        *(
            Binding(key, action, title, show=False, id=name, tooltip=tooltip)
            for key, action, title, name, tooltip in (
                ("l", "source", "LaTeX", "source", "formulas as they were written, or readable"),
                ("t", "tutor", "Tutor", "tutor", "my own steps, checked, with hints"),
                ("w", "practice", "Practice", "practice", "problems that went wrong once"),
                ("h", "history", "History", "history", "what was done before"),
                ("c", "copy", "Copy", "copy", "what the cursor is on"),
                ("b", "detail", "Detail", "detail", "show or hide the pane"),
                ("m", "metrics", "Figures", "metrics", "show or hide the pane"),
                ("f", "follow", "Follow", "follow", "keep the cursor on what is being written"),
                ("full_stop", "replay_step", "Next event", "replay-step", "of a replay"),
                ("plus,equals_sign", "faster", "Faster", "replay-faster", "play a replay faster"),
                ("minus", "slower", "Slower", "replay-slower", "play a replay slower"),
            )
        ),
    ]

    def __init__(self, problem: str) -> None:
        super().__init__()
        self.tree_state = Tree()
        self.error: SSRError | None = None
        self.busy = ""
        self.following = True
        self.source = False
        self._first_problem = problem
        self._cost_s = 0.0
        self._used_s = time.process_time()
        self._slow_drawn_s = 0.0
        self._new_s = 0.0
        self._event_s = 0.0
        self._due_s = 0.0
        self._put_off: set[Node] = set()
        self._offered: dict[str, bool | None] = {}
        self._timer: Timer | None = None
        self.show_metrics: bool | None = None
        self.show_detail: bool | None = None

    @property
    def run_tree(self) -> RunTree:
        return self.query_one(RunTree)

    def compose(self) -> ComposeResult:
        yield StatusHeader()
        with Horizontal(id="body"):
            yield RunTree(self.tree_state, id="tree")
            with Vertical(id="side"):
                yield DetailPane(id="detail-pane")
                yield MetricsPane(id="metrics-pane")
        yield AnswerBar()
        yield ProblemInput(self._first_problem, id="problem")
        yield KeyFooter(show_command_palette=True, compact=True)

    def on_mount(self) -> None:
        self.draw()
        self.query_one(ProblemInput).focus()
        self.query_one("#detail-pane").border_title = "Detail"
        self.query_one("#metrics-pane").border_title = "Figures"
        self.query_one("#tree").border_title = "Reasoning"
        self._arrange()
        self.draw_all()

    # Drawing -------------------------------------------------------------------

    def draw(self) -> None:
        """Take in what has come and draw what has changed; look again when it is time.

        Looking and drawing take processor time from the models, so the costlier it is, the
        rarer: what all of the app used between two drawings is what a drawing costs.
        """
        started_s = time.monotonic()
        # A terminal that does not take what is drawn holds the whole app up: then draw less.
        late_s = max(0.0, started_s - self._due_s) if self._due_s else 0.0
        feed = self.host.runs.feed
        if feed is not None:
            self._draw_from(feed, started_s)
        if not self.running:
            gap_s = _IDLE_S
        else:
            longest = _LONGEST_GAP_ON_CPU_S if self._on_cpu() else _LONGEST_GAP_S
            gap_s = max(1 / REDRAWS_PER_S, min(longest, self._cost_s / _DRAWING_SHARE))
            gap_s = max(gap_s, min(_LONGEST_GAP_ON_CPU_S, 2 * late_s))
        self._look_in(started_s + gap_s - time.monotonic())

    def _look_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.stop()
        wait_s = max(_SHORTEST_WAIT_S, seconds)
        self._due_s = time.monotonic() + wait_s
        self._timer = self.set_timer(wait_s, self.draw)

    def _draw_from(self, feed: Feed, now: float) -> None:
        over = feed.is_over
        events = feed.drain()
        changed = self.tree_state.apply_all(events)
        if events:
            self._event_s = now
        if events and self.busy == STARTING:
            self.busy = ""
        if changed:
            used_s, self._used_s = self._used_s, time.process_time()
            self._cost_s = 0.8 * self._cost_s + 0.2 * (self._used_s - used_s)
        gap_s = _SLOW_REDRAW_ON_CPU_S if self._on_cpu() else _SLOW_REDRAW_S
        slow = now - self._slow_drawn_s >= gap_s
        if changed or (self._put_off and slow):
            self._draw_changes(frozenset(changed), now if slow else None)
        elif self.running and slow:  # the clock
            self._slow_drawn_s = now
            self.draw_figures()
        if over and self.running:
            self.ended(feed)

    def _on_cpu(self) -> bool:
        """Whether a live run's models have but the processor that draws."""
        models = self.tree_state.models.values()
        live = self.host.runs.pace is None
        return live and any(one.info is not None and one.info.device == "cpu" for one in models)

    def _draw_changes(self, changed: frozenset[Node], slow_s: float | None) -> None:
        """The tree at once; ``slow_s`` is the time if what is dear is to be drawn too."""
        tree = self.run_tree
        tree.sync(changed)
        if self.following:
            self.follow(changed)
        late, item = changed | self._put_off, tree.selected_item
        self._put_off = set()
        if slow_s is not None or any(node.kind in ("votes", "path") for node in changed):
            self._slow_drawn_s = time.monotonic() if slow_s is None else slow_s
            self.draw_figures()
        else:
            self._put_off |= {node for node in late if node.kind == "run"}
        if slow_s is not None or not _is_open(self.tree_state, item):
            if _concerns(item, late):
                self.draw_detail()
        else:
            self._put_off |= {node for node in late if _concerns(item, frozenset((node,)))}

    def draw_figures(self) -> None:
        """Header, answer and metrics."""
        app, tree = self.host, self.tree_state
        self.query_one(StatusHeader).show(
            pair=app.pair_name,
            options=app.settings.solve,
            tree=tree,
            elapsed_s=self._elapsed_s(),
            extra=self.replay_text(),
            busy=self.busy,
            models=self._models_state(),
        )
        self.query_one(AnswerBar).show(tree, self.error, self.error_hint())
        pane = self.query_one(MetricsPane)
        if pane.display:
            pane.show(tree)
        self._offer_keys()

    def _models_state(self) -> str:
        runs = self.host.runs
        if runs.pace is not None:
            return "recorded"
        return "ready" if runs.has_models else "unloaded"

    def _offer_keys(self) -> None:
        """Draw the footer anew when other keys do something: that is dear."""
        actions = {one.action: self.check_action(one.action, ()) for one in self._shown()}
        if actions != self._offered:
            self._offered = actions
            self.refresh_bindings()

    def _shown(self) -> Iterable[Binding]:
        """The screen's own bindings that have a place in the footer."""
        return (one for one in Binding.make_bindings(self.BINDINGS) if one.show)

    def _elapsed_s(self) -> float:
        """Seconds of a run by its own events; until they come, since it was asked for."""
        waits = self.host.runs.pace is None and (self.running or self.busy)
        if waits and self.tree_state.phase in ("idle", "loading"):
            return time.monotonic() - self._new_s
        if waits and self.running and self.tree_state.phase != "paused":
            return self.tree_state.at_s + time.monotonic() - self._event_s
        return self.tree_state.at_s

    def draw_detail(self) -> None:
        """The pane of what the cursor is on."""
        pane = self.query_one(DetailPane)
        if pane.display:
            pane.show(self.tree_state, self.run_tree.selected_item, source=self.source)

    def draw_all(self) -> None:
        """Everything but the tree."""
        self.draw_figures()
        self.draw_detail()

    def show_new(self, tree: Tree) -> None:
        """Show another run from its beginning."""
        self.tree_state = tree
        self._put_off.clear()
        self._new_s = self._event_s = time.monotonic()
        self._used_s, self._cost_s = time.process_time(), 0.0
        self.error = None
        self.following = True
        self.run_tree.show_run(tree)
        self.draw_all()

    def follow(self, changed: frozenset[Node]) -> None:
        """Keep the cursor on the newest step of a path, of another when that one has ended."""
        path, tree = self._live_path(), self.tree_state
        if path is None:
            steps = [node for node in changed if node.kind == "step"]
            path = tree.paths.get(min(steps).path) if steps else None
        if path is not None and path.steps:
            item = Item("step", path.index, len(path.steps) - 1)
            if item != self.run_tree.selected_item:
                self.run_tree.reveal(item)

    # What is shown where ---------------------------------------------------------

    def on_resize(self) -> None:
        self.call_after_refresh(self._arrange)

    def _arrange(self) -> None:
        """Panes that were neither asked for nor sent away are there where there is room."""
        wide, high = self.size.width >= 110, self.size.height >= 20
        roomy = self.size.width >= 60 and high
        detail = roomy if self.show_detail is None else self.show_detail
        metrics = wide and high if self.show_metrics is None else self.show_metrics
        self.query_one(DetailPane).display = detail
        self.query_one(MetricsPane).display = metrics
        self.query_one("#side").display = detail or metrics
        self.draw_all()

    def action_metrics(self) -> None:
        """Show or hide the figures."""
        self.show_metrics = not self.query_one(MetricsPane).display
        self._arrange()

    def action_detail(self) -> None:
        """Show or hide the detail."""
        self.show_detail = not self.query_one(DetailPane).display
        self._arrange()

    @on(RunTree.Touched)
    @on(DetailPane.Touched)
    def _touched(self) -> None:
        self.following = False

    @on(TreeWidget.NodeHighlighted)
    def _moved(self) -> None:
        self.draw_detail()
        self._offer_keys()

    @on(TreeWidget.NodeSelected)
    def _chosen(self, event: TreeWidget.NodeSelected[Item]) -> None:
        """Enter or a click: where there is no pane, it appears; else the line opens or closes."""
        if not self.query_one(DetailPane).display:
            self.action_detail()
        elif event.node.allow_expand:
            event.node.toggle()


def _concerns(item: Item, changed: frozenset[Node]) -> bool:
    """Whether the detail of an item may look different after a change."""
    if item.kind in ("step", "rejected"):
        return Node("step", item.place, item.step) in changed
    if item.kind == "path":
        return any(node.path == item.place for node in changed)
    return any(node.kind in ("run", "votes", "notices", "strategies") for node in changed)


def _is_open(tree: Tree, item: Item) -> bool:
    path = tree.paths.get(item.place)
    if path is None or item.kind not in ("step", "path"):
        return False
    return path.end_reason is None
