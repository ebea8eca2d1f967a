"""Settings as they are changed and said in the plain mode's conversation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

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

_Options = TypeVar("_Options", SolveOptions, EngineOptions)
_NOTHING = "none"
"""What is typed, and said, for an option that has no value."""


def changed(settings: Settings, name: str, text: str) -> tuple[Settings, Setting]:
    """The settings with one option set to what was typed, and that option.

    Raises ``UsageError`` for an unknown name (``max-tokens`` is ``max_tokens``) and for a value
    that is not accepted, in the command line's words.
    """
    key = name.replace("-", "_")
    if key not in OPTION_NAMES:
        raise UsageError(
            f"There is no option {quoted(name)}.",
            why_not_offered(key) or f"Options are: {', '.join(OPTION_NAMES)}.",
            suggestion(key, OPTION_NAMES),
        )
    if why := why_not_offered(key, text):
        raise UsageError(f"Option {key!r} cannot be {quoted(text)}.", why)
    solve, engine = settings.solve, settings.engine
    if key in SolveOptions.__struct_fields__:
        solve = _with(solve, key, text)
    else:
        engine = _with(engine, key, text)
    fresh = Setting(key, getattr(solve, key, getattr(engine, key, None)), "option")
    origins = tuple(fresh if one.name == key else one for one in settings.origins)
    return Settings(solve, engine, origins, settings.warnings), fresh


def _with(options: _Options, key: str, text: str) -> _Options:
    kind = type(options)
    if text.lower() == _NOTHING and getattr(kind(), key) is None:
        return with_changes(options, **{key: None})
    typed = validate(kind, {key: text}, strict=False)
    return with_changes(options, **{key: getattr(typed, key)})


def lines_of(settings: Settings) -> Iterator[str]:
    """Every option in force, and where its value is from."""
    for setting in settings.origins:
        shown = _NOTHING if setting.value is None else setting.value
        yield one_line(f"{setting.name}: {shown} ({setting.origin})")
