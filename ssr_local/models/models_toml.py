"""Strict reading of ``models.toml``.

An unknown key, a wrong type or a name that could leave the models folder is a
``ConfigError`` that names the file, the key and what is accepted.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Struct

from ssr_local.core.errors import ConfigError, UsageError
from ssr_local.core.options import RETIRED_VERIFIERS, Effort
from ssr_local.core.records import Calibration, EffortPlans, Profile
from ssr_local.core.toml_file import parse_toml
from ssr_local.method.plans import parse_plan
from ssr_local.method.prediction import KIND_NAMES
from ssr_local.method.prompts import DIGIT
from ssr_local.method.verification import VERIFIERS
from ssr_local.models.models_file import (
    FileSource,
    HubSource,
    ModelSpec,
    PairSpec,
    PartSpec,
    Source,
    WheelSource,
    has_control,
    is_plain_name,
    is_safe_member,
)
from ssr_local.models.split import part_names

MAX_PARTS = 10_000

_RETIRED_FIELDS = ("mean", "deviation", "wording")


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
    if pair.profile is not None:
        _check_profile(pair.profile, where, f"{key}.profile")
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


def _check_profile(profile: Profile, where: str, key: str) -> None:
    checked: dict[str, Profile | EffortPlans] = {key: profile}
    checked |= {f"{key}.plans_for.{name}": plans for name, plans in profile.plans_for.items()}
    for path, plans in checked.items():
        for effort in get_args(Effort):
            _check_plan(getattr(plans, effort), where, f"{path}.{effort}")
        _refuse_unknown(plans.kinds, KIND_NAMES, where, f"{path}.kinds")
    for plan in profile.plans:
        _check_plan(plan, where, f"{key}.plans")


def _check_plan(plan: str, where: str, key: str) -> None:
    try:
        parse_plan(plan)
    except UsageError as error:
        raise ConfigError(f"{where}: {key} is wrong. {error.what}", error.why) from error


def _check_calibration(calibration: Calibration, where: str, key: str) -> None:
    numbers = [value for knot in calibration.knots for value in knot]
    if not all(map(math.isfinite, numbers)):
        raise ConfigError(f"{where}: {key} holds a number that is not finite.")
    raws, scores = numbers[0::2], numbers[1::2]
    rising = all(a < b for a, b in itertools.pairwise(raws))
    if not raws or not rising or scores != sorted(scores) or scores[0] < 0 or scores[-1] > 9:
        accepted = "[raw, score] pairs, both ascending, scores from 0 to 9"
        raise _refused(where, f"{key}.knots", [*map(list, calibration.knots)], accepted)


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
    if isinstance(value, str) and has_control(value):
        raise ConfigError(f"{where}: {key} holds a control character.", f"It is {value!r}.")
    children: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for name, child in children:
        _refuse_control(child, where, f"{key}.{name}" if key else str(name))
