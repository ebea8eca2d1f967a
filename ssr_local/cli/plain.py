"""``ssr-local tui --plain``: the app as a conversation in lines, for screen readers.

Nothing moves on the screen and nothing is redrawn: every line says by itself who did what.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import click
import msgspec

from ssr_local.api import Solver
from ssr_local.cli import EXIT_INTERRUPTED
from ssr_local.cli.signals import Stop, stopping
from ssr_local.cli.typed import TypedLines
from ssr_local.cli.view import LineView, in_time
from ssr_local.commands import AddPath, AnyCommand, Cancel, DropPath, OverrideVerdict, Pause, Resume
from ssr_local.config import Settings, load_settings, save_setting
from ssr_local.display import clean, one_line, quoted
from ssr_local.errors import SSRError, UsageError
from ssr_local.events import AnyEvent, RunEnded, StepDelta, encode_event, read_events
from ssr_local.folders import write_atomically
from ssr_local.records import RunResult
from ssr_local.strategies import load_pool

_TWICE_WITHIN_S = 2.0
_SILENCE_S = 10.0
_FENCE = '"""'


class _Leave(Exception):  # noqa: N818 - asked for
    """The conversation is over."""


class _Command(NamedTuple):
    """``arguments`` as the help shows them, ``about`` in one line."""

    arguments: str
    about: str


BETWEEN_RUNS: dict[str, _Command] = {
    "help": _Command("", "this list"),
    "again": _Command("", "the last problem once more, with another seed"),
    "set": _Command("[NAME VALUE]", "change a setting for this session; alone: show all"),
    "save": _Command("NAME VALUE", "the same, and keep it in the settings file"),
    "strategies": _Command("", "the pool of strategies"),
    "show": _Command("N", "path N of the last run in full"),
    "answer": _Command("", "the last answer and its votes"),
    "export": _Command("FILE", "the last run: events into a .jsonl, result into a .json file"),
    "replay": _Command("FILE", "play an event log"),
    "quit": _Command("", "leave; so does the end of input"),
}
"""Commands at the prompt, each typed with a slash in front."""

DURING_RUNS: dict[str, _Command] = {
    "pause": _Command("", "stand still"),
    "resume": _Command("", "go on"),
    "stop": _Command("", "stop; what there is stays"),
    "drop": _Command("N", "end path N"),
    "add": _Command("LETTER", "one more path with that strategy"),
    "keep": _Command("N", "keep the step judged last on path N"),
    "reject": _Command("N", "reject it"),
}
"""Commands while a run goes on, typed as they are."""


def run_plain(
    settings: Settings,
    problem: str | None,
    *,
    replay: Path | None = None,
    speed: float = 1.0,
    overrides: dict[str, Any] | None = None,
) -> int:
    """Talk until the user leaves; the exit code. A problem or a replay comes first."""
    talk = _Conversation(settings, overrides or {})
    click.echo("ssr-local, plain mode: everything is lines. Type a problem, or /help.")
    click.echo(f'Several lines: begin and end with {_FENCE}, or end a line with "\\".')
    try:
        if replay is not None:
            talk.attempt(lambda: talk.replay(replay, speed))
        elif problem is not None:
            talk.attempt(lambda: talk.solve(problem))
        talk.go_on()
    except _Leave:
        return 0
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        return EXIT_INTERRUPTED
    finally:
        talk.close()


