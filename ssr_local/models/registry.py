"""Which models and pairs there are: our ``models.toml`` and the user's own.

An entry of the user's file, in the configuration folder, replaces ours of the same name;
the path of a ``.gguf`` file, and a reference to the hub, work wherever a model's name does. What
was measured on this machine of a pair, calibrations and a profile, is in the data folder.
"""

from __future__ import annotations

import difflib
import importlib.resources
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ssr_local.core import folders
from ssr_local.core.errors import ConfigError, ModelNotFoundError
from ssr_local.core.records import Profile
from ssr_local.core.toml_file import printable, read_bounded
from ssr_local.models.elsewhere import found_files
from ssr_local.models.models_file import (
    CUSTOM_PAIR,
    FileSource,
    ModelSpec,
    PairSpec,
    PartSpec,
)
from ssr_local.models.models_toml import parse_models_toml
from ssr_local.models.references import parse_reference, remembered, unresolved
from ssr_local.models.split import part_names

DEMO_PAIR = "demo"
"""The name of the pair that needs no models: a scripted demonstration."""

_OLLAMA = "ollama:"

FILE_NAME = "models.toml"
MAX_TOML_BYTES = 4 * 1024 * 1024


class Registry(Struct, frozen=True):
    """All models and pairs known on this machine.

    ``models`` has what the hub was asked about, too; ``references`` other names for those.
    """

    models: Mapping[str, ModelSpec]
    pairs: Mapping[str, PairSpec]
    references: Mapping[str, str] = {}

    def model(self, name_or_path: str) -> ModelSpec:
        """The model of that name, or one for the ``.gguf`` file at that path, or what Ollama
        has as NAME:TAG for ``ollama:NAME:TAG``, or one for a reference such as USER/REPO:Q4_K_M.

        The hub is not asked: a reference that is new has no sources (``download.resolved``).
        Raises ``ModelNotFoundError`` with the closest names.
        """
        if name_or_path in self.models:
            return self.models[name_or_path]
        if name_or_path.startswith(_OLLAMA):
            return _spec_from_ollama(name_or_path)
        if reference := parse_reference(name_or_path):
            name = self.references.get(reference.name, reference.name)
            return self.models.get(name) or unresolved(reference)
        if _is_gguf_path(name_or_path):
            return _spec_of_path(name_or_path)
        raise _not_found("model", name_or_path, self.models)

    def pair(self, name: str) -> PairSpec:
        """The pair of that name. Raises ``ModelNotFoundError`` with the closest names."""
        if name in self.pairs:
            return self.pairs[name]
        raise _not_found("pair", name, self.pairs)


def load_registry() -> Registry:
    """Our models and pairs, overridden entry by entry by the user's own ``models.toml``.

    Calibrations and a profile measured on this machine replace a pair's, unless the user's
    own file gives it some. Raises ``ConfigError`` when one of the files is wrong.
    """
    models: dict[str, ModelSpec] = {}
    pairs: dict[str, PairSpec] = {}
    own = folders.config_dir() / FILE_NAME
    for toml, where in ((_shipped(), FILE_NAME), (_users(own), printable(str(own)))):
        new_models, new_pairs = parse_models_toml(toml, where)
        models |= new_models
        pairs |= new_pairs
        _check_pairs(models, new_pairs.values(), where)
        _check_file_clashes(models.values(), where)
    for name in pairs:
        written = new_pairs.get(name)
        if written is None or not written.calibrations:
            pairs[name] = _as_measured_here(pairs[name], calibration_file(name))
        if written is None or written.profile is None:
            pairs[name] = _as_measured_here(pairs[name], profile_file(name))
    asked = remembered()
    return Registry(models | asked.models, pairs, asked.names)


def calibration_file(pair: str) -> Path:
    """Where calibrations of a pair that were measured on this machine are kept."""
    return folders.data_dir() / "calibrations" / f"{pair}.toml"


def save_calibrations(pair: PairSpec, calibrations: str) -> Path:
    """Keep a pair's measured calibrations; ``calibrations`` is TOML as in ``models.toml``.

    Returns the file. Raises ``ConfigError`` when the TOML is no such thing.
    """
    return _save(pair, calibration_file(pair.name), calibrations)


def profile_file(pair: str) -> Path:
    """Where the profile of a pair that was measured on this machine is kept."""
    return folders.data_dir() / "profiles" / f"{pair}.toml"


def save_profile(pair: PairSpec, profile: Profile) -> Path:
    """Keep a pair's measured profile, and return the file; ``unlink`` forgets it."""
    import tomlkit

    tables = {"pairs": {pair.name: {"profile": _without_none(msgspec.to_builtins(profile))}}}
    return _save(pair, profile_file(pair.name), tomlkit.dumps(tables))


def shipped_profile(pair: PairSpec) -> Profile | None:
    """What came with ssr-local for a pair of these two models, whatever was measured since."""
    _, pairs = parse_models_toml(_shipped(), FILE_NAME)
    models = pair.draft, pair.target
    return next((one.profile for one in pairs.values() if (one.draft, one.target) == models), None)


