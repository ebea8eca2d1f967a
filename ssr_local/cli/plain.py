"""``ssr-local tui --plain``: the app as a conversation in lines, for screen readers.

Nothing moves on the screen and nothing is redrawn: every line says by itself who did what.
Textual is not loaded.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import msgspec

from ssr_local.api import Solver
from ssr_local.cli.files import write_new
from ssr_local.cli.plain_run import DURING_RUNS, Speaker, Steering, at_work_words
from ssr_local.cli.plain_settings import changed, lines_of
from ssr_local.cli.saving import saved
from ssr_local.cli.signals import EXIT_INTERRUPTED, stopping
from ssr_local.cli.typed import Entry, TypedLines, understood
from ssr_local.cli.view import LineView, in_time
from ssr_local.core.config import Settings, config_file, save_setting
from ssr_local.core.display import END_WORDS, clean, one_line, quoted
from ssr_local.core.errors import EngineCrashed, Interrupted, SSRError, UsageError
from ssr_local.core.events import AnyEvent, encode_event, read_events
from ssr_local.core.records import RunResult
from ssr_local.core.toml_file import reason_of
from ssr_local.core.tree import Tree
from ssr_local.core.views import PathView
from ssr_local.method.pools import load_pool
from ssr_local.pages.run_report import step_words

if TYPE_CHECKING:
    from ssr_local.models.download import Progress

_TWICE_WITHIN_S = 2.0
_FENCE = '"""'

BETWEEN_RUNS: Mapping[str, Entry] = {
    "help": Entry("", "this list"),
    "again": Entry("", "the last problem once more, with another seed"),
    "set": Entry("[NAME VALUE]", "change a setting for this session; alone: say all of them"),
    "save": Entry("NAME VALUE", "the same, and keep it in the settings file"),
    "strategies": Entry("", "the pool of strategies"),
    "show": Entry("N", "path N of the last run in full"),
    "answer": Entry("", "the last answer and its votes"),
    "export": Entry("FILE", "the last run: events into a .jsonl, the result into a .json file"),
    "replay": Entry("FILE", "play an event log"),
    "quit": Entry("", "leave; so does the end of input"),
}
"""Commands at the prompt, each typed with a slash before it."""


def run_plain(
    settings: Settings,
    problem: str | None,
    *,
    replay: Path | None = None,
    speed: float = 1.0,
    keep: bool = True,
) -> int:
    """Talk until the user leaves; the exit code. A replay or a problem comes first.

    ``keep`` False saves no run in the history.

    0 when it was left, 130 after Ctrl+C twice; ``SystemExit`` with 143 after SIGTERM.
    """
    talk = _Conversation(settings, keep)
    click.echo("ssr-local, plain mode: everything is lines. Type a problem, or /help.")
    click.echo(f'Several lines: begin and end with {_FENCE}, or end a line with "\\".')
    first: Callable[[], None] | None = None
    if replay is not None:
        first = partial(talk.replay, replay, speed)
    elif problem is not None:
        first = partial(talk.solve, problem)
    try:
        talk.go_on(first)
    except EOFError:
        return 0
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        return EXIT_INTERRUPTED
    finally:
        talk.close()


