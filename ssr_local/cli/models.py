"""``ssr-local models``: list, fetch, check and remove model files.

Results go to standard output; progress and remarks to standard error, progress only
when that is a terminal.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec.structs import replace

from ssr_local.cli import recommend
from ssr_local.cli.at_work import remark
from ssr_local.cli.parameters import complete_names
from ssr_local.cli.progress import progress_shown
from ssr_local.core.display import human_bytes, printable
from ssr_local.core.errors import (
    Interrupted,
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
)
from ssr_local.engine.prefixes import kept_files, remove_kept
from ssr_local.models.download import (
    check_room,
    copy_to_own,
    ensure_model,
    file_sha256,
    known_sha256,
    local_path,
    local_state,
    remove_model,
    resolved,
    to_fetch,
    verified_path,
)
from ssr_local.models.elsewhere import FoundFile, found_files
from ssr_local.models.models_file import FileSource, ModelSpec, PairSpec
from ssr_local.models.references import adopt, forget, parse_reference
from ssr_local.models.registry import Registry, load_registry

if TYPE_CHECKING:
    from rich.table import Table


@click.group(name="models")
def command() -> None:
    """List, fetch, check and remove model files."""


command.add_command(recommend.command, "recommend")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_models(as_json: bool) -> None:
    """Show all models and pairs, and what of them is on this machine."""
    registry = load_registry()
    if as_json:
        click.echo(_as_json(registry))
    else:
        _print_tables(registry)


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_names)
@click.option(
    "--from",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Copy the files from this folder; nothing is downloaded.",
)
@click.option(
    "--own", is_flag=True, help="Copy also what another program has into ssr-local's own folder."
)
def pull(names: tuple[str, ...], folder: Path | None, own: bool) -> None:
    """Fetch models, or all models of pairs; the default pair when no NAME is given.

    NAME may be a repository of the Hugging Face hub: USER/REPO:Q4_K_M, USER/REPO:FILE.gguf, or
    USER/REPO for the usual quantisation.

    An interrupted download goes on where it stopped. A damaged file is fetched again.
    """
    if folder is not None:
        adopt(folder.absolute().parent)
    specs = [resolved(spec) for spec in _specs(load_registry(), names or ("default",))]
    if folder is not None:
        specs = [replace(spec, sources=(_copy_of(spec, folder),)) for spec in specs]
    for spec in specs if own or folder is not None else ():
        copy_to_own(spec, remark)
    if missing := to_fetch(specs, ask_hub=True):
        remark(f"To fetch: {missing}.")
        check_room(specs)
    for spec in specs:
        try:
            with progress_shown() as show:
                path = ensure_model(spec, on_progress=show, on_notice=remark, repair=True)
        except KeyboardInterrupt as error:
            raise Interrupted(
                "Stopped.",
                "What was fetched so far is kept.",
                f"Go on: ssr-local models pull {shlex.quote(spec.name)}",
            ) from error
        click.echo(f"{spec.name}: {path}")


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_names)
def verify(names: tuple[str, ...]) -> None:
    """Hash model files again and compare; all that are here when no NAME is given."""
    registry = load_registry()
    specs = _specs(registry, names or tuple(registry.models))
    if not names:
        specs = [spec for spec in specs if local_path(spec).is_file()]
        if not specs:
            remark("No models on this machine yet. Fetch the default pair: ssr-local models pull")
    errors: list[ModelError] = []
    for spec in specs:
        published = known_sha256(spec)
        try:
            with progress_shown() as show:
                path = verified_path(spec, on_progress=show, again=True)
        except ModelError as error:
            errors.append(error)
            damaged = isinstance(error, ModelDamagedError)
            click.echo(f"{spec.name}: {'damaged' if damaged else 'not usable'}")
        else:
            click.echo(f"{spec.name}: {'ok' if published else 'no published hash'} ({path})")
    _raise_first(errors)


@command.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_names)
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(names: tuple[str, ...], yes: bool) -> None:
    """Remove the files of models, finished or not."""
    for spec in _specs(load_registry(), names):
        here = local_state(spec)
        if (here.state == "missing" or here.origin) and forget(spec.name):
            kept = f"; its file belongs to {here.origin}" if here.origin else ""
            click.echo(f"{spec.name}: forgotten{kept}")
        elif here.state == "missing":
            remark(f"{spec.name} is not on this machine.")
        elif here.origin:
            remove_model(spec)  # refuses, and says whose it is
        elif yes or click.confirm(
            f"Remove {local_path(spec)} ({human_bytes(here.present_bytes)})?", err=True
        ):
            prefilled = kept_files(local_path(spec), file_sha256(spec) or known_sha256(spec))
            freed = remove_model(spec) + remove_kept(prefilled)
            click.echo(f"{spec.name}: removed, {human_bytes(freed)} freed")


@command.command()
@click.argument("name", shell_complete=complete_names)
def path(name: str) -> None:
    """Print the path of a model's file."""
    click.echo(str(verified_path(load_registry().model(name))))


def _copy_of(spec: ModelSpec, folder: Path) -> FileSource:
    """The file there; a reference's may also stand without the folder of its repository."""
    path = folder.absolute() / spec.file
    return FileSource(path=str(path if path.is_file() else folder.absolute() / path.name))