def _save(pair: PairSpec, file: Path, tables: str) -> Path:
    import tomlkit

    head = tomlkit.table()
    head["draft"], head["target"] = pair.draft, pair.target
    toml = f"[pairs.{tomlkit.key(pair.name).as_string()}]\n{head.as_string()}\n{tables}"
    parse_models_toml(toml.encode(), str(file))
    file.parent.mkdir(parents=True, exist_ok=True)
    folders.write_atomically(file, toml.encode())
    return file


def _without_none(value: Any) -> Any:
    """TOML has no word for what is not known."""
    if isinstance(value, dict):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    return value


def _as_measured_here(pair: PairSpec, file: Path) -> PairSpec:
    """The pair with what such a file has, if that was measured of its models."""
    _, measured = parse_models_toml(_users(file), printable(str(file)))
    found = measured.get(pair.name)
    if found is None or (found.draft, found.target) != (pair.draft, pair.target):
        return pair
    return msgspec.structs.replace(
        pair,
        calibrations=pair.calibrations | found.calibrations,
        profile=found.profile or pair.profile,
    )


def resolve_pair(
    registry: Registry, *, pair: str, draft: str | None, target: str | None
) -> PairSpec:
    """The pair a run uses, with models given by hand in place of the pair's.

    Calibrations belong to both models: the result is the pair that has these two, else one
    named ``custom``. Raises ``ModelNotFoundError`` for an unknown name.
    """
    base = registry.pair(pair)
    chosen = (draft or base.draft, target or base.target)
    for name in chosen:
        registry.model(name)
    named = (one for one in (base, *registry.pairs.values()) if (one.draft, one.target) == chosen)
    return next(named, PairSpec(name=CUSTOM_PAIR, draft=chosen[0], target=chosen[1]))


def _shipped() -> bytes:
    """Our ``models.toml``: inside the installed package, or beside it in a checkout."""
    packaged = importlib.resources.files("ssr_local") / FILE_NAME
    if packaged.is_file():
        return packaged.read_bytes()
    return (Path(__file__).resolve().parents[2] / FILE_NAME).read_bytes()


def _check_pairs(models: Mapping[str, ModelSpec], pairs: Iterable[PairSpec], where: str) -> None:
    for pair in pairs:
        for role, name in (("draft", pair.draft), ("target", pair.target)):
            if name not in models and not _stands_for_itself(name):
                raise ConfigError(
                    f"{where}: pairs.{pair.name}.{role} cannot be {name!r}.",
                    f"There is no model of that name.{_closest(name, models)}",
                    "Accepted: a model's name, the path of a .gguf file, or USER/REPO:Q4_K_M.",
                )


def _check_file_clashes(models: Iterable[ModelSpec], where: str) -> None:
    """Two different models in one file would overwrite each other."""
    taken: dict[str, ModelSpec] = {}
    for spec in models:
        if spec.in_place is not None:
            continue
        other = taken.setdefault(spec.file.casefold(), spec)
        if other is not spec and (other.sha256, other.sources) != (spec.sha256, spec.sources):
            raise ConfigError(
                f"{where}: models.{spec.name}.file is also the file of models.{other.name}.",
                "Two different models cannot share one file.",
            )


def _users(path: Path) -> bytes:
    try:
        return read_bounded(path, MAX_TOML_BYTES)
    except FileNotFoundError:
        return b""


def _stands_for_itself(name: str) -> bool:
    return _is_gguf_path(name) or name.startswith(_OLLAMA) or parse_reference(name) is not None


def _is_gguf_path(text: str) -> bool:
    return text.lower().endswith(".gguf") and "\0" not in text


def _spec_of_path(text: str) -> ModelSpec:
    path = Path(os.path.expanduser(text)).absolute()  # noqa: PTH111  Path's raises without a home
    try:
        found = path.is_file()
    except OSError:
        found = False
    if not found:
        raise ModelNotFoundError(
            f"There is no model file {text!r}.", "", "Give the path of an existing .gguf file."
        )
    names = part_names(path.name)
    if names[0] != path.name:
        first = path.with_name(names[0])
        raise ModelNotFoundError(
            f"{text!r} is a later part of a split model.", "", f"Give the first: {first}"
        )
    return ModelSpec(
        name=path.stem,
        file=path.name,
        sources=(FileSource(path=str(path), in_place=True),),
        parts=(PartSpec(),) * len(names) if len(names) > 1 else (),
    )


def _spec_from_ollama(name: str) -> ModelSpec:
    there = {one.name: one for one in found_files() if one.origin == "Ollama"}
    wanted = name.removeprefix(_OLLAMA)
    found = there.get(wanted) or there.get(f"{wanted}:latest")
    if found is None:
        raise ModelNotFoundError(
            f"Ollama has no model {wanted!r}.{_closest(wanted, there)}",
            f"It has: {', '.join(there) or 'none on this machine'}.",
            f"Run: ollama pull {wanted}",
        )
    source = FileSource(path=str(found.path), in_place=True)
    return ModelSpec(name=name, file=found.path.name, sources=(source,))


def _not_found(kind: str, name: str, known: Iterable[str]) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"There is no {kind} named {name!r}.{_closest(name, known)}",
        "",
        "See them all: ssr-local models list",
    )


def _closest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    return f" Did you mean: {', '.join(close)}?" if close else ""
