"""Settings as they are changed and said in the plain mode's conversation."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ssr_local.core.config import OPTION_NAMES, Setting, Settings, suggestion
from ssr_local.core.display import one_line, quoted
from ssr_local.core.errors import UsageError
from ssr_local.core.options import (
    EngineOptions,
    SolveOptions,
    validate,
    why_not_offered,
    with_changes,
)

_NOTHING = "none"
"""What is typed, and said, for an option that has no value."""


def changed(settings: Settings, name: str, text: str) -> Settings:
    """The settings with one option set to what was typed.

    Raises ``UsageError`` for an unknown name (``max-tokens`` is ``max_tokens``) and for a value
    that is not accepted, in the command line's words.
    """
    key = _key(name)
    value = value_of(name, text)
    solve, engine = settings.solve, settings.engine
    if key in SolveOptions.__struct_fields__:
        solve = with_changes(solve, **{key: value})
    else:
        engine = with_changes(engine, **{key: value})
    fresh = Setting(key, value, "option")
    origins = tuple(fresh if one.name == key else one for one in settings.origins)
    return msgspec.structs.replace(settings, solve=solve, engine=engine, origins=origins)


def value_of(name: str, text: str) -> str | int | float | bool | None:
    """What was typed as the option's value; None for "none" where an option may be unset.

    Raises like ``changed``.
    """
    key = _key(name)
    if why := why_not_offered(key, text):
        raise UsageError(f"Option {key!r} cannot be {quoted(text)}.", why)
    kind = SolveOptions if key in SolveOptions.__struct_fields__ else EngineOptions
    if text.lower() == _NOTHING and getattr(kind(), key) is None:
        return None
    one = (
        validate(SolveOptions, {key: text}, strict=False)
        if kind is SolveOptions
        else validate(EngineOptions, {key: text}, strict=False)
    )
    value: str | int | float | bool | None = getattr(one, key)
    return value


def lines_of(settings: Settings) -> Iterator[str]:
    """Every option in force, and where its value is from."""
    for setting in settings.origins:
        shown = _NOTHING if setting.value is None else setting.value
        yield one_line(f"{setting.name}: {shown} ({setting.origin})")


def _key(name: str) -> str:
    key = name.replace("-", "_")
    if key not in OPTION_NAMES:
        raise UsageError(
            f"There is no option {quoted(name)}.",
            why_not_offered(key) or f"Options are: {', '.join(OPTION_NAMES)}.",
            suggestion(key, OPTION_NAMES),
        )
    return key
