"""The tutor: a problem, one's own steps with marks beside them, and hints as far as wanted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Button, Static, TextArea

from ssr_local import Interrupted, SSRError
from ssr_local.core.display import clean, one_line
from ssr_local.history.saving import Saver, saving
from ssr_local.history.store import Kind
from ssr_local.process.helper import Helper
from ssr_local.tutoring.checking import CheckResult, check, steps_of
from ssr_local.tutoring.hints import LEVELS, Hint, hint
from ssr_local.tutoring.keeping import keep_hint, kept_check
from ssr_local.tutoring.wording import in_words
from ssr_local_tui.background import in_background
from ssr_local_tui.feed import unexpected
from ssr_local_tui.host import Host, host_of
from ssr_local_tui.latex import readable
from ssr_local_tui.screens.dialog import when_on_top
from ssr_local_tui.widgets.key_footer import KeyFooter

DEBOUNCE_S = 0.8
_RETRY_S = 0.1
_SIGNS = {True: ("✓", "bold green"), False: ("✗", "bold red")}
_NO_SIGN = ("·", "dim")

Outcome = Callable[[], None]
Stop = Callable[[], bool]
Work = Callable[[str, list[str], Stop], Outcome]
"""What the models do about a problem and its steps, in a thread; the outcome is shown."""


class TutorScreen(Screen[str]):
    """Gives the problem back when its solution is to be watched, None otherwise.

    What is written is judged in the background once the writer pauses; writing on calls that
    off. Models do one thing at a time, so a hint waits for no judgement but ends it.
    """

    DEFAULT_CSS = """
    TutorScreen {
        layout: vertical;

        #said { height: 1; padding: 0 1; background: $panel; }
        #work { height: 1fr; }
        TextArea { border: round $border-blurred; background: $surface; padding: 0 1; }
        TextArea:focus { border: round $border; }
        #problem-text { height: 6; border-title-color: $text-muted; }
        #steps-text { height: 1fr; border-title-color: $text-muted; }
        #own { width: 1fr; }
        #marks {
            width: 1fr;
            border: round $border-blurred;
            border-title-color: $text-muted;
            padding: 0 1;
            background: $surface;
        }
        #marks Static { height: auto; width: 100%; }
        #buttons { height: 1; padding: 0 1; }
        #buttons Button { margin-right: 2; }
    }
    TutorScreen.-narrow #work { layout: vertical; }
    TutorScreen.-narrow #own { width: 100%; height: 60%; }
    TutorScreen.-narrow #marks { width: 100%; height: 40%; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-wide")]  # noqa: RUF012 - Textual's own type
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", id="tutor-close"),
        Binding("f2", "where", "Where is it wrong?", id="tutor-where"),
        Binding("f3", "hint", "Hint", id="tutor-hint"),
        Binding("f4", "solution", "Solution", id="tutor-solution"),
        Binding("ctrl+c", "app.stop_or_copy", "Stop", show=False, id="tutor-stop", system=True),
    ]

    def __init__(self, problem: str = "", steps: str = "") -> None:
        super().__init__()
        self._first_problem, self._first_steps = problem, steps
        self._request = 0
        self._working = self._thinking = False
        self._wanted: Work | None = None
        self._helper = Helper()
        self._timer: Timer | None = None
        self._num_steps = 0
        self.result: CheckResult | None = None
        self._revealed = False
        self._hints: list[Hint] = []
        self._state = ""

    @property
    def host(self) -> Host:
        """The app."""
        return host_of(self)

    @property
    def level(self) -> int:
        """How far the hints go, 0 before the first."""
        return self._hints[-1].level if self._hints else 0

    @property
    def problem(self) -> str:
        """What is to be solved."""
        return self.query_one("#problem-text", TextArea).text.strip()

    @property
    def steps(self) -> list[str]:
        """What is written so far, a paragraph a step."""
        text = self.query_one("#steps-text", TextArea).text
        return steps_of(text) if text.strip() else []

    def compose(self) -> ComposeResult:
        yield Static("", id="said", markup=False)
        with Horizontal(id="work"):
            with Vertical(id="own"):
                yield TextArea(
                    self._first_problem,
                    id="problem-text",
                    soft_wrap=True,
                    show_line_numbers=False,
                    tab_behavior="focus",
                    placeholder="The problem",
                )
                yield TextArea(
                    self._first_steps,
                    id="steps-text",
                    soft_wrap=True,
                    show_line_numbers=False,
                    tab_behavior="focus",
                    placeholder="Your steps, a blank line between two",
                )
            with VerticalScroll(id="marks"):
                yield Static(id="marked")
                yield Static(id="hinted")
        with Horizontal(id="buttons"):
            yield Button("Where is it wrong?", id="where", compact=True)
            yield Button("Hint", id="hint", compact=True)
            yield Button("Solution", id="solution", compact=True)
            yield Button("Back", id="back", compact=True)
        yield KeyFooter(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.query_one("#problem-text").border_title = "Problem"
        self.query_one("#steps-text").border_title = "My steps"
        self.query_one("#marks").border_title = "What is found"
        own = "#steps-text" if self._first_problem else "#problem-text"
        self.query_one(own).focus()
        self._draw()

    def on_unmount(self) -> None:
        self._helper.close()

    # What is written ---------------------------------------------------------------

    @on(TextArea.Changed)
    def _changed(self, event: TextArea.Changed) -> None:
        self._call_off()
        num_steps = self.query_one("#steps-text", TextArea).text.strip().count("\n\n")
        if event.text_area.id == "problem-text" or num_steps != self._num_steps:
            self._hints = []  # hints are for the step one is at
        self._num_steps = num_steps
        self.result, self._revealed = None, False
        self._state = ""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(DEBOUNCE_S, self._judge)
        self._draw()

    def _judge(self) -> None:
        if self.problem and self._has_steps():
            self._want(partial(self._checked, explain=False), "looking at your steps")

    def _has_steps(self) -> bool:
        try:
            return bool(self.steps)
        except SSRError as error:
            self._state = one_line(str(error))
            self._draw()
            return False

    # Work for the models -------------------------------------------------------------

    def _want(self, work: Work, state: str) -> None:
        """Let the models do this next, in place of whatever they do for the tutor now."""
        self._call_off()
        if self._timer is not None:
            self._timer.stop()
        self._wanted, self._state = work, f"{state} ..."
        self._draw()
        self._begin()

    def _call_off(self) -> None:
        self._request += 1
        self._thinking = False
        self._wanted = None
        if self._working:
            self.host.runs.cancel_work()

    def _begin(self) -> None:
        if self._working:
            self.set_timer(_RETRY_S, self._begin)  # what was called off has still to notice
            return
        work, self._wanted = self._wanted, None
        if work is None:
            return
        self._working = True
        request, problem, steps = self._request, self.problem, self.steps

        def run() -> Outcome:
            try:
                outcome = work(problem, steps, lambda: request != self._request)
            except Interrupted:
                outcome = self._draw
            except SSRError as error:
                outcome = partial(self._failed, error)
            except Exception as error:  # noqa: BLE001 - it would end the thread unseen
                outcome = partial(self._failed, unexpected(error))
            return partial(self._done, request, outcome)

        in_background(self.app, run)

    def _done(self, request: int, outcome: Outcome) -> None:
        self._working = False
        if request == self._request:
            self._state = ""
            self._thinking = False
            outcome()
            self._draw()

    def _failed(self, error: SSRError) -> None:
        self._state = one_line(str(error))

    def _checked(self, problem: str, steps: list[str], stopped: Stop, *, explain: bool) -> Outcome:
        self._fetched()
        work = partial(
            check,
            problem,
            steps,
            solver=self.host.runs.solver,
            options=self.host.settings.solve,
            with_vote=False,
            explain=explain,
            helper=self._helper,
            should_stop=stopped,
        )
        if not explain:
            return partial(self._marked, work())
        with self._saving("check", problem) as saver:
            result = kept_check(saver, work)
            saver.solved(problem, good=result.is_solved)
        return partial(self._marked, result)

    def _hinted(self, problem: str, steps: list[str], stopped: Stop, *, level: int) -> Outcome:
        self._fetched()
        with self._saving("hint", problem) as saver:
            given = hint(
                problem,
                steps,
                level,
                solver=self.host.runs.solver,
                options=self.host.settings.solve,
                helper=self._helper,
                should_stop=stopped,
            )
            keep_hint(saver, given)
        return partial(self._given, given)

    def _saving(self, kind: Kind, problem: str) -> AbstractContextManager[Saver]:
        runs = self.host.runs
        return saving(
            kind,
            problem,
            pair=self.host.settings.engine.pair,
            method=self.host.settings.solve.method,
            say=self._say,
            keep=runs.keep,
        )

    def _say(self, line: str) -> None:
        self.app.call_from_thread(self.notify, clean(line), severity="warning", markup=False)

    def _fetched(self) -> None:
        missing = self.host.runs.missing(self.host.settings.solve)
        if missing:
            raise SSRError(
                "Models are missing.", f"To be downloaded: {missing}.", "Solve a problem first."
            )

    def _marked(self, result: CheckResult) -> None:
        self.result = result

    def _given(self, given: Hint) -> None:
        self._hints.append(given)
        if self.result is None:
            self._judge()  # which the hint had called off
        self.call_after_refresh(self.query_one("#marks").scroll_end, animate=False)

    # Keys ----------------------------------------------------------------------------

    @on(Button.Pressed, "#where")
    def action_where(self) -> None:
        """Say what is wrong with the first bad step; asked again, how it could go."""
        if not (self.problem and self._has_steps()):
            self.notify("Write the problem and your steps first.")
        elif self.result is not None and self.result.correction:
            self._revealed = True
            self._draw()
        else:
            self._want(partial(self._checked, explain=True), "looking for what is wrong")

    @on(Button.Pressed, "#hint")
    def action_hint(self) -> None:
        """A hint, each time one level further."""
        if not self.problem:
            self.notify("Write the problem first.")
            return
        if self._thinking:
            return
        level = min(self.level + 1, max(LEVELS))
        self._want(partial(self._hinted, level=level), f"thinking of a hint (level {level})")
        self._thinking = True

    @on(Button.Pressed, "#solution")
    def action_solution(self) -> None:
        """Leave, and watch the problem being solved."""
        if self.problem:
            self._leave(self.problem)
        else:
            self.notify("Write the problem first.")

    @on(Button.Pressed, "#back")
    def action_leave(self) -> None:
        """Back to the main screen."""
        self._leave(None)

    def _leave(self, problem: str | None) -> None:
        """Leave once the models are free again: the next one to ask must not find them busy."""
        self._call_off()
        if self._working:
            self.set_timer(_RETRY_S, partial(self._leave, problem))
        else:
            when_on_top(self, partial(self.dismiss, problem))

    # Drawing -------------------------------------------------------------------------

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        level = f", hint level {self.level} of {max(LEVELS)}" if self.level else ""
        state = self._state or "F2 shows what is wrong, F3 gives a hint"
        self.query_one("#said", Static).update(f"Tutor{level}: {clean(state)}")
        self.query_one("#marked", Static).update(self._marks())
        text = Text()
        for one in self._hints:
            text.append(f"Hint {one.level}: ", "bold")
            text.append(f"{readable(clean(one.text))}\n\n")
        self.query_one("#hinted", Static).update(text)

    def _marks(self) -> Text:
        if self.result is None:
            return Text("Marks appear here when you pause.\n", "dim")
        text = Text()
        for number, step in enumerate(self.result.steps, 1):
            sign, colour = _SIGNS[step.accepted] if step.is_judged else _NO_SIGN
            text.append(f"{sign} {number}  ", colour)
            text.append(f"{one_line(readable(step.text), 60)}\n")
            text.append(f"     {clean(in_words(step))}\n", "dim")
        if self.result.correction:
            if self._revealed:
                text.append("It could go like this:\n", "bold")
                text.append(f"{readable(clean(self.result.correction))}\n")
            else:
                text.append("F2 once more shows how it could go.\n", "bold")
        return text.append("\n")
