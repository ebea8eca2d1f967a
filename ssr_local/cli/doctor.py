"""``ssr-local doctor``: look at this machine and say what is missing."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
import msgspec

from ssr_local.cli.at_work import remark
from ssr_local.cli.parameters import options_of
from ssr_local.core.display import one_line
from ssr_local.core.errors import ConfigError, EngineError, ModelError
from ssr_local.core.options import EngineOptions, SolveOptions
from ssr_local.diagnosis import Report, diagnose
from ssr_local.diagnosis.findings import SectionName

# In the order in which a run would meet them.
_EXIT_CODES: tuple[tuple[SectionName, int], ...] = (
    ("configuration", ConfigError.exit_code),
    ("models", ModelError.exit_code),
    ("engine", EngineError.exit_code),
)
_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command()
@options_of(SolveOptions, ("method", "effort", "strategies"))
@options_of(EngineOptions)
@click.option("--no-speed", is_flag=True, help="do not load the models to time them")
@click.option("--self-check", is_flag=True, help="check the engines with the models again")
@click.option("--json", "as_json", is_flag=True, help="print the whole report as one JSON object")
def command(no_speed: bool, self_check: bool, as_json: bool, **overrides: Any) -> int:
    """Look at the CPU, the memory, llama.cpp, the models and their speed.

    Exit code 0: everything needed for a run is there; 2: the configuration is wrong;
    3: a model is missing, damaged or unusable; 4: the engine cannot start.
    """
    on_progress = remark if sys.stderr.isatty() else lambda text: None
    report = diagnose(
        overrides, with_speed=not no_speed, self_check=self_check, on_progress=on_progress
    )
    # As JSON it is ASCII only, so that no control character reaches a terminal.
    shown = json.dumps(msgspec.to_builtins(report), indent=2) if as_json else _as_text(report)
    click.echo(shown)
    return next((code for section, code in _EXIT_CODES if report.count("problem", section)), 0)


def _as_text(report: Report) -> str:
    """The report in aligned columns: state, name, value, and under it what to do."""
    rows = [finding for section in report.sections for finding in section.findings]
    width = max(len(row.name) for row in rows)
    indent = " " * (2 + len("problem") + 2 + width + 2)
    lines: list[str] = []
    for section in report.sections:
        lines += ["", click.style(section.name.capitalize(), bold=True)]
        for row in section.findings:
            state = click.style(row.state.ljust(len("problem")), fg=_COLOURS[row.state])
            lines.append(f"  {state}  {one_line(row.name).ljust(width)}  {one_line(row.value)}")
            if row.advice:
                lines.append(f"{indent}-> {one_line(row.advice)}")
    return "\n".join([*lines[1:], "", _summary(report)])


def _summary(report: Report) -> str:
    problems, warnings = report.count("problem"), report.count("warning")
    warned = f", {warnings} warning{'' if warnings == 1 else 's'}" if warnings else ""
    if problems:
        return f"{problems} problem{'' if problems == 1 else 's'}{warned}."
    return f"Everything needed for a run is there{warned}."