def _raise_first(errors: list[ModelError]) -> None:
    """The error of one damaged model, or one that names them all."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ModelDamagedError(
            f"{len(errors)} models cannot be used.",
            " ".join(error.what for error in errors),
            "Fetch them again: ssr-local models pull NAME",
        )


def _specs(registry: Registry, names: Iterable[str]) -> list[ModelSpec]:
    """The models of these names, pairs being replaced by their two, each model once."""
    found: dict[str, ModelSpec] = {}
    for name in names:
        pair = registry.pairs.get(name) if name not in registry.models else None
        members = [name] if pair is None else [pair.draft, pair.target]
        found |= {member: _model_or_close(registry, member) for member in members}
    return list(found.values())


def _model_or_close(registry: Registry, name: str) -> ModelSpec:
    try:
        return registry.model(name)
    except ModelNotFoundError as error:
        pairs = ", ".join(registry.pairs)
        raise ModelNotFoundError(
            error.what, error.why or f"Pairs are: {pairs}.", error.next_step
        ) from error


def _as_json(registry: Registry) -> str:
    """All models and pairs, and what other programs keep; sizes in bytes."""
    models = [_model_fields(spec) for spec in registry.models.values()]
    pairs = [
        {
            "name": pair.name,
            "draft": pair.draft,
            "target": pair.target,
            "for_whom": pair.for_whom,
            "good_at": pair.good_at,
            "tested": pair.tested,
            "missing_bytes": _missing_bytes(registry, pair),
            "calibrations": list(pair.calibrations),
        }
        for pair in registry.pairs.values()
    ]
    others = [
        {"origin": one.origin, "name": one.name, "path": str(one.path), "bytes": one.bytes}
        for one in found_files()
    ]
    report = {"models": models, "pairs": pairs, "others": others}
    return msgspec.json.format(msgspec.json.encode(report)).decode()


def _missing_bytes(registry: Registry, pair: PairSpec) -> int | None:
    """How much of a pair is still to be fetched; None when that is not known here."""
    known = [
        registry.model(name)
        for name in (pair.draft, pair.target)
        if name in registry.models or parse_reference(name)
    ]
    missing = to_fetch(known)
    return None if missing.unknown else missing.num_bytes


def _model_fields(spec: ModelSpec) -> dict[str, Any]:
    here = local_state(spec)
    return {
        "name": spec.name,
        "state": here.state,
        "checked": here.checked,
        "origin": here.origin,
        "file": spec.file,
        "path": str(here.path),
        "present_bytes": here.present_bytes,
        "total_bytes": here.total_bytes,
        "licence": spec.licence,
        "parameters": spec.parameters,
        "context": spec.context,
        "note": spec.note,
        "sources": [source.label for source in spec.sources],
        "sha256": known_sha256(spec),
    }


def _print_tables(registry: Registry) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Without a terminal no line may be folded: another program reads it.
    console = Console(width=None if sys.stdout.isatty() else 400)
    models = Table("model", "state", "size", "licence", "parameters", "note", box=None)
    for spec in registry.models.values():
        here = local_state(spec)
        size = "?" if here.total_bytes is None else human_bytes(here.total_bytes)
        if here.state == "missing" and here.total_bytes is None and spec.approximate_bytes:
            size = f"about {human_bytes(spec.approximate_bytes)}"
        state: str = here.state
        if state == "partial":
            state = f"partial ({human_bytes(here.present_bytes)} of {size})"
        elif state == "present" and here.origin:
            state = f"present ({here.origin})"
        elif state == "present" and not here.checked:
            state = "present (unchecked)"
        parameters = "?" if spec.parameters is None else f"{spec.parameters / 1e9:.2f} B"
        row = (spec.name, state, size, spec.licence, parameters, spec.note)
        models.add_row(*(Text(cell) for cell in row))
    console.print(models)
    console.print()
    console.print(_pairs(registry.pairs.values()))
    if not all(pair.calibrations for pair in registry.pairs.values()):
        remark(
            "A pair that is not calibrated works; its steps are scored relative to the run's own."
            " To calibrate one: ssr-local bench calibrate --pair NAME (takes hours)."
        )
    if others := found_files():
        console.print()
        console.print(_others(others))


def _pairs(pairs: Iterable[PairSpec]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("pair", "draft", "target", "for whom", "good at", "state", box=None)
    for pair in pairs:
        lacks = ("" if pair.tested else "untested", "" if pair.calibrations else "not calibrated")
        state = ", ".join(filter(None, lacks))
        row = (pair.name, pair.draft, pair.target, pair.for_whom, pair.good_at, state)
        table.add_row(*(Text(cell) for cell in row))
    return table


def _others(found: Iterable[FoundFile]) -> Table:
    """What other programs keep; the last column is what ``--draft`` and ``--target`` take."""
    from rich.table import Table
    from rich.text import Text

    table = Table("kept by", "model", "size", "to use it", box=None)
    for one in found:
        use = f"ollama:{one.name}" if one.origin == "Ollama" else str(one.path)
        row = (one.origin, one.name, human_bytes(one.bytes), use)
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table
