"""``ssr-local tui --plain``: the app as a conversation in lines, for screen readers.

Nothing moves on the screen and nothing is redrawn: every line says by itself who did what.
Textual is not loaded.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import click
import msgspec

from ssr_local.api import Solver
from ssr_local.cli import EXIT_INTERRUPTED
from ssr_local.cli.plain_run import (
    DURING_RUNS,
    Entry,
    Figures,
    Presses,
    Speaker,
    Steering,
    Stopping,
)
from ssr_local.cli.plain_settings import changed, lines_of, value_of
from ssr_local.cli.typed import TypedLines
from ssr_local.cli.view import LineView, in_time
from ssr_local.core.config import Settings, config_file, save_setting
from ssr_local.core.display import END_WORDS, clean, one_line, quoted
from ssr_local.core.errors import EngineCrashed, Interrupted, SSRError, UsageError
from ssr_local.core.events import AnyEvent, RunEnded, encode_event, read_events
from ssr_local.core.records import ReasoningPath, RunResult, Step
from ssr_local.history.saving import saving
from ssr_local.method.pools import load_pool

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
"""Commands at the prompt, each typed with a slash in front."""


class _Leave(Exception):  # noqa: N818 - asked for
    """The conversation is over."""


class _Typed(NamedTuple):
    """What was typed at the prompt; text of several lines is never a command."""

    text: str
    is_command: bool


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
    except _Leave:
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
        self._figures = Figures()
        self._speaker = Speaker()
        self._presses = Presses()
        self._lines = TypedLines()
        self._problem = ""
        self._result: RunResult | None = None
        self._log: list[bytes] = []
        with contextlib.suppress(ImportError):  # editing, and a history kept in memory
            import readline  # noqa: F401

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
                if self._presses.again():
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
            typed = self._typed()
        except EOFError:
            click.echo()
            raise _Leave from None
        if not typed.text.strip():
            return lambda: None
        if typed.is_command:
            return partial(self._obey, typed.text[1:])
        return partial(self.solve, typed.text)

    def _typed(self) -> _Typed:
        line = self._lines.ask("Problem> ")
        if line.strip() == _FENCE:
            return _Typed("\n".join(self._until_fence()), is_command=False)
        text = line
        while line.endswith("\\"):
            line = self._lines.ask("More> ")
            text = f"{text[:-1]}\n{line}"
        return _Typed(text, is_command=text.startswith("/") and "\n" not in text)

    def _until_fence(self) -> Iterator[str]:
        """The lines up to the closing mark; the end of input closes too."""
        with contextlib.suppress(EOFError):
            while (line := self._lines.ask("More> ")).strip() != _FENCE:
                yield line

    def _obey(self, text: str) -> None:
        try:
            name, *arguments = shlex.split(text) or ["help"]
        except ValueError as error:
            raise UsageError(f"The command cannot be read: {error}.") from error
        name = name.lower()
        if name not in BETWEEN_RUNS:
            near = get_close_matches(name, BETWEEN_RUNS, n=1)
            hint = f"Did you mean /{near[0]}?" if near else "Type /help for the list."
            raise UsageError(f"There is no command {quoted('/' + name)}. {hint}")
        getattr(self, f"_do_{name}")(*_fitting(name, arguments))

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
        self._put_in_force(changed(self._settings, name, text))
        click.echo(one_line(f"For the next run: {name} is {text}."))

    def _do_save(self, name: str, text: str) -> None:
        fresh = changed(self._settings, name, text)
        save_setting(name, value_of(name, text))
        self._put_in_force(fresh)
        click.echo(one_line(f"{name} is {text}, also from now on in {config_file()}."))

    def _put_in_force(self, settings: Settings) -> None:
        if settings.engine != self._settings.engine:
            self.close()
        self._settings = settings

    def _do_strategies(self) -> None:
        for one in load_pool(self._settings.solve.strategies).strategies:
            click.echo(f"{one_line(one.letter)}, {one_line(one.name)}: {one_line(one.advice)}")

    def _do_show(self, number: str) -> None:
        paths = {str(path.index + 1): path for path in self._last().paths}
        if number not in paths:
            known = f"Paths are: {', '.join(paths) or 'none'}."
            raise UsageError(f"There is no path {quoted(number)}.", "", known)
        for line in _path_lines(paths[number]):
            click.echo(line)

    def _do_answer(self) -> None:
        LineView(self._speaker.say, spoken=True).result(self._last())

    def _do_export(self, file: str) -> None:
        path = _path_of(file)
        if path.suffix not in (".jsonl", ".json"):
            raise UsageError(f"{file} is neither a .jsonl nor a .json file.")
        if path.suffix == ".json":
            data = msgspec.json.encode(self._last()) + b"\n"
        elif self._log:
            data = b"".join(line + b"\n" for line in self._log)
        else:
            raise UsageError("There is no run yet.", "", "Type a problem first.")
        _write_new(path, file, data)
        click.echo(f"Written: {one_line(file)}")

    def _do_replay(self, file: str) -> None:
        self.replay(_path_of(file), 0.0)

    def _do_quit(self) -> None:
        raise _Leave

    def _last(self) -> RunResult:
        if self._result is None:
            raise UsageError("No run has ended yet.", "", "Type a problem first.")
        return self._result

    # Runs --------------------------------------------------------------------------

    def solve(self, problem: str, **changes: Any) -> None:
        """Solve a problem and say all that happens."""
        self._problem = problem
        solver = self._solver = self._solver or self._new_solver()
        stream = solver.stream(problem, self._settings.solve, **changes)  # checks what was asked
        if not self._may_download(solver):
            return
        self._figures = figures = Figures()
        stopping = Stopping(solver, self._presses, self._speaker.say)
        steering = Steering(solver, figures, self._speaker.say)
        with (
            saving(
                "run",
                problem,
                pair=self._settings.engine.pair,
                method=self._settings.solve.method,
                say=self._speaker.say,
                keep=self._keep,
            ) as saver,
            stopping.installed(),
            self._speaker.at_work(figures.words),
            self._lines.heard(steering.obey),
        ):
            self._show(saver.watch(stopping.watch(stream)))

    def replay(self, file: Path, speed: float) -> None:
        """Say what an event log holds."""
        try:
            with file.open("rb") as handle:
                self._show(in_time(read_events(handle, str(file)), speed))
        except (OSError, ValueError) as error:  # the latter: a NUL in the name
            reason = getattr(error, "strerror", None) or str(error)
            raise UsageError(f"{file} cannot be read.", reason) from error
        if self._result is None:
            click.echo(f"{one_line(str(file))}: the log ends before the run did.", err=True)

    def _new_solver(self) -> Solver:
        return Solver(
            engine=self._settings.engine,
            on_progress=lambda progress: self._figures.downloading(progress),
            on_notice=lambda line: self._speaker.say(one_line(line)),
        )

    def _show(self, events: Iterable[AnyEvent]) -> None:
        self._log, self._result = [], None
        view = LineView(self._speaker.say, spoken=True)
        for event in events:
            self._log.append(encode_event(event))
            self._figures.take(event)
            if isinstance(event, RunEnded):
                self._result = event.result
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


def _fitting(name: str, arguments: Sequence[str]) -> Sequence[str]:
    """As many arguments as the command takes; raises ``UsageError``."""
    shown = BETWEEN_RUNS[name].arguments
    wanted = len(shown.split())
    if len(arguments) != wanted and not (shown.startswith("[") and not arguments):
        takes = f"{wanted or 'no'} argument{'' if wanted == 1 else 's'}"
        raise UsageError(f"/{name} takes {takes}.", "", f"Type: /{name} {shown}".rstrip())
    return arguments


def _path_lines(path: ReasoningPath) -> Iterator[str]:
    """A path in full, each step with who wrote it and what it was worth."""
    number = path.index + 1
    yield f"Path {number}, strategy {one_line(path.strategy)}, {one_line(path.strategy_name)}:"
    for place, step in enumerate(path.steps):
        yield f"Step {place + 1}, {_judged(step)}: {clean(step.text).strip()}"
        if isinstance(step.draft_text, str):
            yield f"It stands for the draft's step: {clean(step.draft_text).strip()}"
    answer = "" if path.answer is None else f": {one_line(path.answer)}"
    if path.end_reason is not None:
        yield f"Path {number} ends, {END_WORDS[path.end_reason]}{answer}"


def _judged(step: Step) -> str:
    if step.author == "target" and step.accepted is False:
        draft = step.draft_score
        score = f" with {draft:.1f} of 9" if isinstance(draft, float) else ""
        return f"rewritten by the target after the draft's was rejected{score}"
    if step.score is None:
        return f"by the {step.author}"
    return f"by the {step.author}, kept with {step.score:.1f} of 9"


def _path_of(file: str) -> Path:
    try:
        return Path(file).expanduser()
    except RuntimeError as error:  # ~ of somebody who is not known
        raise UsageError(f"{file} names no file.", str(error)) from error


def _write_new(path: Path, shown: str, data: bytes) -> None:
    """Write a file that is not there yet; raises ``UsageError`` when it is, or cannot be."""
    try:
        with path.open("xb") as handle:
            try:
                handle.write(data)
                handle.flush()
            except OSError:
                path.unlink(missing_ok=True)
                raise
    except FileExistsError as error:
        raise UsageError(f"{shown} exists already.", "", "Give another name.") from error
    except (OSError, ValueError) as error:  # the latter: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{shown} cannot be written.", reason) from error
