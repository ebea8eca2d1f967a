"""What a hub reference stands for: which files, their hashes and sizes, under which licence."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from ssr_local.core.display import human_bytes, one_line
from ssr_local.core.errors import DownloadError, ModelNotFoundError
from ssr_local.models.download.hub import (
    CONNECT_TIMEOUT_S,
    find_remote,
    hub_endpoint,
    hub_errors,
    hub_page,
)
from ssr_local.models.download.sources import SourceError
from ssr_local.models.models_file import HubSource, ModelSpec, PartSpec, is_plain_name
from ssr_local.models.references import Reference, parse_reference, remember
from ssr_local.models.split import part_names

USUAL = "Q4_K_M"
"""The quantisation that is taken when none is named."""

_QUANT = re.compile(
    r"(?<![A-Z0-9])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP4|BF16|FP?16|FP?32))(?![A-Z0-9])"
)
_UNKNOWN_BITS, _USUAL_BITS = 99, 4.4  # a little more than 4: of 3 and 5 bits 5 is nearer
_NO_MODEL = re.compile(r"mmproj|^imatrix|[-._]imatrix\.gguf$", re.IGNORECASE)
_SHOWN_NAMES = 30


class HubModel(Struct, frozen=True):
    """A model in a repository: its files in order, their ``parts``, and its quantisation."""

    files: tuple[str, ...]
    parts: tuple[PartSpec, ...]

    @property
    def quant(self) -> str:
        """What the name says, such as ``Q4_K_M``; the file's name before the folder's."""
        folder, _, name = self.files[0].upper().rpartition("/")
        found = _QUANT.findall(name) or _QUANT.findall(folder)
        return _short(found[-1]) if found else ""

    @property
    def size(self) -> tuple[int, int]:
        """Bits for each weight, as the name says it, and bytes."""
        bits = re.search(r"\d+", self.quant)
        number = int(bits[0]) if bits else _UNKNOWN_BITS
        return number, sum(part.bytes or 0 for part in self.parts)

    @property
    def distance(self) -> tuple[float, bool, int]:
        """How far it is from the usual choice: bits, kind, and the larger one first."""
        bits, num_bytes = self.size
        return abs(bits - _USUAL_BITS), "_K" not in self.quant, -num_bytes


def resolved(spec: ModelSpec, say: Callable[[str], None] | None = None) -> ModelSpec:
    """The model itself; of a reference that is new here, what the hub has, which is remembered.

    ``say`` is told what that is. Raises ``ModelNotFoundError`` (no such quantisation or file) or
    ``DownloadError`` (the hub cannot be asked, or refuses).
    """
    reference = None if spec.sources else parse_reference(spec.name)
    if reference is None:
        return spec
    found = _ask_hub(reference)
    remember(reference, found)
    if say is not None:
        say(in_words(found))
    return found


def in_words(spec: ModelSpec) -> str:
    """A referenced model in a line: its file, size and licence."""
    more = f" and {len(spec.parts) - 1} more" if spec.parts else ""
    size = human_bytes(spec.num_bytes) if spec.num_bytes else "size not known"
    note = f"; {spec.note}" if spec.note else ""
    licence = spec.licence or "not said"
    file = spec.file.rpartition("/")[2]
    return f"{spec.name} is {file}{more}, {size}, licence: {licence}{note}"


def _ask_hub(reference: Reference) -> ModelSpec:
    from huggingface_hub import HfApi

    try:
        with hub_errors(reference.repo):
            info = HfApi(endpoint=hub_endpoint()).model_info(
                reference.repo, files_metadata=True, timeout=CONNECT_TIMEOUT_S
            )
        spec = _spec_of(reference, info)
        if info.gated:  # its list of files is public, the files are not
            source = spec.sources[0]
            assert isinstance(source, HubSource)
            find_remote(source)
    except SourceError as error:
        raise DownloadError(
            f"{reference.name} is not on this machine, and cannot be had from the hub.",
            f"{str(error)[:1].upper()}{str(error)[1:]}.",
            _next_step(reference, error.__cause__),
        ) from error
    return spec


def _next_step(reference: Reference, cause: BaseException | None) -> str:
    from huggingface_hub.errors import (
        GatedRepoError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    pull = f"run: ssr-local models pull {shlex.quote(reference.name)}"
    if isinstance(cause, GatedRepoError):
        return f"Then {pull}"
    if isinstance(cause, RepositoryNotFoundError):
        return f"Check its name: {hub_page(reference.repo)}"
    if isinstance(cause, OfflineModeIsEnabled):
        return f"Unset it and {pull}"
    return f"When it can be reached, {pull}"


def _spec_of(reference: Reference, info: Any) -> ModelSpec:
    """The model that a reference names, of what ``model_info`` says of its repository."""
    models = _models_of(info)
    if not models:
        raise ModelNotFoundError(
            f"{reference.repo} has no GGUF file.",
            "Such files are often in a repository of their own, named -GGUF.",
            f"Look for it on {hub_page(reference.repo)}",
        )
    model, note = _chosen(reference, models)
    same_quant = [one for one in models if one.quant == model.quant]
    tag = model.quant if len(same_quant) == 1 and model.quant else model.files[0]
    named = parse_reference(str(info.id)) or reference
    repo = Reference(named.repo, model.files[0] if reference.is_file else tag)
    revision = str(info.sha) if re.fullmatch("[0-9a-f]{40}", str(info.sha)) else "main"
    single = model.parts[0] if len(model.parts) == 1 else PartSpec()
    return ModelSpec(
        name=repo.name,
        file=f"{repo.folder}/{model.files[0]}",
        sources=(HubSource(repo=repo.repo, file=model.files[0], revision=revision),),
        bytes=single.bytes,
        sha256=single.sha256,
        parts=model.parts if len(model.parts) > 1 else (),
        licence=_licence(info),
        note=note,
    )


def _models_of(info: Any) -> list[HubModel]:
    """The models of a repository, split ones only when all their files are there."""
    parts = {
        one.rfilename: _part_of(one)
        for one in info.siblings or ()
        if one.rfilename.lower().endswith(".gguf")
        and all(is_plain_name(name) for name in one.rfilename.split("/"))
        and not _NO_MODEL.search(one.rfilename.rpartition("/")[2])
    }
    models = []
    for file in sorted(parts):
        names = part_names(file)
        if names[0] == file and all(name in parts for name in names):
            models.append(HubModel(tuple(names), tuple(parts[name] for name in names)))
    return sorted(models, key=lambda one: one.size)


def _part_of(sibling: Any) -> PartSpec:
    size, digest = sibling.size, getattr(sibling.lfs, "sha256", None)
    sound = isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)
    return PartSpec(
        bytes=size if isinstance(size, int) and size > 0 else None,
        sha256=digest if sound else None,
    )


def _chosen(reference: Reference, models: list[HubModel]) -> tuple[HubModel, str]:
    """The model that is meant, and a remark when it is not the usual one."""
    if reference.is_file:
        wanted = reference.tag
        found = [one for one in models if wanted in one.files]
        found = found or [
            one for one in models if wanted in [file.rpartition("/")[2] for file in one.files]
        ]
    else:
        quant = _short(reference.tag or USUAL)
        found = [one for one in models if one.quant == quant]
        found = found or [one for one in models if one.quant == f"UD-{quant}"]
        # A maker's own suffix, as in Q4_K_M_imat.
        longer = re.compile(rf"{re.escape(quant)}[_-][A-Z]{{3,}}")
        found = found or [one for one in models if longer.match(one.quant)]
    note = ""
    if not found and not reference.tag:
        note = f"the repository has no {USUAL}"
        found = [min(models, key=lambda one: one.distance)]
    if not found:
        there = [one.files[0] if reference.is_file else one.quant or one.files[0] for one in models]
        near = there[models.index(min(models, key=lambda one: one.distance))]
        command = f"ssr-local models pull {shlex.quote(f'{reference.repo}:{near}')}"
        raise ModelNotFoundError(
            f"{reference.repo} has no {reference.tag}.",
            f"It has: {_listed(there)}.",
            f"Give one of them: {command}",
        )
    if len(found) > 1:
        there = [one.files[0] for one in found]
        command = f"ssr-local models pull {shlex.quote(f'{reference.repo}:{there[0]}')}"
        raise ModelNotFoundError(
            f"{reference.name} stands for {len(found)} models.",
            f"They are: {_listed(there)}.",
            f"Give one of the files: {command}",
        )
    return found[0], note


def _short(quant: str) -> str:
    return re.sub(r"^FP(?=\d)", "F", quant)


def _listed(names: list[str]) -> str:
    shown = list(dict.fromkeys(names))
    more = f" and {len(shown) - _SHOWN_NAMES} more" if len(shown) > _SHOWN_NAMES else ""
    return one_line(", ".join(shown[:_SHOWN_NAMES])) + more


def _licence(info: Any) -> str:
    """The card's licence; another one's name, where the card says "other"."""
    card = info.card_data.to_dict() if info.card_data else {}
    licence = card.get("license_name") if card.get("license") == "other" else card.get("license")
    licence = licence or card.get("license") or ""
    return one_line(", ".join(licence) if isinstance(licence, list) else str(licence), 60)
