"""Writing a run to a file, and opening one."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widgets import Button, Input, OptionList, RadioButton, RadioSet, Static
from textual.widgets.option_list import Option

from ssr_local import SSRError, UsageError
from ssr_local.core.display import clean, one_line, printable
from ssr_local.core.events import RunStarted, read_events
from ssr_local.core.tree import Tree
from ssr_local_tui.export import FORMATS, ExistsError, save, suggested_name
from ssr_local_tui.feed import recent_logs
from ssr_local_tui.screens.dialog import Dialog

_SHOWN_LOGS = 8
_BEGINNING = 20


class ExportScreen(Dialog[Path]):
    """Gives the path of the file that was written. An existing file is not replaced unasked."""

    DEFAULT_CSS = """
    ExportScreen {
        RadioSet { width: 100%; border: none; height: auto; }
        RadioSet:focus { border: none; }  /* else a click's focus moves what is clicked */
        Input { margin-top: 1; }
    }
    """

    HEADING = "Export this run"
    BUTTONS: ClassVar[dict[str, str]] = {"write": "Write", "leave": "Close"}

    def __init__(self, tree: Tree, log: Path | None) -> None:
        super().__init__()
        self._tree, self._log = tree, log
        self._replace: str | None = None

    def content(self) -> ComposeResult:
        with RadioSet(id="format"):
            for number, (name, words) in enumerate(FORMATS.items()):
                yield RadioButton(f"{name}  {words}", value=number == 0, name=name)
        yield Input(suggested_name(self._tree, next(iter(FORMATS))), id="file", compact=True)
        yield Static(f"In {printable(str(Path.cwd()))}", classes="help", markup=False)
        yield Static("", classes="error", id="error", markup=False)

    @property
    def _format(self) -> str:
        pressed = self.query_one(RadioSet).pressed_button
        return (pressed.name if pressed else None) or next(iter(FORMATS))

    @on(RadioSet.Changed)
    def _other_format(self) -> None:
        field = self.query_one("#file", Input)
        old = Path(field.value or "run")
        if old.name:
            field.value = str(old.with_suffix(f".{self._format}"))

    @on(Input.Submitted)
    def action_write(self) -> None:
        """Write the file, if the name can be used."""
        name = self.query_one("#file", Input).value.strip()
        error = self.query_one("#error", Static)
        if not name:
            error.update("Give the file a name.")
            return
        try:
            path = path_of(name)
            save(self._tree, self._format, path, self._log, overwrite=self._replace == name)
        except ExistsError:
            self._replace = name
            self.query_one("#write", Button).label = "Replace it"
            error.update(f"{printable(name)} exists. Press once more to replace it.")
        except SSRError as failure:
            error.update(clean(str(failure)))
        else:
            self.notify(f"Written: {printable(str(path))}", markup=False)
            self.dismiss(path)


class OpenScreen(Dialog[tuple[Path, float]]):
    """Gives the path of an event log and the speed to play it at, 0 for at once.

    The log is a recent run's, or one that is typed.
    """

    HEADING = "Open a run"
    BUTTONS: ClassVar[dict[str, str]] = {
        "open": "Open",
        "play": "Play as it was",
        "leave": "Close",
    }

    def content(self) -> ComposeResult:
        yield Input(placeholder="path of an event log (.jsonl)", id="file", compact=True)
        yield Static("", classes="error", id="error", markup=False)
        recent = [one for one in recent_logs()[:_SHOWN_LOGS] if _has_events(one)]
        if recent:
            yield Static("Recent runs", classes="help")
            yield OptionList(*(Option(_title(path), id=str(path)) for path in recent), markup=False)

    def on_mount(self) -> None:
        for recent in self.query(OptionList):
            recent.highlighted = 0

    @on(OptionList.OptionSelected)
    def _recent_one(self, event: OptionList.OptionSelected) -> None:
        self.dismiss((Path(event.option_id or ""), 0.0))

    @on(Input.Submitted)
    def action_open(self) -> None:
        """Show the whole run at once."""
        self._leave_with(0.0)

    def action_play(self) -> None:
        """Show it as fast as it was."""
        self._leave_with(1.0)

    def _leave_with(self, speed: float) -> None:
        """What is typed is meant; nothing typed, the recent run that is marked."""
        name = self.query_one("#file", Input).value.strip() or self._marked()
        try:
            path = path_of(name)
            is_there = path.is_file()
        except (OSError, SSRError):
            is_there = False
        if not is_there:
            words = f"There is no file {printable(name)}." if name else "Give the path of a log."
            self.query_one("#error", Static).update(words)
            return
        self.dismiss((path, speed))

    def _marked(self) -> str:
        for recent in self.query(OptionList):
            if recent.highlighted is not None:
                return recent.get_option_at_index(recent.highlighted).id or ""
        return ""


def path_of(text: str) -> Path:
    """A typed path. Raises ``UsageError`` where "~name" is nobody."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{printable(text)} is nobody's folder.", "", "Give the path.") from error


def _has_events(log: Path) -> bool:
    with suppress(OSError):  # another program tidies up there too
        return log.stat().st_size > 0
    return False


def _title(path: Path) -> str:
    """When a run began and what it was about, as far as its log tells."""
    try:
        with path.open("rb") as file:
            first = islice(read_events(file, str(path)), _BEGINNING)
            problem = next((one.problem for one in first if isinstance(one, RunStarted)), "")
    except (OSError, SSRError):
        problem = "cannot be read"
    return f"{path.stem.removeprefix('run-')[:15]}  {one_line(problem, 50) or 'no problem in it'}"
