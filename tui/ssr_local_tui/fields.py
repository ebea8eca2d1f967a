"""The options as fields to fill in, made from the option structs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct

from ssr_local.core.config import Setting, Settings, checked
from ssr_local.core.errors import UsageError
from ssr_local.core.options import (
    SYNONYMS,
    EngineOptions,
    SolveOptions,
    choices,
    describe,
)
from ssr_local.core.toml_file import printable
from ssr_local.models.registry import DEMO_PAIR

Value: TypeAlias = str | int | float | bool | None

COMMON = ("effort", "method", "paths", "mode", "threshold", "verifier", "pair", "seed")
"""The options that come first; all others follow in their structs' order."""


class Field(Struct, frozen=True):
    """One option to fill in; ``words`` is empty where numbers or text are typed."""

    kind: type[SolveOptions] | type[EngineOptions]
    setting: Setting
    words: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The option's name, as ``validate`` knows it."""
        return self.setting.name

    @property
    def label(self) -> str:
        """The name as people read it."""
        return self.name.replace("_", " ")

    @property
    def default(self) -> Value:
        """What the option is when nobody sets it."""
        value: Value = getattr(self.kind(), self.name)
        return value

    @property
    def text(self) -> str:
        """The value in force, as it would be typed."""
        return self.text_of(self.setting.value)

    @property
    def help(self) -> str:
        """What the option does, its default, and where the value in force came from."""
        default = self.text_of(self.default) or "not set"
        return f"{describe(self.kind, self.name)}. Default: {default}.{self._origin}"

    @property
    def _origin(self) -> str:
        detail = printable(self.setting.detail)
        return {
            "option": " Set for this session.",
            "environment": f" From {detail} in the environment.",
            "config": f" From {detail}.",
            "default": "",
        }[self.setting.origin]

    def text_of(self, value: Value) -> str:
        """A value as it would be typed; nothing typed is None."""
        words = SYNONYMS.get(self.name, {})
        word = next((word for word, number in words.items() if number == value), None)
        return word or ("" if value is None else str(value))

    def read(self, text: str) -> Value:
        """What was typed, as the option takes it. Raises ``UsageError`` as the shell would."""
        if text == self.text:
            return self.setting.value
        if not text and self.default is None:
            return None
        return checked(self.name, text, f"Option {self.name!r}", UsageError, strict=False)

    def error(self, text: str) -> str:
        """What is wrong with what was typed, empty when nothing is."""
        try:
            self.read(text)
        except UsageError as error:
            return error.why or error.what
        return ""


def fields_of(settings: Settings, pairs: Sequence[str]) -> tuple[Field, ...]:
    """A field for every option, ``COMMON`` first; ``pairs`` are the registry's names."""
    fields = {setting.name: _field(setting, pairs) for setting in settings.origins}
    return tuple(fields[name] for name in dict.fromkeys((*COMMON, *fields)))


def _field(setting: Setting, pairs: Sequence[str]) -> Field:
    kind = SolveOptions if setting.name in SolveOptions.__struct_fields__ else EngineOptions
    words = choices(kind, setting.name)
    if setting.name == "pair":
        # The one in force may be a name that the registry does not have any more.
        words = tuple(dict.fromkeys((*pairs, DEMO_PAIR, str(setting.value))))
    return Field(kind, setting, words)
