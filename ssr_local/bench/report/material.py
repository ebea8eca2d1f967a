"""What a report rests on: models, machines, texts, dates; and what is mixed in it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from msgspec import Struct, convert
from msgspec.structs import replace

from ssr_local.bench.records import Row, Walk
from ssr_local.bench.report.arrangement import Option, Runs, method_order
from ssr_local.core.records import Models

# Models are compared by their hashes; a method that needs one model may or may not name both.
_OF_MODELS = frozenset(("pair", "draft", "target", "seed"))
_OF_METHODS = _OF_MODELS | {"method", "effort", "plan", "paths", "mode", "prompt", "selection"}
_OF_AUTO = frozenset(("plan", "max_tokens"))  # what it chooses problem by problem
_SHOWN_CHARS = 12
_T = TypeVar("_T")


class ModelUsed(Struct, frozen=True, kw_only=True):
    """One model file as it was run."""

    role: str = ""
    name: str
    file: str
    sha256: str | None
    num_parameters: int
    engine: str
    device: str


class SharedSetting(Struct, frozen=True):
    """One option and the values rows have it at, in text; one when all agree."""

    name: str
    values: tuple[str, ...]


class Material(Struct, frozen=True, kw_only=True):
    """Where the figures come from. ``settings`` are the options that methods do not choose.

    ``warnings`` are sentences about what should not have been mixed.
    """

    models: tuple[ModelUsed, ...]
    machines: tuple[str, ...]
    versions: tuple[str, ...]
    prompt_hashes: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    first_at: str
    last_at: str
    settings: tuple[SharedSetting, ...]
    num_walks: int
    num_steps: int
    warnings: tuple[str, ...]


def gather(groups: Sequence[Runs], walks: Sequence[Walk], num_twice: int) -> Material:
    """What these rows and walks rest on."""
    rows = [row for runs in groups for row in runs.all]
    lines: list[Row | Walk] = [*rows, *walks]
    models = _distinct(
        file
        for pair in (*(row.result.models for row in rows if row.result), *(w.models for w in walks))
        for file in _files(pair)
    )
    starts = [line.started_at for line in lines]
    return Material(
        models=tuple(sorted(models, key=lambda file: (file.role, file.name, file.engine))),
        machines=_distinct(line.machine for line in lines),
        versions=_distinct(line.version for line in lines),
        prompt_hashes=tuple(sorted({(line.task, line.prompt_hash) for line in lines})),
        seeds=tuple(sorted({line.seed for line in lines})),
        first_at=min(starts, default=""),
        last_at=max(starts, default=""),
        settings=_settings(rows),
        num_walks=len(walks),
        num_steps=sum(len(walk.steps) for walk in walks),
        warnings=tuple(_warnings(rows, lines, models, num_twice)),
    )


def _files(pair: Models) -> list[ModelUsed]:
    return [
        replace(
            convert(info, ModelUsed, from_attributes=True), role=role, file=_file_name(info.file)
        )
        for role, info in (("draft", pair.draft), ("target", pair.target))
        if info is not None
    ]


def _distinct(values: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(values))


def _settings(
    rows: Sequence[Row], without: frozenset[str] = _OF_METHODS
) -> tuple[SharedSetting, ...]:
    """The options apart from some; several values where rows differ."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for name, value in (row.result.options if row.result else {}).items():
            if name not in without and not (name in _OF_AUTO and row.method.startswith("auto-")):
                found.setdefault(name, {})[_text(value)] = None
    return tuple(
        SharedSetting(name, tuple(sorted(values))) for name, values in sorted(found.items())
    )


def _text(value: Option) -> str:
    return f"{value:g}" if isinstance(value, float) else _file_name(str(value))


def _file_name(path: str) -> str:
    """Reports are handed on, and the folders above a file may name a person."""
    return path.replace("\\", "/").rpartition("/")[2]


def _warnings(
    rows: Sequence[Row], lines: Sequence[Row | Walk], models: Sequence[ModelUsed], num_twice: int
) -> Iterable[str]:
    if num_twice:
        yield (
            f"{num_twice} rows stand there twice (same task, problem, method and repeat):"
            " the first of each was counted."
        )
    yield from _mixed("machines", (line.machine for line in lines), "times cannot be compared")
    yield from _mixed("versions of the program", (line.version for line in lines), "")
    for role in ("draft", "target"):
        files = [file for file in models if file.role == role]
        hashes = ((f.sha256 or f.file)[:_SHOWN_CHARS] for f in files)
        yield from _mixed(f"{role} models", hashes, "nothing here is about one pair")
        yield from _mixed(f"engines ({role})", (f.engine for f in files), "times differ by engine")
        yield from _mixed(f"devices ({role})", (f.device for f in files), "times differ by device")
    asked: dict[tuple[str, str], set[str]] = {}
    for line in lines:
        if isinstance(line, Walk) or line.result:
            asked.setdefault((line.task, _prompt(line)), set()).add(line.prompt_hash)
    for (task, prompt), texts in sorted(asked.items()):
        what = f"prompts of {task}" + (f" named {prompt}" if prompt else "")
        yield from _mixed(what, texts, "methods were asked different things")
    yield from _mixed_options(rows)


def _prompt(line: Row | Walk) -> str:
    """The name that other words than the pool's were asked for by."""
    return str(
        line.result.options.get("prompt", "") if isinstance(line, Row) and line.result else ""
    )


def _mixed(what: str, values: Iterable[str], so: str) -> Iterable[str]:
    found = sorted(set(values))
    if len(found) > 1:
        yield f"Several {what} are mixed ({'; '.join(found)})" + (f": {so}." if so else ".")


def _mixed_options(rows: Sequence[Row]) -> Iterable[str]:
    """One sentence for every method of a task that ran with several values of an option."""
    by_method: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_method.setdefault((row.task, row.method), []).append(row)
    for task, method in sorted(by_method, key=lambda key: (key[0], method_order(key[1]))):
        found = _settings(by_method[task, method], _OF_MODELS)
        if names := [setting.name for setting in found if len(setting.values) > 1]:
            yield f"{method} on {task} ran with several values of {', '.join(names)}."
