from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.pilot import Pilot
from textual.widgets import Footer, Input, Label

from ssr_local_tui.screens.help import EVERYWHERE, HERE, HelpScreen, Section, sections_of
from tests.tui.pilot import piloted, press, until

MOVE = Binding.Group("Moving")


class Sample(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r,f5", "run", "Run", tooltip="Solve the problem", id="run"),
        Binding("f1", "help", "Help"),
        Binding("f2", "missing", "No method does it"),
        Binding("f3", "wait", "Not now"),
        Binding("f4", "hidden", "Not here"),
        Binding("f6", "move", "Move", group=MOVE),
        Binding("f7", "app.move", "[red]Move on", show=False),
        Binding("f8", "move", ""),
        Binding("f9", "move", "Internal", system=True),
        Binding("x", "move", "A letter that would be typed"),
    ]

    def compose(self) -> ComposeResult:
        yield Input()
        yield Footer()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return {"wait": None, "hidden": False}.get(action, True)

    def action_run(self) -> None: ...
    def action_wait(self) -> None: ...
    def action_hidden(self) -> None: ...
    def action_move(self) -> None: ...

    def sections(self) -> tuple[Section, ...]:
        active = self.screen.active_bindings.values()
        return sections_of(active, self.get_key_display)

    def action_help(self) -> None:
        self.push_screen(HelpScreen(self.sections()))


def sections(app: Sample) -> dict[str, Sequence[tuple[str, str]]]:
    async def script(pilot: Pilot[None]) -> dict[str, Sequence[tuple[str, str]]]:
        return dict(app.sections())

    return piloted(app, script)


def meanings(app: Sample) -> dict[str, str]:
    return {keys: text for rows in sections(app).values() for keys, text in rows}


def test_it_lists_the_keys_that_do_something() -> None:
    """None that Textual would not run, has no method, or no words."""
    listed = meanings(Sample())
    assert listed["^r f5"] == "Run: Solve the problem"
    assert listed["f7"] == "[red]Move on"
    assert not {"f2", "f3", "f4", "f8", "f9", "x"} & set(listed)


def test_sections_are_groups_and_widgets_and_then_what_is_everywhere() -> None:
    found = sections(Sample())
    assert list(found) == ["Input", "Moving", EVERYWHERE]
    assert found["Moving"] == (("f6", "Move"),)
    assert ("^r f5", "Run: Solve the problem") in found[EVERYWHERE]
    assert "Move cursor left" in dict(found["Input"]).values()


def test_a_widget_without_a_title_is_where_the_cursor_is() -> None:
    class Field(Input):
        BINDING_GROUP_TITLE = None

    class Untitled(Sample):
        def compose(self) -> ComposeResult:
            yield Field()

    found = sections(Untitled())
    assert list(found)[-1] == HERE
    assert "Move cursor left" in dict(found[HERE]).values()


def test_the_users_keys_are_shown() -> None:
    app = Sample()
    app.set_keymap({"run": "ctrl+g"})
    listed = meanings(app)
    assert listed["^g"] == "Run: Solve the problem"
    assert "^r f5" not in listed


def test_it_closes_with_any_of_its_keys() -> None:
    app = Sample()

    async def script(pilot: Pilot[None]) -> None:
        for key in ("escape", "q", "question_mark"):
            await press(pilot, "f1")
            assert isinstance(app.screen, HelpScreen)
            await press(pilot, key)
            assert not isinstance(app.screen, HelpScreen)

    piloted(app, script)


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
def test_the_last_line_can_be_reached_by_keyboard(size: tuple[int, int]) -> None:
    app = Sample()

    async def script(pilot: Pilot[None]) -> None:
        await pilot.press("f1", "end")
        await until(pilot, lambda: app.screen.query(Label).last().region.bottom <= size[1])
        last = app.screen.query(Label).last()
        assert last.region.bottom <= size[1]
        assert app.screen.query(Label).first().region.bottom <= 1
        for label in app.screen.query(".meaning"):
            assert label.region.right <= size[0]

    piloted(app, script, size)