class _Conversation:
    """What was asked, and what came of it."""

    def __init__(self, settings: Settings, keep: bool) -> None:
        self._settings, self._keep = settings, keep
        self._solver: Solver | None = None
        self._speaker = Speaker()
        self._lines = TypedLines()
        self._pressed_s = -_TWICE_WITHIN_S
        self._problem = ""
        self._tree = Tree()
        self._log: list[bytes] = []
        self._download: Progress | None = None

    def go_on(self, first: Callable[[], None] | None) -> NoReturn:
        """Do what comes first, then what is typed, prompt after prompt."""
        action = first
        while True:
            try:
                if action is not None:
                    self._attempt(action)
                action = self._asked_for()
            except KeyboardInterrupt:
                action = None
                before_s, self._pressed_s = self._pressed_s, time.monotonic()
                if self._pressed_s - before_s < _TWICE_WITHIN_S:
                    raise
                click.echo("\nCtrl+C twice within 2 seconds leaves; so does /quit.")

    def close(self) -> None:
        """Unload the models."""
        if self._solver is not None:
            self._solver.close()
            self._solver = None

    def _attempt(self, action: Callable[[], None]) -> None:
        """An error is said, and the conversation goes on."""
        try:
            action()
        except Interrupted as error:
            click.echo(clean(str(error)))
        except SSRError as error:
            click.echo(f"Error: {clean(str(error))}", err=True)
            if isinstance(error, EngineCrashed):
                click.echo("The next problem starts a new worker.", err=True)

    # At the prompt -----------------------------------------------------------------

    def _asked_for(self) -> Callable[[], None]:
        try:
            text, is_command = self._typed()
        except EOFError:
            click.echo()
            raise
        if not text.strip():
            return lambda: None
        return partial(self._carry_out, text[1:]) if is_command else partial(self.solve, text)

    def _typed(self) -> tuple[str, bool]:
        """What was typed, and whether it is a command; text of several lines never is."""
        line = self._lines.ask("Problem> ")
        if line.strip() == _FENCE:
            return "\n".join(self._until_fence()), False
        text = line
        while line.endswith("\\"):
            line = self._lines.ask("More> ")
            text = f"{text[:-1]}\n{line}"
        return text, text.startswith("/") and "\n" not in text

    def _until_fence(self) -> Iterator[str]:
        """The lines up to the closing mark; the end of input closes too."""
        with contextlib.suppress(EOFError):
            while (line := self._lines.ask("More> ")).strip() != _FENCE:
                yield line

    def _carry_out(self, text: str) -> None:
        try:
            words = shlex.split(text) or ["help"]
        except ValueError as error:
            raise UsageError(f"The command cannot be read: {error}.") from error
        name, arguments = understood(words, BETWEEN_RUNS, "/")
        getattr(self, f"_do_{name}")(*arguments)

    def _do_help(self) -> None:
        click.echo("At the prompt:")
        for name, entry in BETWEEN_RUNS.items():
            click.echo(f"  /{name} {entry.arguments}".rstrip() + f": {entry.about}")
        click.echo("While a run goes on, on a terminal:")
        for name, entry in DURING_RUNS.items():
            click.echo(f"  {name} {entry.arguments}".rstrip() + f": {entry.about}")
        click.echo("Ctrl+C stops a run and keeps what there is; twice within 2 seconds: leave")

    def _do_again(self) -> None:
        if not self._problem:
            raise UsageError("There is no problem yet.", "", "Type one.")
        self.solve(self._problem, seed=None)

    def _do_set(self, name: str = "", text: str = "") -> None:
        if not name:
            for line in lines_of(self._settings):
                click.echo(line)
            return
        self._put_in_force(changed(self._settings, name, text)[0])
        click.echo(one_line(f"For the next run: {name} is {text}."))

    def _do_save(self, name: str, text: str) -> None:
        settings, setting = changed(self._settings, name, text)
        save_setting(name, setting.value)
        self._put_in_force(settings)
        click.echo(one_line(f"{name} is {text}, also from now on in {config_file()}."))

    def _put_in_force(self, settings: Settings) -> None:
        if settings.engine != self._settings.engine:
            self.close()
        self._settings = settings

    def _do_strategies(self) -> None:
        for one in load_pool(self._settings.solve.strategies).strategies:
            click.echo(f"{one_line(one.letter)}, {one_line(one.name)}: {one_line(one.advice)}")

    def _do_show(self, number: str) -> None:
        paths = {str(path.index + 1): path for path in self._tree.paths.values()}
        if number not in paths:
            known = f"Paths are: {', '.join(paths) or 'none'}."
            raise UsageError(f"There is no path {quoted(number)}.", "", known)
        for line in _path_lines(paths[number]):
            click.echo(line)

    def _do_answer(self) -> None:
        LineView(self._speaker.say, spoken=True).result(self._last())

    def _do_export(self, file: str) -> None:
        path = _expanded(file)
        if path.suffix not in (".jsonl", ".json"):
            raise UsageError(f"{file} is neither a .jsonl nor a .json file.")
        if path.suffix == ".json":
            data = msgspec.json.encode(self._last()) + b"\n"
        elif self._log:
            data = b"".join(line + b"\n" for line in self._log)
        else:
            raise UsageError("There is no run yet.", "", "Type a problem first.")
        write_new(path, data)
        click.echo(f"Written: {one_line(file)}")

    def _do_replay(self, file: str) -> None:
        self.replay(_expanded(file), 0.0)

    def _do_quit(self) -> None:
        raise EOFError

    def _last(self) -> RunResult:
        if self._tree.result is None:
            raise UsageError("No run has ended yet.", "", "Type a problem first.")
        return self._tree.result

    # Runs --------------------------------------------------------------------------

    def solve(self, problem: str, **changes: Any) -> None:
        """Solve a problem and say all that happens."""
        self._problem = problem
        solver = self._solver = self._solver or self._new_solver()
        stream = solver.stream(problem, self._settings.solve, **changes)  # checks what was asked
        if not self._may_download(solver):
            return
        self._begin()
        with stopping(solver, self._speaker.say) as stop:
            try:
                self._show_saved(stop.watch(stream), problem, solver)
            finally:
                if stop.number == signal.SIGTERM:
                    sys.exit(stop.exit_code)
                if stop.asked():  # it counts as the first of two
                    self._pressed_s = time.monotonic()

    def _show_saved(self, events: Iterable[AnyEvent], problem: str, solver: Solver) -> None:
        speaker, started_s = self._speaker, time.monotonic()
        with (
            saved("run", problem, self._settings, no_save=not self._keep, say=speaker.say) as saver,
            speaker.at_work(
                lambda: at_work_words(self._tree, time.monotonic() - started_s, self._download)
            ),
            self._lines.heard(Steering(solver, self._tree, speaker.say).take),
        ):
            self._show(saver.watch(events))

    def replay(self, file: Path, speed: float) -> None:
        """Say what an event log holds."""
        try:
            with file.open("rb") as handle:
                self._begin()  # what was there stays when it cannot be opened
                self._show(in_time(read_events(handle, str(file)), speed))
        except (OSError, ValueError) as error:
            raise UsageError(f"{file} cannot be read.", reason_of(error)) from error
        if self._tree.result is None:
            click.echo(f"{one_line(str(file))}: the log ends before the run did.", err=True)

    def _new_solver(self) -> Solver:
        def take(progress: Progress) -> None:
            self._download = progress

        return Solver(
            engine=self._settings.engine,
            on_progress=take,
            on_notice=lambda line: self._speaker.say(one_line(line)),
        )

    def _begin(self) -> None:
        self._tree, self._log, self._download = Tree(), [], None

    def _show(self, events: Iterable[AnyEvent]) -> None:
        view = LineView(self._speaker.say, self._tree, spoken=True)
        for event in events:
            self._log.append(encode_event(event))
            view.show(event)

    def _may_download(self, solver: Solver) -> bool:
        missing = solver.to_fetch(self._settings.solve)
        if not missing:
            return True
        click.echo(f"Models are missing. Downloaded first, once: {missing}.")
        if not sys.stdin.isatty():
            return True  # as 'ssr-local solve' does in a script
        with contextlib.suppress(EOFError):
            answer = self._lines.ask("Download them now? y or n> ", typed_ahead=False)
            if answer.strip().lower() in ("y", "yes"):
                return True
        click.echo("Nothing was downloaded. /set pair NAME chooses other models; demo needs none.")
        return False


def _path_lines(path: PathView) -> Iterator[str]:
    """A path in full, each step with who wrote it and what it was worth."""
    number, strategy = path.index + 1, path.strategy
    yield f"Path {number}, strategy {one_line(strategy.letter)}, {one_line(strategy.name)}:"
    for position, step in enumerate(path.steps, 1):
        yield f"Step {position}, {one_line(step_words(step))}: {clean(step.text).strip()}"
        if step.rejected is not None:
            yield f"It stands for the draft's step: {clean(step.rejected).strip()}"
    answer = "" if path.answer is None else f": {one_line(path.answer)}"
    if path.end_reason is not None:
        yield f"Path {number} ends, {END_WORDS[path.end_reason]}{answer}"


def _expanded(file: str) -> Path:
    return Path(os.path.expanduser(file))  # noqa: PTH111  Path's raises for ~nobody
