"""The benchmark tasks by name, and where their problems come from.

``selfcheck`` ships with the package. The others are read from a JSONL file, or fetched from
a Hugging Face hub as the JSONL file of one dataset repository each and kept below the cache
folder, so that they are fetched once; remove the file to fetch it again. huggingface-hub
honours ``HF_ENDPOINT``, ``HF_TOKEN`` and ``HF_HUB_OFFLINE``.

No hub could be reached where this was written. The repositories, their files and fields are
what public listings and programs say of them; tried were a stand-in for the hub and files of
the same shape. A file that is not as expected is refused with its line, never guessed at.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from msgspec import Struct

from ssr_local.bench.problem_files import (
    MAX_FILE_BYTES,
    Fields,
    Number,
    needed_keys,
    read_problems,
    text_of,
)
from ssr_local.bench.records import Problem
from ssr_local.core import folders
from ssr_local.core.display import one_line, quoted
from ssr_local.core.errors import DownloadError, UsageError

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

AnswerForm = Literal["value", "choice", "code"]
"""What a task's answers are: something to compare as mathematics, an option's letter or
Yes/No, or a program for the problem's tests."""

CONNECT_TIMEOUT_S = 10.0

_SELFCHECK = "selfcheck.jsonl"
_CALL = re.compile(r"\n+check\(\w+\)\s*\Z")
_STATUS_HINTS = {
    401: "no such repository, or it needs a login (HF_TOKEN)",
    403: "not allowed; accept the terms on the dataset's page, or set HF_TOKEN",
    404: "no such repository or file",
}


class _UnfitError(Exception):
    """The repository can be reached and has nothing for us."""


class HubSource(Struct, frozen=True, kw_only=True):
    """One JSONL file of a dataset repository, and its names for what a ``Problem`` has.

    ``file`` may be a pattern with ``*``; then the first match in alphabetical order is taken.
    Ids are ``prefix``/number: the number in the field ``id``, or the line's index from 0.
    Where the answer is a whole solution, its result stands after ``marker``.
    """

    repo: str
    file: str
    prefix: str
    revision: str = "main"
    id: str = ""
    problem: str = "problem"
    answer: str = "answer"
    marker: str = ""
    subject: str = "subject"

    @property
    def label(self) -> str:
        """The source as an error names it."""
        return f"{self.repo}, {self.file}"


class Task(Struct, frozen=True):
    """One benchmark: its strategy pool, where its problems are, and what their answers are.

    Without a ``source`` the problems come from the package (``selfcheck``) or from --data.
    """

    name: str
    title: str
    strategies: Literal["maths", "logic", "code"]
    source: HubSource | None
    answers: AnswerForm


_MATHS_FILES = "HuggingFaceTB/math_tasks"
_MATHS_REVISION = "3d34f1076f279000b9315583dcdacfd288898283"

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "gsm8k",
            "GSM8K: grade-school word problems, the test part",
            "maths",
            # openai/gsm8k itself has Parquet files only, which need a library of their own.
            HubSource(
                repo=_MATHS_FILES,
                file="data/gsm8k/test.jsonl",
                revision=_MATHS_REVISION,
                prefix="gsm8k",
                problem="question",
                marker="####",
            ),
            "value",
        ),
        Task(
            "math500",
            "MATH-500: competition mathematics by subject and level",
            "maths",
            HubSource(
                repo="HuggingFaceH4/MATH-500",
                file="test.jsonl",
                revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
                prefix="math500",
            ),
            "value",
        ),
        Task(
            "aime24",
            "AIME 2024: competition mathematics, answers 0 to 999",
            "maths",
            HubSource(
                repo=_MATHS_FILES,
                file="data/aime24/test.jsonl",
                revision=_MATHS_REVISION,
                prefix="aime24",
                id="id",
            ),
            "value",
        ),
        Task(
            "amc23",
            "AMC 12 2023: competition mathematics",
            "maths",
            HubSource(
                repo=_MATHS_FILES,
                file="data/amc23/test.jsonl",
                revision=_MATHS_REVISION,
                prefix="amc23",
                id="id",
            ),
            "value",
        ),
        Task(
            "livemathbench",
            "LiveMathBench: its AMC part in English",
            "maths",
            HubSource(
                repo="opencompass/LiveMathBench",
                file="*AMC_en.jsonl",
                prefix="livemathbench",
                problem="question",
                subject="question_type",
            ),
            "value",
        ),
        Task("logic", "Logic: an option's letter, or Yes or No", "logic", None, "choice"),
        Task(
            "code",
            "HumanEval: Python functions, judged by their tests",
            "code",
            # openai/openai_humaneval has Parquet files only; this has the same problems.
            HubSource(
                repo="bigcode/humanevalpack",
                file="data/python/data/humanevalpack.jsonl",
                prefix="HumanEval",
                id="task_id",
                problem="prompt",
                answer="canonical_solution",
            ),
            "code",
        ),
        Task("selfcheck", "Thirty problems that ship with this program", "maths", None, "value"),
    )
}


