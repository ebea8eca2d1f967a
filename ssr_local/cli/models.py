"""``ssr-local models``: list, fetch, check and remove model files.

Results go to standard output; progress and remarks to standard error, progress only
when that is a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click
import msgspec
from msgspec import Struct

from ssr_local.cli.progress import progress_shown
from ssr_local.core.display import human_bytes
from ssr_local.core.errors import (
    Interrupted,
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
)
from ssr_local.models.download import (
    check_room,
    ensure_model,
    known_sha256,
    local_path,
    local_state,
    remove_model,
    to_fetch,
    verified_path,
)
from ssr_local.models.models_file import ModelSpec, PairSpec
from ssr_local.models.registry import Registry, load_registry


class ModelRow(Struct, frozen=True, kw_only=True):
    """One model as ``models list --json`` prints it; sizes in bytes."""

    name: str
    state: str
    checked: bool
    file: str
    path: str
    present_bytes: int
    total_bytes: int | None
    licence: str
    parameters: int | None
    context: int | None
    note: str
    sources: tuple[str, ...]
    sha256: str | None


class PairRow(Struct, frozen=True, kw_only=True):
    """One pair as ``models list --json`` prints it."""

    name: str
    draft: str
    target: str
    for_whom: str
    missing_bytes: int | None
    calibrations: tuple[str, ...]


class Listing(Struct, frozen=True):
    """What ``models list --json`` prints."""

    models: tuple[ModelRow, ...]
    pairs: tuple[PairRow, ...]


@click.group(name="models")
def command() -> None:
    """List, fetch, check and remove model files."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_models(as_json: bool) -> None:
    """Show all models and pairs, and what of them is on this machine."""
    listing = _listing(load_registry())
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(listing), indent=2).decode())
    else:
        _print_listing(listing)


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def pull(names: tuple[str, ...]) -> None:
    """Fetch models, or all models of pairs; the default pair when no NAME is given.

    An interrupted download goes on where it stopped. A damaged file is fetched again.
    """
    specs = _specs(load_registry(), names or ("default",))
    if missing := to_fetch(specs, ask_hub=True):
        _remark(f"To fetch: {missing}.")
        check_room(specs)
    for spec in specs:
        try:
            with progress_shown() as show:
                path = ensure_model(spec, on_progress=show, on_notice=_remark, repair=True)
        except KeyboardInterrupt as error:
            raise Interrupted(
                "Stopped.",
                "What was fetched so far is kept.",
                f"Go on: ssr-local models pull {spec.name}",
            ) from error
        click.echo(f"{spec.name}: {path}")


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def verify(names: tuple[str, ...]) -> None:
    """Hash model files again and compare; all that are here when no NAME is given."""
    registry = load_registry()
    specs = _specs(registry, names or tuple(registry.models))
    if not names:
        specs = [spec for spec in specs if local_path(spec).is_file()]
        if not specs:
            _remark("No models on this machine yet. Fetch the default pair: ssr-local models pull")
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
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(names: tuple[str, ...], yes: bool) -> None:
    """Remove the files of models, finished or not."""
    for spec in _specs(load_registry(), names):
        here = local_state(spec)
        if here.state == "missing":
            _remark(f"{spec.name} is not on this machine.")
        elif yes or click.confirm(
            f"Remove {local_path(spec)} ({human_bytes(here.present_bytes)})?", err=True
        ):
            freed = remove_model(spec)
            click.echo(f"{spec.name}: removed, {human_bytes(freed)} freed")


@command.command()
@click.argument("name")
def path(name: str) -> None:
    """Print the path of a model's file."""
    click.echo(str(verified_path(load_registry().model(name))))


def _remark(text: str) -> None:
    click.echo(text, err=True)


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


def _listing(registry: Registry) -> Listing:
    pairs = tuple(
        PairRow(
            name=pair.name,
            draft=pair.draft,
            target=pair.target,
            for_whom=pair.for_whom,
            missing_bytes=_missing_bytes(registry, pair),
            calibrations=tuple(pair.calibrations),
        )
        for pair in registry.pairs.values()
    )
    return Listing(tuple(_model_row(spec) for spec in registry.models.values()), pairs)


def _missing_bytes(registry: Registry, pair: PairSpec) -> int | None:
    """How much of a pair is still to be fetched; None when that is not known here."""
    names = [name for name in (pair.draft, pair.target) if name in registry.models]
    missing = to_fetch(registry.models[name] for name in names)
    return None if missing.unknown else missing.num_bytes


def _model_row(spec: ModelSpec) -> ModelRow:
    here = local_state(spec)
    return ModelRow(
        name=spec.name,
        state=here.state,
        checked=here.checked,
        file=spec.file,
        path=str(here.path),
        present_bytes=here.present_bytes,
        total_bytes=here.total_bytes,
        licence=spec.licence,
        parameters=spec.parameters,
        context=spec.context,
        note=spec.note,
        sources=tuple(source.label for source in spec.sources),
        sha256=known_sha256(spec),
    )


def _print_listing(listing: Listing) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # Without a terminal no line may be folded: another program reads it.
    console = Console(width=None if sys.stdout.isatty() else 400)
    models = Table("model", "state", "size", "licence", "parameters", "note", box=None)
    for model in listing.models:
        size = "?" if model.total_bytes is None else human_bytes(model.total_bytes)
        parameters = "?" if model.parameters is None else f"{model.parameters / 1e9:.2f} B"
        row = (model.name, state_words(model), size, model.licence, parameters, model.note)
        models.add_row(*(Text(cell) for cell in row))
    pairs = Table("pair", "draft", "target", "for whom", box=None)
    for pair in listing.pairs:
        pairs.add_row(*(Text(cell) for cell in (pair.name, pair.draft, pair.target, pair.for_whom)))
    console.print(models)
    console.print()
    console.print(pairs)


def state_words(model: ModelRow) -> str:
    """The state of a model for people."""
    if model.state == "partial":
        total = "?" if model.total_bytes is None else human_bytes(model.total_bytes)
        return f"partial ({human_bytes(model.present_bytes)} of {total})"
    if model.state == "present" and not model.checked:
        return "present (unchecked)"
    return model.state
