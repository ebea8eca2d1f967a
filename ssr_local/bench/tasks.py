"""The benchmark tasks by name, and where their problems come from.

``selfcheck`` ships with the package. The others are read from a JSONL file, or fetched from
a Hugging Face hub as the JSONL file of one dataset repository each and kept below the cache
folder, so that they are fetched once; remove the file to fetch it again. huggingface-hub
honours ``HF_ENDPOINT``, ``HF_TOKEN`` and ``HF_HUB_OFFLINE``.

A file that is not as expected is refused with its line, never guessed at.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from importlib import resources
from pathlib import Path
from typing import Literal

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
from ssr_local.core.errors import DownloadError, UsageError
from ssr_local.models.download.hub import CONNECT_TIMEOUT_S, find_remote, hub_errors
from ssr_local.models.download.sources import SourceError
from ssr_local.models.models_file import HubSource

_SELFCHECK = "selfcheck.jsonl"
_CALL = re.compile(r"\n+check\(\w+\)\s*\Z")


class HubProblems(Struct, frozen=True, kw_only=True):
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


class Task(Struct, frozen=True):
    """One benchmark: its strategy pool, and where its problems are.

    Without a ``source`` the problems come from the package (``selfcheck``) or from --data.
    """

    name: str
    strategies: Literal["maths", "logic", "code"]
    source: HubProblems | None

    @property
    def is_code(self) -> bool:
        """Whether answers are programs, for the problem's tests."""
        return self.strategies == "code"


def _math_task(name: str, **fields: str) -> Task:
    """A task that is one folder of a repository of many."""
    source = HubProblems(
        repo="HuggingFaceTB/math_tasks",
        file=f"data/{name}/test.jsonl",
        revision="3d34f1076f279000b9315583dcdacfd288898283",
        prefix=name,
        **fields,
    )
    return Task(name, "maths", source)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        # openai/gsm8k itself has Parquet files only, which need a library of their own.
        _math_task("gsm8k", problem="question", marker="####"),
        Task(
            "math500",
            "maths",
            HubProblems(
                repo="HuggingFaceH4/MATH-500",
                file="test.jsonl",
                revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
                prefix="math500",
            ),
        ),
        _math_task("aime24", id="id"),
        _math_task("amc23", id="id"),
        Task(
            "livemathbench",
            "maths",
            HubProblems(
                repo="opencompass/LiveMathBench",
                file="*AMC_en.jsonl",
                prefix="livemathbench",
                problem="question",
                subject="question_type",
            ),
        ),
        Task("logic", "logic", None),
        Task(
            "code",
            "code",
            # openai/openai_humaneval has Parquet files only; this has the same problems.
            HubProblems(
                repo="bigcode/humanevalpack",
                file="data/python/data/humanevalpack.jsonl",
                prefix="HumanEval",
                id="task_id",
                problem="prompt",
                answer="canonical_solution",
            ),
        ),
        Task("selfcheck", "maths", None),
    )
}


def load_problems(
    task: str, *, data: Path | None = None, limit: int | None = None
) -> tuple[Problem, ...]:
    """The task's problems, the first ``limit`` of them, always in the same order.

    From the file ``data`` where there is one, else from the package, else from the hub, which
    is asked only for what is not kept yet. Raises ``UsageError`` for missing data and wrong
    lines, ``DownloadError`` when the hub does not deliver.
    """
    chosen = TASKS[task]
    code = chosen.is_code
    if chosen.name == "selfcheck":
        if data is not None:
            raise UsageError(
                "The task selfcheck has its own problems.", "", "Leave out --data, or name a task."
            )
        with resources.as_file(resources.files(__package__) / _SELFCHECK) as file:
            problems = read_problems(file, code=code)
    elif data is not None:
        problems = read_problems(data, code=code)
    elif chosen.source is None:
        raise UsageError(
            f"The task {chosen.name} has no problems of its own.", "", _give_data(chosen)
        )
    else:
        problems = read_problems(
            _fetched(chosen, chosen.source),
            code=code,
            mapped=functools.partial(_from_hub, chosen.source),
        )
    return problems[:limit]


def _from_hub(source: HubProblems, fields: Fields, index: int) -> Fields:
    """A line of the hub's file under our own names."""
    problem = text_of(fields, source.problem)
    options = fields.get("options")
    if isinstance(options, list) and all(isinstance(option, str) for option in options):
        problem = "\n".join((problem, *options))
    # ``Python/12`` is problem 12.
    number = text_of(fields, source.id).rpartition("/")[2] if source.id else index
    mapped = {
        "id": f"{source.prefix}/{number}",
        "problem": problem,
        "answer": _reference(source, text_of(fields, source.answer)),
        "subject": fields.get(source.subject),
    }
    kept = {key: fields[key] for key in ("level", "entry_point", "test") if key in fields}
    if isinstance(test := kept.get("test"), str):
        # Some files call the test themselves; who runs it does that.
        kept["test"] = _CALL.sub("\n", test)
    return {**mapped, **kept}


def _reference(source: HubProblems, answer: str) -> str:
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


def _fetched(task: Task, source: HubProblems) -> Path:
    """The dataset's file on this machine; fetched unless it is kept already."""
    folder = folders.cache_dir() / "datasets" / task.name / source.revision
    kept = sorted(folder.rglob(source.file))
    if kept:
        return kept[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hub_errors():
            return _download(source, folder)
    except SourceError as error:
        why = str(error)
    except OSError as error:
        why = f"{error.filename}: {error.strerror}"
    raise DownloadError(
        f"The problems of {task.name} ({source.repo}, {source.file}) cannot be fetched.",
        f"{why[0].upper()}{why[1:]}.",
        _give_data(task),
    )


def _download(source: HubProblems, folder: Path) -> Path:
    from huggingface_hub import HfApi

    hub = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)
    name = source.file
    if "*" in name:
        _size(source, "README.md")
        names = hub.list_repo_files(source.repo, repo_type="dataset", revision=source.revision)
        name = next(iter(sorted(fnmatch.filter(names, source.file))), "")
    if not name:
        raise SourceError("the repository has no such file")
    if _size(source, name) > MAX_FILE_BYTES:
        raise SourceError(f"it has more than {MAX_FILE_BYTES >> 20} MB")
    fetched = hub.hf_hub_download(
        source.repo,
        name,
        repo_type="dataset",
        revision=source.revision,
        local_dir=folder,
        etag_timeout=CONNECT_TIMEOUT_S,
    )
    return Path(fetched)


def _size(source: HubProblems, name: str) -> int:
    """A file's size in bytes; where there is no network this fails at once.

    What downloads and lists asks five times over half a minute, and says so each time.
    """
    file = HubSource(repo=source.repo, file=name, revision=source.revision)
    return find_remote(file, repo_type="dataset").size


def _give_data(task: Task) -> str:
    return f"Give them with --data FILE: JSON lines with {needed_keys(task.is_code)}."