def find_task(name: str) -> Task:
    """The task of that name; ``UsageError`` with the list and a close match otherwise."""
    if name in TASKS:
        return TASKS[name]
    near = get_close_matches(name[:80].lower(), TASKS, n=1)
    raise UsageError(
        f"There is no task {quoted(name)}.",
        f"Tasks: {', '.join(TASKS)}.",
        f"Did you mean {near[0]!r}?" if near else "",
    )


def load_problems(
    task: str, *, data: Path | None = None, limit: int | None = None, offline: bool = False
) -> tuple[Problem, ...]:
    """The task's problems, the first ``limit`` of them, always in the same order.

    From the file ``data`` where it is given, else from the package, else from the hub, which
    is asked only for what is not kept yet and never when ``offline``. Raises ``UsageError``
    for an unknown task, a wrong limit, missing data and wrong lines, ``DownloadError`` when
    the hub does not deliver.
    """
    chosen = find_task(task)
    if limit is not None and limit < 1:
        raise UsageError(f"The limit cannot be {quoted(limit)}.", "Accepted: 1 or more.")
    code = chosen.answers == "code"
    if chosen.name == "selfcheck":
        if data is not None:
            raise UsageError(
                "The task selfcheck has its own problems.", "", "Leave out --data, or name a task."
            )
        with resources.as_file(resources.files(__package__) / _SELFCHECK) as file:
            problems = read_problems(file, code=code, name=_SELFCHECK)
    elif data is not None:
        problems = read_problems(data, code=code)
    elif chosen.source is None:
        raise UsageError(
            f"The task {chosen.name} has no problems of its own.", "", _give_data(chosen)
        )
    else:
        problems = read_problems(
            _fetched(chosen, chosen.source, offline),
            code=code,
            mapped=functools.partial(_from_hub, chosen.source),
        )
    return problems[:limit]


def _from_hub(source: HubSource, fields: Fields, index: int) -> Fields:
    """A line of the hub's file under our own names."""
    problem = text_of(fields, source.problem)
    options = fields.get("options")
    if isinstance(options, list) and all(isinstance(option, str) for option in options):
        problem = "\n".join((problem, *options))
    mapped = {
        "id": f"{source.prefix}/{_number(text_of(fields, source.id)) if source.id else index}",
        "problem": problem,
        "answer": _reference(source, text_of(fields, source.answer)),
        "subject": fields.get(source.subject),
    }
    kept = {key: fields[key] for key in ("level", "entry_point", "test") if key in fields}
    if isinstance(test := kept.get("test"), str):
        # Some files call the test themselves; who runs it does that.
        kept["test"] = _CALL.sub("\n", test)
    return {**mapped, **kept}


def _number(name: str) -> str:
    """``Python/12`` is problem 12."""
    return name.rpartition("/")[2]


