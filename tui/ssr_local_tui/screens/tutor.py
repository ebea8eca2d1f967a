"""The tutor: a problem, one's own steps with marks beside them, and hints as far as wanted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static, TextArea

from ssr_local import SSRError
from ssr_local.core.display import clean, one_line
from ssr_local.tutoring.checking import steps_of
from ssr_local.tutoring.hints import LEVELS
from ssr_local.tutoring.wording import in_words
from ssr_local_tui.host import host_of
from ssr_local_tui.latex import readable
from ssr_local_tui.screens.dialog import buttons, when_on_top
from ssr_local_tui.tutor_work import TutorWork
from ssr_local_tui.widgets.key_footer import KeyFooter

DEBOUNCE_S = 0.8
_SIGNS = {True: ("✓", "bold green"), False: ("✗", "bold red")}
_NO_SIGN = ("·", "dim")
_BUTTONS = {
    "where": "Where is it wrong?",
    "hint": "Hint",
    "solution": "Solution",
    "leave": "Back",
}


class TutorScreen(Screen[str]):
    """Gives the problem back when its solution is to be watched, None otherwise.

    What is written is judged in the background once the writer pauses; writing on calls that
    off, and so does asking for a hint.
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
        self.work = TutorWork(host_of(self), self.post_message)
        self._timer: Timer | None = None
        self._num_steps = 0
        self._revealed = False
        self._leaving: Callable[[], object] | None = None

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
                yield _field(self._first_problem, "problem-text", "Problem", "The problem")
                words = "Your steps, a blank line between two"
                yield _field(self._first_steps, "steps-text", "My steps", words)
            with VerticalScroll(id="marks"):
                yield Static(id="marked")
                yield Static(id="hinted")
        yield buttons(_BUTTONS, id="buttons")
        yield KeyFooter(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.query_one("#marks").border_title = "What is found"
        own = "#steps-text" if self._first_problem else "#problem-text"
        self.query_one(own).focus()
        self._draw()

    def on_unmount(self) -> None:
        self.work.close()

    # What is written ---------------------------------------------------------------

    @on(TextArea.Changed)
    def _changed(self, event: TextArea.Changed) -> None:
        num_steps = self.query_one("#steps-text", TextArea).text.strip().count("\n\n")
        is_other_step = event.text_area.id == "problem-text" or num_steps != self._num_steps
        self._num_steps, self._revealed = num_steps, False
        self.work.forget(hints=is_other_step)  # they are for the step one is at
        self._judge_in(DEBOUNCE_S)
        self._draw()

    def _judge_in(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = None if seconds is None else self.set_timer(seconds, self._judge)

    def _judge(self) -> None:
        if self.problem and self._has_steps():
            self.work.judge(self.problem, self.steps)

    def _has_steps(self) -> bool:
        try:
            return bool(self.steps)
        except SSRError as error:
            self.work.state = one_line(str(error))
            self._draw()
            return False

    # What the models say -------------------------------------------------------------

    @on(TutorWork.Changed)
    def _work_changed(self) -> None:
        self._draw()
        if self._leaving is not None and not self.work.is_working:
            leave, self._leaving = self._leaving, None
            when_on_top(self, leave)

    @on(TutorWork.Hinted)
    def _hinted(self) -> None:
        if self.work.result is None:
            self._judge()  # which the hint had called off
        self.call_after_refresh(self.query_one("#marks").scroll_end, animate=False)

    # Keys ----------------------------------------------------------------------------

    def action_where(self) -> None:
        """Say what is wrong with the first bad step; asked again, how it could go."""
        if not (self.problem and self._has_steps()):
            self.notify("Write the problem and your steps first.")
        elif self.work.result is not None and self.work.result.correction:
            self._revealed = True
            self._draw()
        else:
            self._judge_in(None)
            self.work.explain(self.problem, self.steps)

    def action_hint(self) -> None:
        """A hint, each time one level further."""
        if not self.problem:
            self.notify("Write the problem first.")
            return
        self._judge_in(None)
        self.work.hint(self.problem, self.steps)

    def action_solution(self) -> None:
        """Leave, and watch the problem being solved."""
        if self.problem:
            self._leave_with(self.problem)
        else:
            self.notify("Write the problem first.")

    def action_leave(self) -> None:
        """Back to the main screen."""
        self._leave_with(None)

    def _leave_with(self, problem: str | None) -> None:
        """Leave once the models are free again: the next one to ask must not find them busy."""
        self.work.call_off()
        self._leaving = partial(self.dismiss, problem)
        self._work_changed()

    # Drawing -------------------------------------------------------------------------

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        work = self.work
        level = f", hint level {work.level} of {max(LEVELS)}" if work.level else ""
        state = work.state or "F2 shows what is wrong, F3 gives a hint"
        self.query_one("#said", Static).update(f"Tutor{level}: {clean(state)}")
        self.query_one("#marked", Static).update(self._marks())
        text = Text()
        for one in work.hints:
            text.append(f"Hint {one.level}: ", "bold")
            text.append(f"{readable(clean(one.text))}\n\n")
        self.query_one("#hinted", Static).update(text)

    def _marks(self) -> Text:
        result = self.work.result
        if result is None:
            return Text("Marks appear here when you pause.\n", "dim")
        text = Text()
        for number, step in enumerate(result.steps, 1):
            sign, colour = _SIGNS[step.accepted] if step.is_judged else _NO_SIGN
            text.append(f"{sign} {number}  ", colour)
            text.append(f"{one_line(readable(step.text), 60)}\n")
            text.append(f"     {clean(in_words(step))}\n", "dim")
        if result.correction:
            if self._revealed:
                text.append("It could go like this:\n", "bold")
                text.append(f"{readable(clean(result.correction))}\n")
            else:
                text.append("F2 once more shows how it could go.\n", "bold")
        return text.append("\n")


def _field(text: str, id: str, title: str, placeholder: str) -> TextArea:
    field = TextArea(
        text,
        id=id,
        soft_wrap=True,
        show_line_numbers=False,
        tab_behavior="focus",
        placeholder=placeholder,
    )
    field.border_title = title
    return field
