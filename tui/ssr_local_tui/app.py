"""The terminal app: what all its screens share."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec
from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from ssr_local import SSRError
from ssr_local.core.config import Settings, load_settings
from ssr_local.core.display import clean, one_line
from ssr_local.models.download import Progress
from ssr_local.models.registry import load_registry
from ssr_local_tui import idle_check
from ssr_local_tui.controller import RunController
from ssr_local_tui.feed import unexpected
from ssr_local_tui.idle_check import IdleCheck
from ssr_local_tui.preferences import Preferences, save_preference
from ssr_local_tui.runs import Runs
from ssr_local_tui.screens.comparison import ComparisonScreen
from ssr_local_tui.screens.dialog import Dialog
from ssr_local_tui.screens.help import HelpScreen, sections_of
from ssr_local_tui.screens.history import HistoryScreen
from ssr_local_tui.screens.main import MainScreen
from ssr_local_tui.screens.practice import PracticeScreen
from ssr_local_tui.screens.settings import SettingsScreen
from ssr_local_tui.screens.tutor import TutorScreen
from ssr_local_tui.screens.welcome import WelcomeScreen
from ssr_local_tui.widgets.problem import ProblemInput
from ssr_local_tui.widgets.run_tree import RunTree

_T = TypeVar("_T")
_LOOKS = 10  # within the time that makes the app idle
_SHOWN_S = 600.0  # whoever left the app alone comes back to this


class SSRApp(App[int]):
    """The app; ``settings`` are those in force, ``replay`` is a log to begin with.

    A ``problem`` is solved at once. ``keep`` False saves no run in the history.
    """

    TITLE = "ssr-local"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True, id="app-quit"),
        Binding("ctrl+c", "stop_or_copy", "Stop", show=False, id="app-stop", system=True),
    ]

    def __init__(
        self,
        settings: Settings,
        preferences: Preferences,
        *,
        problem: str | None = None,
        replay: Path | None = None,
        speed: float = 1.0,
        overrides: dict[str, Any] | None = None,
        keep: bool = True,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.preferences = preferences
        self.runs = Runs(settings.engine, self._progress, self._notice, keep=keep)
        self.progress: Progress | None = None
        self._problem, self._replay, self._speed = problem, replay, speed
        self._overrides = overrides or {}
        self.control = RunController(self, lambda message: self.main.post_message(message))
        self.main = MainScreen(self.control)
        self._idle_check = IdleCheck(self, lambda: self.main.draw_figures(), self._refused)
        self.set_keymap(dict(preferences.keys))
        self.theme = preferences.theme

    def key_of(self, binding_id: str) -> str:
        """The key that does something, as it is shown to the user; "" when there is none."""
        default = next((one.key for one in _bindings() if one.id == binding_id), "")
        keys = self.preferences.keys.get(binding_id, default)
        first = keys.split(",")[0].strip()
        return self.get_key_display(Binding(first, "", "")) if first else ""

    @property
    def checking(self) -> str:
        """What is checked while nobody does anything."""
        return self._idle_check.state

    @property
    def pair_name(self) -> str:
        """The models in use, in a word."""
        engine = self.settings.engine
        own = [
            f"{role} {name}"
            for role, name in (("draft", engine.draft), ("target", engine.target))
            if name
        ]
        return ", ".join([f"pair {engine.pair}", *own])

    def on_mount(self) -> None:
        self.push_screen(self.main)
        self.theme_changed_signal.subscribe(self, lambda theme: self._keep_theme(theme.name))
        if self._replay is not None:
            self.call_after_refresh(self.control.play, self._replay, self._speed)
        elif self._problem:
            self.call_after_refresh(self.control.begin, self._problem)
        if not self.preferences.welcomed:
            self.push_screen(WelcomeScreen(), lambda _: self._keep("welcomed", True))
        self._leave_when_told()
        self.set_interval(idle_check.IDLE_S / _LOOKS, self._look_for_checks)

    def on_unmount(self) -> None:
        self.runs.close()

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, (events.InputEvent, events.Paste)):
            self._idle_check.used()
        await super().on_event(event)

    def _look_for_checks(self) -> None:
        self._idle_check.look(is_going=self.control.is_going)

    def _refused(self, text: str) -> None:
        self.notify(clean(text), severity="warning", markup=False, timeout=_SHOWN_S)

    def _leave_when_told(self) -> None:
        """SIGTERM and a closed terminal end the app as the key does, with the usual exit codes."""
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is None:
                continue
            # Windows has no such handlers, nor has a thread that is not the first.
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self.exit, None, 128 + number)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: the app's own commands, then every key that does something here."""
        yield from super().get_system_commands(screen)
        for active in screen.active_bindings.values():
            binding = active.binding
            if active.node is screen and active.enabled and binding.description:
                name, action = binding.description, binding.action
                yield SystemCommand(
                    f"{name} ({self.get_key_display(binding)})",
                    binding.tooltip or name,
                    lambda action=action: self.call_later(screen.run_action, action),
                )

    def action_stop_or_copy(self) -> None:
        """What Ctrl+C does: stop a run; without one, say how to leave."""
        if self.control.is_going:
            self.control.stop()
        else:
            self.notify("Press Ctrl+Q to quit.")

    action_help_quit = action_stop_or_copy  # Textual's own answer to Ctrl+C

    def action_help(self) -> None:
        """The keys that do something now."""
        active = self.screen.active_bindings.values()
        self.push_screen(HelpScreen(sections_of(active, self.get_key_display)))

    def open_settings(self) -> None:
        """Every option, for this session or for good."""
        try:
            pairs = list(load_registry().pairs)
        except SSRError as error:
            self.control.fail(error)
            return
        self.push_screen(SettingsScreen(self.settings, pairs), self._changed)

    def _changed(self, values: dict[str, Any] | None) -> None:
        if not values:
            return
        overrides = self._overrides | values
        try:
            self.settings = load_settings(overrides, none_clears=True)
            self._overrides = overrides
            self.runs.use_engine(self.settings.engine)
        except SSRError as error:
            self.control.fail(error)
            return
        if not self.control.tree.problem:
            self.control.error = None  # it was of settings that are mended now
        self.main.draw_all()

    def _keep_theme(self, name: str) -> None:
        if name != self.preferences.theme:
            self._keep("theme", name)

    def _keep(self, name: str, value: str | bool) -> None:
        """Remember a preference; where that fails the app goes on and says so."""
        self.preferences = msgspec.structs.replace(self.preferences, **{name: value})
        try:
            save_preference(name, value)
        except SSRError as error:
            self.notify(one_line(str(error), 200), severity="warning", markup=False)

    def in_background(
        self,
        work: Callable[[], _T],
        then: Callable[[_T], object],
        failed: Callable[[SSRError], object],
    ) -> None:
        """Do ``work`` in a thread, then go on in the app's own with what it gave, or its error.

        Textual's workers are waited for when the app ends; a connection that hangs would keep it.
        """

        def run() -> None:
            outcome: Callable[[], object]
            try:
                outcome = partial(then, work())
            except SSRError as error:
                outcome = partial(failed, error)
            except Exception as error:  # noqa: BLE001 - it would end the thread unseen
                outcome = partial(failed, unexpected(error))
            if self.is_running:
                with contextlib.suppress(RuntimeError):  # it ends just now
                    self.call_from_thread(self.call_later, outcome)

        threading.Thread(target=run, name="background", daemon=True).start()

    # From the thread that downloads ---------------------------------------------------

    def _progress(self, progress: Progress) -> None:
        self.progress = progress  # drawn by whoever looks

    def _notice(self, line: str) -> None:
        self.notify(one_line(line, 300), markup=False)


def binding_ids() -> frozenset[str]:
    """The ids of all the app's keys, which ``[tui.keys]`` can give others."""
    return frozenset(binding.id for binding in _bindings() if binding.id)


@cache
def _bindings() -> tuple[Binding, ...]:
    homes = (
        *(SSRApp, MainScreen, RunTree, ProblemInput),
        *(ComparisonScreen, Dialog, HelpScreen, HistoryScreen, PracticeScreen, SettingsScreen),
        *(TutorScreen, WelcomeScreen),
    )
    return tuple(Binding.make_bindings(one for home in homes for one in home.BINDINGS))
