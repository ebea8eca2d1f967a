"""The main screen: tree, detail, metrics, answer, and the problem's input."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Tree as TreeWidget

from ssr_local.core.display import clean, one_line
from ssr_local.core.tree import Node, Tree
from ssr_local.core.views import PathView
from ssr_local_tui.controller import RunController
from ssr_local_tui.feed import Pace
from ssr_local_tui.host import Host, host_of
from ssr_local_tui.redraw import Redraw
from ssr_local_tui.screens.comparison import ComparisonScreen
from ssr_local_tui.screens.download import DownloadScreen
from ssr_local_tui.screens.files import ExportScreen, OpenScreen
from ssr_local_tui.screens.history import HistoryScreen, Revisit
from ssr_local_tui.screens.practice import PracticeScreen
from ssr_local_tui.screens.strategies import StrategyScreen
from ssr_local_tui.screens.tutor import TutorScreen
from ssr_local_tui.widgets.answer import AnswerBar
from ssr_local_tui.widgets.detail import DetailPane, text_of
from ssr_local_tui.widgets.header import StatusHeader
from ssr_local_tui.widgets.items import Item
from ssr_local_tui.widgets.key_footer import KeyFooter
from ssr_local_tui.widgets.metrics import MetricsPane
from ssr_local_tui.widgets.problem import ProblemInput
from ssr_local_tui.widgets.run_tree import RunTree

_R = TypeVar("_R")


class MainScreen(Screen[None]):
    """Shows the controller's run, and hands it what the keys say."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-medium"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (20, "-middling"), (32, "-high")]  # noqa: RUF012
    CSS_PATH = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "edit", "Problem", id="problem", tooltip="type a problem"),
        Binding("question_mark,f1", "app.help", "Help", id="help", tooltip="all the keys"),
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

    def __init__(self, control: RunController) -> None:
        super().__init__()
        self.control = control
        self.following = True
        self.source = False
        self.show_metrics: bool | None = None
        self.show_detail: bool | None = None
        self._redraw = Redraw()
        self._detail_is_old = False
        self._offered: dict[str, bool | None] = {}
        self._timer: Timer | None = None

    @property
    def host(self) -> Host:
        """The app."""
        return host_of(self)

    @property
    def tree_state(self) -> Tree:
        """The run that is shown."""
        return self.control.tree

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
        yield ProblemInput(id="problem")
        yield KeyFooter(show_command_palette=True, compact=True)

    def on_mount(self) -> None:
        self.draw()
        self.query_one(ProblemInput).focus()
        self.query_one("#detail-pane").border_title = "Detail"
        self.query_one("#metrics-pane").border_title = "Figures"
        self.query_one("#tree").border_title = "Reasoning"
        self._arrange()

    # What the controller says ----------------------------------------------------

    @on(RunController.Began)
    def _began(self) -> None:
        if self.tree_state.problem:
            self.query_one(ProblemInput).remember(self.tree_state.problem)
        self._redraw.restart()
        self.following = True
        self.run_tree.show_run(self.tree_state)
        self.run_tree.focus()
        self._changed()

    @on(RunController.Ended)
    def _ended(self) -> None:
        if self.following and self.control.error is None:
            groups = self.tree_state.groups
            best = next((n for n, group in enumerate(groups) if group.winner), 0)
            self.run_tree.reveal(Item("vote", best))
        self.draw_all()

    @on(RunController.Changed)
    def _changed(self) -> None:
        self.draw_all()
        self.draw()  # looks more often while a run goes on

    @on(RunController.Trouble)
    def _trouble(self, event: RunController.Trouble) -> None:
        self.notify(clean(event.text), severity=event.severity, markup=False)

    @on(RunController.ModelsMissing)
    def _models_missing(self, event: RunController.ModelsMissing) -> None:
        self.draw_figures()
        self.app.push_screen(DownloadScreen(event.options, event.missing), self._fetched)

    def _fetched(self, done: bool | None) -> None:
        if not done:
            self.notify("Nothing was started. What was downloaded is kept.")
        self.control.go_on(done)

    # Drawing -------------------------------------------------------------------

    def draw(self) -> None:
        """Take in what has come and draw what has changed; look again when it is time."""
        started_s, control = time.monotonic(), self.control
        if self.run_tree.state is self.tree_state:  # else the word of another is on its way
            self._draw_changes(control.take_in(), started_s)
        on_cpu = control.models_on_cpu
        wait_s = self._redraw.wait_s(started_s, running=control.running, on_cpu=on_cpu)
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(wait_s, self.draw)

    def _draw_changes(self, changed: frozenset[Node], now_s: float) -> None:
        """The tree at once; what is expensive, figures and a text that grows, now and then."""
        tree = self.run_tree
        if changed:
            self._redraw.drawn()
            tree.sync(changed)
            if self.following:
                self.follow(changed)
            self._detail_is_old |= tree.selected_item.is_changed_by(changed)
        path = self._path()
        is_growing = path is not None and path.end_reason is None
        is_due = self._redraw.is_expensive_due(now_s, on_cpu=self.control.models_on_cpu)
        if any(node.kind in ("votes", "path") for node in changed) or (
            is_due and (self.control.running or changed)  # the clock goes on, too
        ):
            self._redraw.expensive_drawn()
            self.draw_figures()
        if self._detail_is_old and (is_due or not is_growing):
            self.draw_detail()

    def draw_figures(self) -> None:
        """Header, answer and metrics."""
        control, host, tree = self.control, self.host, self.tree_state
        self.query_one(StatusHeader).show(
            pair=host.pair_name,
            options=host.settings.solve,
            tree=tree,
            elapsed_s=control.elapsed_s,
            extra=control.playing or host.checking,
            busy=control.busy,
            models=control.models_state,
        )
        self.query_one(AnswerBar).show(tree, control.error, again=host.key_of("again"))
        pane = self.query_one(MetricsPane)
        if pane.display:
            pane.show(tree)
        self._offer_keys()

    def _offer_keys(self) -> None:
        """Draw the footer again when other keys do something: that is expensive."""
        shown = (one.action for one in Binding.make_bindings(self.BINDINGS) if one.show)
        actions = {action: self.check_action(action, ()) for action in shown}
        if actions != self._offered:
            self._offered = actions
            self.refresh_bindings()

    def draw_detail(self) -> None:
        """The pane of what the cursor is on."""
        self._detail_is_old = False
        pane = self.query_one(DetailPane)
        if pane.display:
            pane.show(self.tree_state, self.run_tree.selected_item, source=self.source)

    def draw_all(self) -> None:
        """Everything but the tree."""
        self.draw_figures()
        self.draw_detail()

    def follow(self, changed: frozenset[Node]) -> None:
        """Keep the cursor on what is being written."""
        item = self.run_tree.selected_item
        newest = item.newest_in(self.tree_state, changed)
        if newest != item:
            self.run_tree.reveal(newest)

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

    # Keys of a run -----------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that can do nothing now are not offered."""
        if action == "tree":
            return self.focused is not None and not isinstance(self.focused, RunTree)
        return self.control.can(action, self._path())

    def _path(self) -> PathView | None:
        """The path the cursor is on."""
        return self.run_tree.selected_item.path_in(self.tree_state)

    @on(ProblemInput.Submitted)
    def _submitted(self, event: ProblemInput.Submitted) -> None:
        self.control.begin(event.text)

    def action_stop(self) -> None:
        self.control.stop()

    def action_pause(self) -> None:
        self.control.pause()

    def action_again(self) -> None:
        self.control.again()

    def action_drop(self) -> None:
        if (path := self._path()) is not None:
            self.control.drop(path)

    def action_keep(self) -> None:
        if (path := self._path()) is not None:
            self.control.override(path, accept=True)

    def action_reject(self) -> None:
        if (path := self._path()) is not None:
            self.control.override(path, accept=False)

    def action_add(self) -> None:
        self._visit(StrategyScreen(self.tree_state), self.control.add)

    def action_replay_step(self) -> None:
        self.control.change_pace(Pace.step)

    def action_faster(self) -> None:
        self.control.change_pace(Pace.faster)

    def action_slower(self) -> None:
        self.control.change_pace(lambda pace: pace.faster(-1))

    # Keys of what is looked at -------------------------------------------------------

    def action_edit(self) -> None:
        self.query_one(ProblemInput).focus()

    def action_tree(self) -> None:
        self.run_tree.focus()

    def action_source(self) -> None:
        self.source = not self.source
        self.draw_detail()

    def action_follow(self) -> None:
        self.following = not self.following
        if self.following:
            paths = self.tree_state.live_paths
            last = (Node("step", path.index, len(path.steps) - 1) for path in paths if path.steps)
            self.follow(frozenset(last))
        self.notify("Following what is written." if self.following else "Not following.")

    def action_copy(self) -> None:
        text = text_of(self.tree_state, self.run_tree.selected_item)
        self.app.copy_to_clipboard(clean(text))
        self.notify(f"Copied: {one_line(text, 60)}", markup=False)

    # Other screens -------------------------------------------------------------------

    def _visit(self, screen: Screen[_R], then: Callable[[_R], object]) -> None:
        """Open a screen, and go on with what it gives, if it gives anything."""

        def go_on(result: _R | None) -> None:
            if result is not None:
                then(result)

        self.app.push_screen(screen, go_on)

    def action_settings(self) -> None:
        self.host.open_settings()

    def action_compare(self) -> None:
        path = self._path()
        self.app.push_screen(ComparisonScreen(self.tree_state, path.index if path else None))

    def action_export(self) -> None:
        feed = self.host.runs.feed
        self.app.push_screen(ExportScreen(self.tree_state, feed.kept_in if feed else None))

    def action_open(self) -> None:
        self._visit(OpenScreen(), lambda chosen: self.control.play(*chosen))

    def action_tutor(self) -> None:
        self._open_tutor(self.tree_state.problem)

    def _open_tutor(self, problem: str, steps: str = "") -> None:
        self._visit(TutorScreen(problem, steps), self.control.begin)

    def action_practice(self) -> None:
        self._visit(PracticeScreen(), self._open_tutor)

    def action_history(self) -> None:
        self._visit(HistoryScreen(), self._revisit)

    def _revisit(self, revisit: Revisit) -> None:
        problem = revisit.entry.problem
        if revisit.what == "again":
            field = self.query_one(ProblemInput)
            field.load_text(problem)
            field.focus()
        elif revisit.entry.kind != "run":
            self._open_tutor(problem, "\n\n".join(revisit.steps))
        elif revisit.log is not None:
            self.control.play(revisit.log, 0.0)
        else:
            self.control.begin(problem, prefix_steps=revisit.steps)