class _Conversation:
    """What was asked, and what came of it."""

    def __init__(self, settings: Settings, overrides: dict[str, Any]) -> None:
        self._settings, self._overrides = settings, dict(overrides)
        self._solver: Solver | None = None
        self._lines = TypedLines()
        self._problem = ""
        self._result: RunResult | None = None
        self._log: list[bytes] = []
        self._printed_s = 0.0
        with contextlib.suppress(ImportError):  # editing and history where there is such
            import readline  # noqa: F401

    def go_on(self) -> NoReturn:
        """Prompt after prompt."""
        interrupted_s = -_TWICE_WITHIN_S
        while True:
            try:
                text = self._asked()
            except EOFError:
                click.echo()
                raise _Leave from None
            except KeyboardInterrupt:
                if time.monotonic() - interrupted_s < _TWICE_WITHIN_S:
                    raise
                interrupted_s = time.monotonic()
                click.echo("\nOnce more leaves. /quit leaves too.")
                continue
            if text.strip():
                self.attempt(lambda text=text: self._obey(text))  # type: ignore[misc]

    def attempt(self, action: Callable[[], None]) -> None:
        """Do something; an error is said, and the conversation goes on."""
        try:
            action()
        except SSRError as error:
            click.echo(f"Error: {clean(str(error))}", err=True)

    def close(self) -> None:
        """Unload the models."""
        if self._solver is not None:
            self._solver.close()
            self._solver = None

    def _asked(self) -> str:
        line = self._lines.ask("Problem> ")
        if line.strip() == _FENCE:
            return "\n".join(iter(lambda: self._lines.ask("... "), _FENCE))
        while line.endswith("\\"):
            line = f"{line[:-1]}\n{self._lines.ask('... ')}"
        return line

    # At the prompt -----------------------------------------------------------------

    def _obey(self, text: str) -> None:
        if not text.startswith("/"):
            self.solve(text)
            return
        try:
            name, *arguments = shlex.split(text[1:]) or ["help"]
        except ValueError as error:
            raise UsageError(f"The command cannot be read: {error}.") from error
        if name not in BETWEEN_RUNS:
            near = get_close_matches(name, BETWEEN_RUNS, n=1)
            hint = f"Did you mean /{near[0]}?" if near else "Type /help for the list."
            raise UsageError(f"There is no command {quoted('/' + name)}.", "", hint)
        getattr(self, f"_do_{name}")(*self._fitting(name, arguments))

    def _fitting(self, name: str, arguments: Sequence[str]) -> Sequence[str]:
        shown = BETWEEN_RUNS[name].arguments
        wanted = len(shown.split())
        if len(arguments) != wanted and not (shown.startswith("[") and not arguments):
            raise UsageError(
                f"/{name} takes {wanted or 'no'} argument{'' if wanted == 1 else 's'}.",
                "",
                f"Type: /{name} {shown}".rstrip(),
            )
        return arguments

    def _do_help(self) -> None:
        click.echo("At the prompt:")
        for name, command in BETWEEN_RUNS.items():
            click.echo(f"  /{name} {command.arguments}".rstrip() + f": {command.about}")
        click.echo("While a run goes on, on a terminal:")
        for name, command in DURING_RUNS.items():
            click.echo(f"  {name} {command.arguments}".rstrip() + f": {command.about}")
        click.echo("  Ctrl+C: stop; twice: leave")

    def _do_again(self) -> None:
        if not self._problem:
            raise UsageError("There is no problem yet.", "", "Type one.")
        self.solve(self._problem, seed=None)

    def _do_set(self, name: str = "", value: str = "") -> None:
        if not name:
            for setting in self._settings.origins:
                shown = "not set" if setting.value is None else setting.value
                click.echo(one_line(f"{setting.name}: {shown} ({setting.origin})"))
            return
        key = name.replace("-", "_")
        changed = load_settings(self._overrides | {key: _typed(key, value)})
        self._overrides[key] = _typed(key, value)
        if changed.engine != self._settings.engine:
            self.close()
        self._settings = changed
        click.echo(one_line(f"{key} is {value} now."))

    def _do_save(self, name: str, value: str) -> None:
        save_setting(name, value)
        self._do_set(name, value)

    def _do_strategies(self) -> None:
        for one in load_pool(self._settings.solve.strategies).strategies:
            click.echo(f"{one_line(one.letter)}, {one_line(one.name)}: {one_line(one.advice)}")

    def _do_show(self, number: str) -> None:
        paths = {str(path.index + 1): path for path in self._last().paths}
        if number not in paths:
            raise UsageError(
                f"There is no path {quoted(number)}.", "", f"Paths are: {', '.join(paths)}."
            )
        path = paths[number]
        click.echo(f"Path {number}, strategy {one_line(path.strategy_name)}:")
        for place, step in enumerate(path.steps):
            score = "" if step.score is None else f", score {step.score:.1f} of 9"
            click.echo(f"Step {place + 1}, by the {step.author}{score}: {clean(step.text).strip()}")

    def _do_answer(self) -> None:
        LineView(self._print, spoken=True).result(self._last())

    def _do_export(self, file: str) -> None:
        path = Path(file).expanduser()
        if path.suffix not in (".jsonl", ".json"):
            raise UsageError(f"{file} is neither a .jsonl nor a .json file.")
        if path.exists():
            raise UsageError(f"{file} exists already.", "", "Give another name.")
        if path.suffix == ".json":
            data = msgspec.json.encode(self._last())
        elif self._log:
            data = b"".join(line + b"\n" for line in self._log)
        else:
            raise UsageError("There is no run yet.", "", "Type a problem first.")
        try:
            write_atomically(path, data)
        except OSError as error:
            raise UsageError(f"{file} cannot be written.", error.strerror or "") from error
        click.echo(f"Written: {one_line(file)}")

    def _do_replay(self, file: str) -> None:
        self.replay(Path(file).expanduser(), 0.0)

    def _do_quit(self) -> None:
        raise _Leave

    def _last(self) -> RunResult:
        if self._result is None:
            raise UsageError("No run has ended yet.", "", "Type a problem first.")
        return self._result

    # Runs --------------------------------------------------------------------------

    def solve(self, problem: str, **changes: Any) -> None:
        """Solve a problem and print all that happens."""
        self._problem = problem
        if self._solver is None:
            self._solver = Solver(
                engine=self._settings.engine,
                on_notice=lambda line: click.echo(one_line(line), err=True),
            )
        solver = self._solver
        if not self._may_download(solver):
            return
        stream = solver.stream(problem, self._settings.solve, **changes)
        with (
            stopping(solver, click.echo) as stop,
            self._lines.heard(lambda line: self._steered(solver, line)),
        ):
            self._show(stream, stop)

    def replay(self, file: Path, speed: float) -> None:
        """Print what an event log holds."""
        try:
            with file.open("rb") as handle:
                self._show(in_time(read_events(handle, str(file)), speed), None)
        except OSError as error:
            raise UsageError(f"{file} cannot be opened.", error.strerror or "") from error

    def _show(self, events: Iterable[AnyEvent], stop: Stop | None) -> None:
        self._log, self._result = [], None
        view = LineView(self._print, spoken=True)
        started_s = self._printed_s = time.monotonic()
        tokens = 0
        for event in events:
            self._log.append(encode_event(event))
            tokens += isinstance(event, StepDelta)
            if isinstance(event, RunEnded):
                self._result = event.result
            view.show(event)
            now = time.monotonic()
            if now - self._printed_s > _SILENCE_S and (stop is None or stop.number is None):
                self._print(f"Still working: {tokens} pieces of text in {now - started_s:.0f} s.")

    def _print(self, line: str) -> None:
        self._printed_s = time.monotonic()
        click.echo(line, color=False)

    def _may_download(self, solver: Solver) -> bool:
        missing = solver.to_fetch(self._settings.solve)
        if not missing:
            return True
        click.echo(f"Models are missing. To be downloaded once: {missing}.")
        if not sys.stdin.isatty():
            return True  # as 'ssr-local solve' does in a script
        answer = self._lines.ask("Download them now? Type y or n> ")
        return answer.strip().lower() in ("y", "yes")

    def _steered(self, solver: Solver, line: str) -> bool:
        """Carry out a command for the run; whether it was one."""
        word, _, argument = line.strip().partition(" ")
        if word.lower() not in DURING_RUNS:
            return False
        command = _command_of(word.lower(), argument.strip())
        if command is None:
            click.echo(f"Type: {word} {DURING_RUNS[word.lower()].arguments}")
        else:
            solver.tell(command)
        return True


def _command_of(word: str, argument: str) -> AnyCommand | None:
    """The command for a run; None when its argument does not fit."""
    plain: dict[str, AnyCommand] = {"pause": Pause(), "resume": Resume(), "stop": Cancel()}
    if word in plain:
        return plain[word]
    if word == "add":
        return AddPath(argument.upper()) if argument else None
    if not argument.isdecimal() or int(argument) < 1:
        return None
    path = int(argument) - 1
    return DropPath(path) if word == "drop" else OverrideVerdict(path, word == "keep")


def _typed(name: str, value: str) -> Any:
    """Text as the number or word the option takes; what is neither is for the check to refuse."""
    if name in ("seed", "draft", "target") and value.lower() in ("none", ""):
        return None
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(value)
    return value
