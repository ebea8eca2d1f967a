"""The format of ``models.toml``: its records, and strict reading of them.

An unknown key, a wrong type or a name that could leave the models folder is a
``ConfigError`` that names the file, the key and what is accepted.
"""

from __future__ import annotations

import itertools
import math
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union

import msgspec
from msgspec import Meta, Struct

from ssr_local.core.errors import ConfigError
from ssr_local.core.options import RETIRED_VERIFIERS
from ssr_local.core.records import Calibration
from ssr_local.core.toml_file import parse_toml
from ssr_local.method.prompts import DIGIT
from ssr_local.method.verification import VERIFIERS
from ssr_local.models.split import part_names

MAX_PARTS = 10_000

_RETIRED_FIELDS = ("mean", "deviation", "wording")

_PACKAGE = r"^[A-Za-z0-9]([A-Za-z0-9._-]|\{n\})*$"
_Positive = Annotated[int, Meta(ge=1)]
_Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class HubSource(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="hf", tag_field="kind"
):
    """A file of a Hugging Face repository at a revision."""

    kind: ClassVar[Literal["hf"]] = "hf"
    repo: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]
    file: str
    revision: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][\w.-]*(/[\w-][\w.-]*)*$")] = "main"

    @property
    def label(self) -> str:
        """The source in one line, for people and for the resume record."""
        return f"hf:{self.repo}@{self.revision}/{self.file}"


class WheelSource(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="pypi", tag_field="kind"
):
    """Members of package wheels, concatenated in order.

    ``{n}`` in ``package`` counts from ``parts[0]`` to ``parts[1]``; without ``parts``
    there is one package. ``member`` is a shell pattern that matches one member a wheel.
    """

    kind: ClassVar[Literal["pypi"]] = "pypi"
    package: Annotated[str, Meta(pattern=_PACKAGE)]
    version: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$")]
    member: Annotated[str, Meta(min_length=1)]
    parts: tuple[int, int] | None = None

    @property
    def label(self) -> str:
        """The source in one line, for people and for the resume record."""
        span = f"[{self.parts[0]}..{self.parts[1]}]" if self.parts else ""
        return f"pypi:{self.package}{span}=={self.version}/{self.member}"

    @property
    def requirements(self) -> tuple[str, ...]:
        """What pip is asked for, in order."""
        if self.parts is None:
            return (f"{self.package}=={self.version}",)
        first, last = self.parts
        return tuple(
            f"{self.package.replace('{n}', str(n))}=={self.version}" for n in range(first, last + 1)
        )


class FileSource(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="file", tag_field="kind"
):
    """A file on this machine; copied into the models folder unless used ``in_place``."""

    kind: ClassVar[Literal["file"]] = "file"
    path: Annotated[str, Meta(min_length=1)]
    in_place: bool = False

    @property
    def label(self) -> str:
        """The source in one line, for people and for the resume record."""
        return f"file:{self.path}"

    @property
    def expanded(self) -> Path:
        """The path with ``~`` replaced by the home folder, where there is one."""
        return Path(os.path.expanduser(self.path))  # noqa: PTH111  Path's raises without a home


Source = Union[HubSource, WheelSource, FileSource]  # noqa: UP007  msgspec reads it on 3.10 too


class PartSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file of a split model must be, None where only the hub knows."""

    bytes: _Positive | None = None
    sha256: _Sha256 | None = None


class ModelSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model as models.toml describes it; ``name`` is its key there, or a hub reference.

    ``file`` lies in the models folder, in a folder of its repository if the name is a reference.
    ``bytes`` and ``sha256`` are what the file must be, None where only the hub knows. A split
    model has ``parts`` instead, in order; its ``file`` and those of its sources are the first.
    Without ``sources`` it is a reference that nobody has asked the hub about yet.
    ``parameters`` is for counting FLOPs, ``context`` is in tokens. ``perplexity`` is llama.cpp's
    of the self-check's text: of all of it, and of what the quick check reads.
    """

    name: str
    file: str
    sources: tuple[Source, ...]
    bytes: _Positive | None = None
    sha256: _Sha256 | None = None
    parts: tuple[PartSpec, ...] = ()
    licence: str = ""
    parameters: _Positive | None = None
    context: _Positive | None = None
    perplexity: tuple[float, float] | None = None
    note: str = ""

    @property
    def in_place(self) -> Path | None:
        """The user's own file when the model is used where it lies."""
        for source in self.sources:
            if isinstance(source, FileSource) and source.in_place:
                return source.expanded
        return None

    @property
    def files(self) -> tuple[ModelSpec, ...]:
        """One entry for each file of the model, each as if it were a model of one file."""
        if not self.parts:
            return (self,)
        names = part_names(self.file)
        return tuple(
            msgspec.structs.replace(
                self,
                file=name,
                bytes=part.bytes,
                sha256=part.sha256,
                sources=tuple(_source_of_part(one, index) for one in self.sources),
                parts=(),
            )
            for index, (name, part) in enumerate(zip(names, self.parts, strict=True))
        )

    @property
    def num_bytes(self) -> int | None:
        """Bytes of all files, None when that is not known here."""
        sizes = [file.bytes for file in self.files]
        return sum(size for size in sizes if size) if all(sizes) else None


def _source_of_part(source: Source, index: int) -> Source:
    if isinstance(source, HubSource):
        return msgspec.structs.replace(source, file=part_names(source.file)[index])
    if isinstance(source, FileSource):
        return msgspec.structs.replace(source, path=part_names(source.path)[index])
    return source


class PairSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A draft and a target model by name or path; ``calibrations`` by verifier name."""

    name: str
    draft: Annotated[str, Meta(min_length=1)]
    target: Annotated[str, Meta(min_length=1)]
    for_whom: str = ""
    calibrations: dict[str, Calibration] = {}


def parse_models_toml(
    toml: bytes | str, where: str
) -> tuple[dict[str, ModelSpec], dict[str, PairSpec]]:
    """The models and pairs that a TOML file holds; ``where`` names the file in errors."""
    data = parse_toml(toml, where)
    _refuse_unknown(data, ("models", "pairs"), where, "")
    _refuse_control(data, where, "")
    models = {
        name: _read_model(name, table, where)
        for name, table in _tables(data.get("models", {}), where, "models")
    }
    pairs = {
        name: _read_pair(name, table, where)
        for name, table in _tables(data.get("pairs", {}), where, "pairs")
    }
    return models, pairs


_SOURCE_KINDS: Mapping[str, type[Struct]] = {
    "hf": HubSource,
    "pypi": WheelSource,
    "file": FileSource,
}
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_T = TypeVar("_T")


def _read_model(name: str, table: dict[str, Any], where: str) -> ModelSpec:
    key = f"models.{name}"
    accepted = tuple(field for field in ModelSpec.__struct_fields__ if field != "name")
    _refuse_unknown(table, accepted, where, key)
    sources = table.get("sources")
    for index, source in enumerate(sources if isinstance(sources, list) else ()):
        if isinstance(source, dict):
            _check_source_keys(source, where, f"{key}.sources[{index}]")
    spec = _convert(table | {"name": name}, ModelSpec, where, key)
    if not is_plain_name(spec.file):
        raise _refused(where, f"{key}.file", spec.file, "a plain file name")
    spec = _with_parts(spec, where, key)
    if not spec.sources:
        raise ConfigError(f"{where}: {key}.sources is empty.", "Accepted: one source or more.")
    for index, one in enumerate(spec.sources):
        _check_source(spec, one, where, f"{key}.sources[{index}]")
    return spec


def _with_parts(spec: ModelSpec, where: str, key: str) -> ModelSpec:
    """The model with its parts, if the name of its file says that it has some."""
    names = part_names(spec.file)
    if names[0] != spec.file:
        raise _refused(where, f"{key}.file", spec.file, f"the first part, {names[0]}")
    if len(names) == 1 and not spec.parts:
        return spec
    if len(spec.parts) not in (0, len(names)) or len(names) == 1:
        accepted = f"one for each file that {spec.file!r} stands for, so {len(names)}"
        raise _refused(where, f"{key}.parts", len(spec.parts), accepted)
    if spec.bytes is not None or spec.sha256 is not None:
        raise ConfigError(
            f"{where}: {key} is split, so bytes and sha256 are those of its parts.",
            "Accepted: parts = [{ bytes = ..., sha256 = ... }, ...]",
        )
    return msgspec.structs.replace(spec, parts=spec.parts or (PartSpec(),) * len(names))


def _check_source_keys(source: dict[str, Any], where: str, key: str) -> None:
    kind = source.get("kind")
    if not isinstance(kind, str) or kind not in _SOURCE_KINDS:
        raise _refused(where, f"{key}.kind", kind, ", ".join(_SOURCE_KINDS))
    _refuse_unknown(source, ("kind", *_SOURCE_KINDS[kind].__struct_fields__), where, key)


def _check_source(spec: ModelSpec, source: Source, where: str, key: str) -> None:
    if isinstance(source, HubSource) and not is_safe_member(source.file):
        accepted = "a file name inside the repository, without '..'"
        raise _refused(where, f"{key}.file", source.file, accepted)
    if isinstance(source, HubSource) and ".." in source.revision:
        raise _refused(where, f"{key}.revision", source.revision, "one without '..'")
    if isinstance(source, FileSource) and not source.expanded.is_absolute():
        accepted = "an absolute path, or one that starts with '~'"
        raise _refused(where, f"{key}.path", source.path, accepted)
    if isinstance(source, WheelSource):
        _check_wheel_source(spec, source, where, key)
    elif spec.parts:
        name = source.file if isinstance(source, HubSource) else source.path
        if part_names(name)[0] != name or len(part_names(name)) != len(spec.parts):
            raise _refused(where, key, name, f"the first of {len(spec.parts)} parts")


def _check_wheel_source(spec: ModelSpec, source: WheelSource, where: str, key: str) -> None:
    if not is_safe_member(source.member):
        accepted = "a pattern of member names inside the wheel, without '..'"
        raise _refused(where, f"{key}.member", source.member, accepted)
    if (source.parts is None) == ("{n}" in source.package):
        raise ConfigError(
            f"{where}: {key}.package and {key}.parts do not fit together.",
            "Accepted: '{n}' in package with parts = [first, last], or neither.",
        )
    if source.parts is not None:
        first, last = source.parts
        if not 0 <= first <= last < first + MAX_PARTS:
            accepted = f"[first, last], ascending, at most {MAX_PARTS} parts"
            raise _refused(where, f"{key}.parts", list(source.parts), accepted)
    if spec.bytes is None or spec.sha256 is None:
        raise ConfigError(
            f"{where}: models.{spec.name} needs bytes and sha256.",
            "Wheels are only taken from a package index when the result can be checked.",
        )


def _read_pair(name: str, table: dict[str, Any], where: str) -> PairSpec:
    key = f"pairs.{name}"
    accepted = tuple(field for field in PairSpec.__struct_fields__ if field != "name")
    _refuse_unknown(table, accepted, where, key)
    calibrations = table.get("calibrations")
    if isinstance(calibrations, dict):
        kept = {
            verifier: _read_calibration(one, where, f"{key}.calibrations.{verifier}")
            for verifier, one in calibrations.items()
            if verifier not in RETIRED_VERIFIERS
        }
        _refuse_unknown(kept, VERIFIERS, where, f"{key}.calibrations")
        table = table | {"calibrations": kept}
    pair = _convert(table | {"name": name}, PairSpec, where, key)
    for verifier, calibration in pair.calibrations.items():
        _check_calibration(calibration, where, f"{key}.calibrations.{verifier}")
    return pair


def _read_calibration(table: Any, where: str, key: str) -> Any:
    """Without what earlier versions wrote for verifiers and wordings that are no more."""
    if not isinstance(table, dict):
        return table
    kept = {field: value for field, value in table.items() if field not in _RETIRED_FIELDS}
    _refuse_unknown(kept, Calibration.__struct_fields__, where, key)
    if table.get("wording", "") not in ("", DIGIT[1]):
        raise ConfigError(
            f"{where}: {key}.wording cannot be {table['wording']!r}.",
            f"A verifier's question has one wording, {DIGIT[1]!r}.",
        )
    return kept


def _check_calibration(calibration: Calibration, where: str, key: str) -> None:
    numbers = [value for knot in calibration.knots for value in knot]
    if not all(map(math.isfinite, numbers)):
        raise ConfigError(f"{where}: {key} holds a number that is not finite.")
    raws, scores = numbers[0::2], numbers[1::2]
    rising = all(a < b for a, b in itertools.pairwise(raws))
    if not raws or not rising or scores != sorted(scores) or scores[0] < 0 or scores[-1] > 9:
        accepted = "[raw, score] pairs, both ascending, scores from 0 to 9"
        raise _refused(where, f"{key}.knots", [*map(list, calibration.knots)], accepted)


def is_plain_name(name: str) -> bool:
    """Whether this is a file name and nothing else: no folder, drive or control character."""
    return (
        name not in ("", ".", "..")
        and not any(sign in name for sign in '/\\:*?"<>|')
        and not _has_control(name)
        and not name.startswith("-")
        and len(name.encode("utf-8", "replace")) <= 200
    )


def is_safe_member(name: str) -> bool:
    """Whether an archive's or repository's member stays inside its root."""
    parts = name.split("/")
    return (
        not _has_control(name)
        and "\\" not in name
        and not re.match(r"^[A-Za-z]:", name)
        and not any(part in ("", ".", "..") for part in parts)
    )


def _has_control(text: str) -> bool:
    """Also invisible signs: one that turns the writing direction can disguise a name."""
    return any(unicodedata.category(sign) in _UNSEEN for sign in text)


def _refused(where: str, key: str, value: object, accepted: str) -> ConfigError:
    return ConfigError(f"{where}: {key} cannot be {value!r}.", f"Accepted: {accepted}.")


def _convert(table: dict[str, Any], kind: type[_T], where: str, key: str) -> _T:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        reason, _, inner = str(error).partition(" - at `$")
        raise ConfigError(f"{where}: {key}{inner.rstrip('`')} is wrong.", f"{reason}.") from error


def _tables(data: Any, where: str, key: str) -> Iterable[tuple[str, dict[str, Any]]]:
    if not isinstance(data, dict):
        raise ConfigError(f"{where}: {key} is wrong.", "Accepted: a table.")
    for name, table in data.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
            raise ConfigError(
                f"{where}: {key} cannot have an entry named {name!r}.",
                "Accepted: letters, digits, '.', '_', '+' and '-'.",
            )
        if not isinstance(table, dict):
            raise ConfigError(f"{where}: {key}.{name} is wrong.", "Accepted: a table.")
        yield name, table


def _refuse_unknown(
    table: Mapping[str, Any], accepted: Iterable[str], where: str, key: str
) -> None:
    known = tuple(accepted)
    for name in table:
        if name not in known:
            unknown = f"{key}.{name}" if key else name
            raise ConfigError(
                f"{where}: unknown key {unknown!r}.", f"Accepted keys: {', '.join(known)}."
            )


def _refuse_control(value: Any, where: str, key: str) -> None:
    """Nothing from a models file may steer a terminal that shows it."""
    if isinstance(value, str) and _has_control(value):
        raise ConfigError(f"{where}: {key} holds a control character.", f"It is {value!r}.")
    children: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for name, child in children:
        _refuse_control(child, where, f"{key}.{name}" if key else str(name))
