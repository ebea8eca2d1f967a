"""The worked solutions of a class: a table in, a table and a report out, resumable.

Every checked solution is written to ``checked.jsonl`` at once; the same call continues where
an earlier one was stopped, and checks nothing twice.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from ssr_local.api import Solver
from ssr_local.core.display import one_line
from ssr_local.core.errors import DecodeError, ProblemError, SSRError, UsageError
from ssr_local.core.folders import write_atomically
from ssr_local.core.line_file import LineFile, locked
from ssr_local.core.options import SolveOptions
from ssr_local.core.toml_file import decode_text
from ssr_local.process.helper import Helper
from ssr_local.tutoring.checking import STUDENT_VERIFIER, CheckResult, check, steps_of

COLUMNS = ("student", "problem", "solution")
CHECKED = "checked.jsonl"
REPORT_TABLE, REPORT = "report.csv", "report.md"
MAX_FILE_BYTES = 20_000_000


class Solution(NamedTuple):
    """One line of the table."""

    student: str
    problem: str
    text: str

    def key(self, how: str) -> str:
        """What tells it from others, and from itself checked in another way."""
        parts = "\0".join((*self, how))
        return hashlib.sha256(parts.encode()).hexdigest()


class Checked(Struct, frozen=True, kw_only=True):
    """One line of ``checked.jsonl``: a solution's check, or why there is none."""

    key: str
    student: str
    result: CheckResult | None = None
    error: str = ""


def read_class(file: Path) -> list[Solution]:
    """The solutions of a CSV file with the columns student, problem and solution.

    Raises ``UsageError`` naming file and line for what is no such table.
    """
    try:
        with file.open("rb") as stream:  # perhaps a pipe
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read.", error.strerror or "") from error
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"{file} is too large.", f"At most {MAX_FILE_BYTES >> 20} MB.")
    text = decode_text(data, str(file))
    try:
        # Commas, or the semicolons and tabs that spreadsheets write in some countries.
        sign = max(",;\t", key=text.partition("\n")[0].count)
        return _solutions(file, csv.reader(io.StringIO(text, newline=""), delimiter=sign))
    except csv.Error as error:
        raise UsageError(
            f"{file} is no table.", f"{error}.", "Look for a quotation mark that is not closed."
        ) from error


def _solutions(file: Path, reader: Any) -> list[Solution]:
    heads = [name.strip().lower() for name in next(reader, [])]
    missing = [name for name in COLUMNS if name not in heads]
    if missing:
        raise UsageError(
            f"{file} has no column {missing[0]!r}.",
            f"Its first line must name: {', '.join(COLUMNS)}.",
        )
    indices = [heads.index(name) for name in COLUMNS]
    found = []
    for row in reader:
        if not any(map(str.strip, row)):
            continue
        if any(map(str.strip, row[len(heads) :])):
            raise UsageError(
                f"{file}, line {reader.line_num}: it has {len(row)} cells, the first line"
                f" {len(heads)}.",
                "A text with a separator in it must be in quotation marks.",
            )
        cells = [*row, *[""] * len(heads)]
        found.append(Solution(*(cells[index].strip() for index in indices)))
    if not found:
        raise UsageError(f"{file} has no solutions.", "Only the first line is there.")
    return found


def check_class(
    solutions: list[Solution],
    folder: Path,
    *,
    solver: Solver,
    options: SolveOptions,
    with_vote: bool = True,
    verifier: str = STUDENT_VERIFIER,
    should_stop: Callable[[], bool] = lambda: False,
    on_checked: Callable[[Checked], None] = lambda checked: None,
) -> list[Checked]:
    """Check what is not checked yet, and write the report of all in ``folder``.

    A solution that cannot be checked stands in the report with the reason; an engine that
    fails raises ``SSRError``, and what is done is kept.
    """
    with locked(folder), Helper() as helper:
        check_one = partial(
            check,
            solver=solver,
            options=options,
            with_vote=with_vote,
            verifier=verifier,
            helper=helper,
            should_stop=should_stop,
        )
        vote = msgspec.json.encode(options).decode() if with_vote else ""
        how = repr((solver.model_names, verifier, options.threshold, vote))
        keyed = [(one.key(how), one) for one in solutions]
        return _check_all(keyed, folder, check_one, on_checked)


def _check_all(
    solutions: list[tuple[str, Solution]],
    folder: Path,
    check_one: Callable[[str, list[str]], CheckResult],
    on_checked: Callable[[Checked], None],
) -> list[Checked]:
    # What could not be checked is tried again: another --ctx may help.
    with closing(LineFile(folder / CHECKED, Checked, SSRError)) as file:
        done = {one.key: one for one in file.lines if one.result is not None}
        for key, solution in solutions:
            if key in done:
                continue
            done[key] = _checked(key, solution, check_one)
            file.append(done[key])
            on_checked(done[key])
    pairs = [(solution, done[key]) for key, solution in solutions]
    write_atomically(folder / REPORT_TABLE, _table(pairs).encode("utf-8-sig"))
    write_atomically(folder / REPORT, _report(pairs).encode())
    return [checked for _, checked in pairs]


def _checked(
    key: str, solution: Solution, check_one: Callable[[str, list[str]], CheckResult]
) -> Checked:
    try:
        result = check_one(solution.problem, steps_of(solution.text))
    except (ProblemError, DecodeError) as error:
        return Checked(key=key, student=solution.student, error=one_line(str(error)))
    return Checked(key=key, student=solution.student, result=result)


def _table(pairs: list[tuple[Solution, Checked]]) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(
        ("student", "problem", "steps", "first wrong step", "reason", "answer", "answer accepted")
    )
    for solution, row in pairs:
        result = row.result
        if result is None:
            cells = ["", "", row.error, "", ""]
        else:
            bad = result.first_bad
            cells = [
                str(len(result.steps)),
                "" if bad is None else str(bad + 1),
                "" if bad is None else result.steps[bad].reason,
                result.answer or "",
                {True: "yes", False: "no", None: "open"}[result.answer_accepted],
            ]
        writer.writerow(_harmless(one) for one in (solution.student, solution.problem, *cells))
    return out.getvalue()


def _harmless(cell: str) -> str:
    """A spreadsheet takes a cell that begins like this for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _report(pairs: list[tuple[Solution, Checked]]) -> str:
    results = [row.result for _, row in pairs]
    num_good = sum(one is not None and one.first_bad is None for one in results)
    lines = [
        "# Checked solutions",
        "",
        f"{len(pairs)} solutions, {num_good} of them without a step that was refused. A model's"
        " judgement is not certain; where a step has equations, algebra checked them.",
        "",
        "| student | problem | first wrong step | answer |",
        "| --- | --- | --- | --- |",
    ]
    for solution, row in pairs:
        result = row.result
        if result is None:
            found, answer = row.error, ""
        else:
            bad = result.first_bad
            found = "none" if bad is None else f"{bad + 1}: {result.steps[bad].reason}"
            judged = {True: "accepted", False: f"the models: {result.vote}", None: "open"}
            answer = f"{result.answer or 'none'} ({judged[result.answer_accepted]})"
        cells = (solution.student, one_line(solution.problem, 80), found, answer)
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    text = one_line(text)
    for sign in "\\|`*_[]<":
        text = text.replace(sign, f"\\{sign}")
    return text
