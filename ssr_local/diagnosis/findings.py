"""What the doctor finds, one thing at a time, by section."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from ssr_local.core.display import one_line
from ssr_local.core.errors import ModelError, SSRError, UsageError

State = Literal["ok", "warning", "problem"]
SectionName = Literal["machine", "configuration", "engine", "models", "speed"]

_SECTIONS: tuple[SectionName, ...] = ("machine", "configuration", "engine", "models", "speed")


class Finding(Struct, frozen=True):
    """One thing looked at: how it is, and what to do about it when that is not well."""

    name: str
    state: State
    value: str
    advice: str = ""


def advised(name: str, value: str, advice: str) -> Finding:
    """A finding that is a warning exactly when there is something to advise."""
    return Finding(name, "warning" if advice else "ok", value, advice)


class Section(Struct, frozen=True):
    """Findings that belong together."""

    name: SectionName
    findings: tuple[Finding, ...]


class Book:
    """Findings as they come in, by section."""

    def __init__(self) -> None:
        self._findings: dict[SectionName, list[Finding]] = {name: [] for name in _SECTIONS}

    def add(self, section: SectionName, *found: Finding) -> None:
        """Enter findings after those the section has."""
        self._findings[section].extend(found)

    def add_error(self, name: str, error: SSRError, state: State = "problem") -> None:
        """An error as a finding, in the section that its kind belongs to."""
        section: SectionName = "models" if isinstance(error, ModelError) else "engine"
        if isinstance(error, UsageError):
            section = "configuration"
        value = one_line(f"{error.what} {error.why}")
        self.add(section, Finding(name, state, value, one_line(error.next_step)))

    def sections(self) -> tuple[Section, ...]:
        """What was found so far, without sections that have nothing."""
        return tuple(Section(name, tuple(found)) for name, found in self._findings.items() if found)


def short(name: str) -> str:
    """A name from outside as a finding shows it."""
    return one_line(name, 60)
