"""Model files that other programs keep on this machine. They are read, never touched.

Hugging Face's cache, llama.cpp's, Ollama's store and LM Studio's folders, each where its program
puts it or its environment variable says. Layouts as those programs document them.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from ssr_local.models.split import split_parts

OLLAMA_SERVICE = Path("/usr/share/ollama/.ollama/models")
"""Where Ollama keeps models when it runs as a service of Linux."""

LM_STUDIO = (Path("~/.lmstudio/models"), Path("~/.cache/lm-studio/models"))
"""Where it keeps them since version 0.3.6, and before."""

Origin = Literal["Hugging Face", "llama.cpp", "Ollama", "LM Studio"]

_SHA256 = re.compile("[0-9a-f]{64}")
# A command asks many times, and a large cache takes a tenth of a second to look through.
_MOMENT_S = 2.0
_OLLAMA_MODEL = "application/vnd.ollama.image.model"


class FoundFile(Struct, frozen=True, kw_only=True):
    """A model file of another program.

    ``name`` is what that program calls it, ``file`` the file's name where it was published ("" in
    Ollama's store), ``sha256`` the hash where the store says it. Of a split file it is the first
    part, and ``bytes`` are those of all parts.
    """

    path: Path
    origin: Origin
    name: str
    bytes: int
    file: str = ""
    sha256: str | None = None


def found_files() -> tuple[FoundFile, ...]:
    """All of them, by origin and name; looked for again after a moment.

    What cannot be read is left out.
    """
    return _looked_for(int(time.monotonic() / _MOMENT_S))


@functools.lru_cache(maxsize=1)
def _looked_for(_moment: int) -> tuple[FoundFile, ...]:
    found = [*_hugging_face(), *_llama_cpp(), *_ollama(), *_lm_studio()]
    return tuple(sorted(found, key=lambda one: (one.origin, one.name)))


def _hugging_face() -> Iterator[FoundFile]:
    home = _folder("HF_HOME", _cache_home() / "huggingface")
    for path in _files(_folder("HF_HUB_CACHE", home / "hub"), "models--*/snapshots/*/**/*.gguf"):
        # models--USER--REPO/snapshots/REVISION/FILE is a link to models--USER--REPO/blobs/HASH
        repo = next(part for part in path.parts if part.startswith("models--"))
        name = repo.removeprefix("models--").replace("--", "/")
        blob = path.resolve().name
        known = blob if _SHA256.fullmatch(blob) and split_parts(path) == [path] else None
        yield from _one(path, "Hugging Face", f"{name}/{path.name}", known)


def _llama_cpp() -> Iterator[FoundFile]:
    for path in _files(_folder("LLAMA_CACHE", _llama_cache()), "*.gguf"):
        # USER_REPO_FILE, where any part may have an underscore
        yield from _one(path, "llama.cpp", path.name)


def _lm_studio() -> Iterator[FoundFile]:
    for folder in LM_STUDIO:
        for path in _files(_expanded(folder), "*/*/*.gguf"):
            yield from _one(path, "LM Studio", "/".join(path.parts[-3:]))


def _ollama() -> Iterator[FoundFile]:
    own = _expanded("~/.ollama/models")
    for folder in dict.fromkeys((_folder("OLLAMA_MODELS", own), OLLAMA_SERVICE)):
        for path in _files(folder / "manifests", "*/*/*/*"):
            host, namespace, model, tag = path.parts[-4:]
            name = f"{model}:{tag}" if namespace == "library" else f"{namespace}/{model}:{tag}"
            if host != "registry.ollama.ai":  # as "ollama list" has it
                name = f"{host}/{name}"
            for layer in _layers(path):
                digest = layer.digest.removeprefix("sha256:")
                blob = folder / "blobs" / f"sha256-{digest}"
                if layer.media_type == _OLLAMA_MODEL and _SHA256.fullmatch(digest):
                    yield from _one(blob, "Ollama", name, digest)


class _Layer(Struct, frozen=True, rename={"media_type": "mediaType"}):
    media_type: str = ""
    digest: str = ""


class _Manifest(Struct, frozen=True):
    layers: tuple[_Layer, ...] = ()


def _layers(manifest: Path) -> tuple[_Layer, ...]:
    try:
        return msgspec.json.decode(manifest.read_bytes(), type=_Manifest).layers
    except (OSError, msgspec.DecodeError):
        return ()


def _one(path: Path, origin: Origin, name: str, sha256: str | None = None) -> Iterator[FoundFile]:
    """The file, unless it is a later part of a split one, or not there (a link to nothing)."""
    parts = split_parts(path)
    if parts[0] != path:
        return
    try:
        size = sum(part.stat().st_size for part in parts)
    except OSError:
        return
    file = "" if origin == "Ollama" else path.name
    yield FoundFile(path=path, origin=origin, name=name, bytes=size, file=file, sha256=sha256)


def _files(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in folder.glob(pattern) if path.is_file())
    except OSError:
        return []


def _folder(variable: str, usual: Path) -> Path:
    return _expanded(os.environ.get(variable) or usual)


def _cache_home() -> Path:
    return _expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache")


def _llama_cache() -> Path:
    if sys.platform == "win32":
        return _expanded(os.environ.get("LOCALAPPDATA") or "~/AppData/Local") / "llama.cpp"
    caches = _expanded("~/Library/Caches") if sys.platform == "darwin" else _cache_home()
    return caches / "llama.cpp"


def _expanded(path: str | Path) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111  Path's raises without a home