def _reference(source: HubSource, answer: str) -> str:
    """What stands after the marker where the answer is a whole solution; 27.0 is 27."""
    if isinstance(answer, Number):
        return answer.removesuffix(".0")
    if not source.marker or source.marker not in answer:
        return answer
    last = answer.rpartition(source.marker)[2].strip()
    if not last:
        raise UsageError(
            f"key 'answer' says nothing after {source.marker}", "Accepted: the answer there."
        )
    return last


def _fetched(task: Task, source: HubSource, offline: bool) -> Path:
    """The dataset's file on this machine; fetched unless it is kept already."""
    folder = folders.cache_dir() / "datasets" / task.name / source.revision
    kept = sorted(folder.rglob(source.file))
    if kept:
        return kept[0]
    if offline:
        raise _not_fetched(task, source, "The hub is not to be asked, and nothing is kept here")
    from huggingface_hub.errors import HfHubHTTPError

    # The hub's HTTP client differs between versions; this class derives from its base error.
    unreachable: tuple[type[BaseException], ...] = (
        *cast("tuple[type[BaseException], ...]", HfHubHTTPError.__bases__),
        OSError,
        ValueError,
    )
    try:
        return _download(source, folder)
    except _UnfitError as error:
        raise _not_fetched(task, source, str(error)) from error
    except HfHubHTTPError as error:
        raise _not_fetched(task, source, _answered(error)) from error
    except unreachable as error:
        raise _not_fetched(task, source, _reason(error)) from error


def _download(source: HubSource, folder: Path) -> Path:
    from huggingface_hub import HfApi

    endpoint = os.environ.get("HF_ENDPOINT") or None
    hub = HfApi(endpoint=endpoint)
    name = source.file
    if "*" in name:
        _ask_size(source, "README.md", endpoint)
        names = hub.list_repo_files(source.repo, repo_type="dataset", revision=source.revision)
        name = next(iter(sorted(fnmatch.filter(names, source.file))), "")
    if not name:
        raise _UnfitError("The repository has no such file")
    if (_ask_size(source, name, endpoint) or 0) > MAX_FILE_BYTES:
        raise _UnfitError(f"It has more than {MAX_FILE_BYTES >> 20} MB")
    fetched = hub.hf_hub_download(
        source.repo,
        name,
        repo_type="dataset",
        revision=source.revision,
        local_dir=folder,
        etag_timeout=CONNECT_TIMEOUT_S,
    )
    return Path(fetched)


def _ask_size(source: HubSource, name: str, endpoint: str | None) -> int | None:
    """A file's size in bytes; where there is no network this fails at once.

    What downloads and lists asks five times over half a minute, and says so each time.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(
        source.repo, name, repo_type="dataset", revision=source.revision, endpoint=endpoint
    )
    return get_hf_file_metadata(url, timeout=CONNECT_TIMEOUT_S, endpoint=endpoint).size


def _not_fetched(task: Task, source: HubSource, why: str) -> DownloadError:
    return DownloadError(
        f"The problems of {task.name} ({source.label}) cannot be fetched.",
        f"{why}.",
        _give_data(task),
    )


def _give_data(task: Task) -> str:
    return f"Give them with --data FILE: JSON lines with {needed_keys(task.answers == 'code')}."


def _answered(error: HfHubHTTPError) -> str:
    status = getattr(getattr(error, "response", None), "status_code", 0)
    hint = _STATUS_HINTS.get(status)
    return f"The hub answered {status}" + (f": {hint}" if hint else "")


def _reason(error: BaseException) -> str:
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, and nothing is kept here"
    if isinstance(error, OSError) and isinstance(error.filename, str):
        return f"{one_line(error.filename, 160)}: {error.strerror}"
    reason = one_line(getattr(error, "strerror", None) or str(error), 160).rstrip(".")
    return f"The hub cannot be reached ({reason or type(error).__name__})"
