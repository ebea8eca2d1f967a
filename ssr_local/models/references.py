"""Models of the Hugging Face hub by reference, such as ``USER/REPO:Q4_K_M``.

What one stands for is asked of the hub once (``download.resolving``), and remembered in the data
folder like an entry of the user's own ``models.toml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from filelock import FileLock
from msgspec import Struct

from ssr_local.core import folders
from ssr_local.core.errors import ConfigError, DownloadError
from ssr_local.core.toml_file import printable, reason_of
from ssr_local.models.models_file import HubSource, ModelSpec, has_control, is_safe_member
from ssr_local.models.split import part_names

FILE_NAME = "hub-models.json"

_PREFIX = re.compile(r"^(?:https?://)?(?:www\.)?(?:hf\.co|huggingface\.co)/", re.IGNORECASE)
_NAME = r"[A-Za-z0-9][\w.-]*"
_REFERENCE = re.compile(
    rf"(?![^:]*(?:--|\.\.))({_NAME}/{_NAME})(?::([^:\\\s]+|[^:\\\x00-\x1f]+\.gguf))?", re.ASCII
)

_PAGE = re.compile(rf"({_NAME}/{_NAME})/(?:blob|resolve)/main/([^?#:]+\.gguf)(?:[?#].*)?", re.ASCII)


class Reference(Struct, frozen=True):
    """A repository, and a quantisation or a file in it; "" leaves the choice to us."""

    repo: str
    tag: str = ""

    @property
    def name(self) -> str:
        """The reference in its shortest form."""
        return f"{self.repo}:{self.tag}" if self.tag else self.repo

    @property
    def is_file(self) -> bool:
        """Whether a file is named, not a quantisation."""
        return self.tag.lower().endswith(".gguf")

    @property
    def folder(self) -> str:
        """The folder for its files in the models folder: repositories share names of files."""
        return self.repo.replace("/", "--")


class Remembered(Struct, frozen=True, forbid_unknown_fields=True):
    """What the hub has said: models by name, and names of references as they were given."""

    models: dict[str, ModelSpec] = {}
    names: dict[str, str] = {}


def parse_reference(text: str) -> Reference | None:
    """The reference, None where the text is none.

    ``a/b.gguf`` is a path. Nothing is asked of anybody.
    """
    short = _PREFIX.sub("", text).rstrip("/")
    if page := _PAGE.fullmatch(short):  # a file's address, as a browser shows it
        short = f"{page[1]}:{page[2]}"
    match = _REFERENCE.fullmatch(short)
    if match is None or (short == text and not match[2] and text.lower().endswith(".gguf")):
        return None
    repo, tag = match[1], match[2] or ""
    if tag.lower() == "latest":  # as Ollama has it
        tag = ""
    return Reference(repo, tag if tag.lower().endswith(".gguf") else tag.upper())


def unresolved(reference: Reference) -> ModelSpec:
    """The model before the hub was asked: nothing is known, and nothing is here."""
    file = f"{reference.folder}/{reference.tag.replace('/', '--') or 'any'}.unresolved"
    return ModelSpec(name=reference.name, file=file, sources=())


def remembered(folder: Path | None = None) -> Remembered:
    """What this data folder, or another, remembers, without what the hub cannot have said.

    Raises ``ConfigError`` when the file is damaged.
    """
    path = (folder or folders.data_dir()) / FILE_NAME
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Remembered)
        sound = {name: spec for name, spec in found.models.items() if _is_sound(name, spec)}
        return Remembered(sound, {a: b for a, b in found.names.items() if b in sound})
    except FileNotFoundError:
        return Remembered()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{printable(str(path))} cannot be read.",
            f"{reason_of(error)}.",
            "Remove it: the hub is then asked again for the models in it.",
        ) from error


def _is_sound(name: str, spec: ModelSpec) -> bool:
    """Whether the hub can have said it: a memory stick's memory may be anybody's."""
    reference = parse_reference(name)
    if reference is None or len(spec.sources) != 1 or not isinstance(spec.sources[0], HubSource):
        return False
    source = spec.sources[0]
    return (
        name == spec.name
        and source.repo == reference.repo
        and is_safe_member(source.file)
        and spec.file == f"{reference.folder}/{source.file}"
        and len(part_names(spec.file)) == (len(spec.parts) or 1)
        and not has_control(spec.licence + spec.note)
        # What only we say of models, and the engines' proof rests on.
        and not (spec.checked or spec.perplexity or spec.gsm8k)
    )


def remember(asked: Reference, spec: ModelSpec) -> None:
    """Keep what a reference stands for. Raises ``DownloadError`` when it cannot be kept."""
    if not _is_sound(spec.name, spec):
        raise DownloadError(
            f"{printable(spec.name)} cannot be taken from the hub.",
            "The name of its repository or file is not one that is safe here.",
            "Download the file yourself, and give its path.",
        )
    with _to_change() as old:
        names = old.names if asked.name == spec.name else old.names | {asked.name: spec.name}
        _write(Remembered(old.models | {spec.name: spec}, names))


def adopt(folder: Path) -> None:
    """Remember what another data folder does, on a memory stick say. Raises like the others."""
    other = remembered(folder)
    if other.models:
        with _to_change() as old:
            # Names that stand for another repository are only the hub's to give.
            names = {a: b for a, b in other.names.items() if _repo(a) == _repo(b)}
            _write(Remembered(other.models | old.models, names | old.names))


def _repo(name: str) -> str:
    reference = parse_reference(name)
    return reference.repo.casefold() if reference else ""


def forget(name: str) -> bool:
    """Drop a model that is remembered; false when it is none."""
    if name not in remembered().models:
        return False
    with _to_change() as old:
        models = {one: spec for one, spec in old.models.items() if one != name}
        names = {given: one for given, one in old.names.items() if one != name}
        _write(Remembered(models, names))
    return True


@contextmanager
def _to_change() -> Iterator[Remembered]:
    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{FILE_NAME}.lock"), timeout=10):
            yield remembered()
    except OSError as error:
        raise DownloadError(
            f"{printable(str(path))} cannot be written.",
            f"{reason_of(error)}.",
            "Set SSR_LOCAL_DATA_DIR to a folder you can write to.",
        ) from error


def _write(new: Remembered) -> None:
    folders.write_atomically(_path(), msgspec.json.format(msgspec.json.encode(new), indent=1))


def _path() -> Path:
    return folders.data_dir() / FILE_NAME
