"""Settings as they are changed and said in the plain mode's conversation."""

from __future__ import annotations

from collections.abc import Iterator

from ssr_local.core.config import OPTION_NAMES, Setting, Settings, checked, unknown_option
from ssr_local.core.display import one_line
from ssr_local.core.errors import UsageError
from ssr_local.core.options import EngineOptions, SolveOptions, with_changes

_NOTHING = "none"
"""What is typed, and said, for an option that has no value."""


def changed(settings: Settings, name: str, text: str) -> tuple[Settings, Setting]:
    """The settings with one option set to what was typed, and that option.

    Raises ``UsageError`` for an unknown name (``max-tokens`` is ``max_tokens``) and for a value
    that is not accepted, in the command line's words.
    """
    key = name.replace("-", "_")
    if key not in OPTION_NAMES:
        raise unknown_option(name)
    solve, engine = settings.solve, settings.engine
    is_engines = key in EngineOptions.__struct_fields__
    default = getattr(EngineOptions() if is_engines else SolveOptions(), key)
    value = None
    if text.lower() != _NOTHING or default is not None:
        value = checked(key, text, f"Option {key!r}", UsageError, strict=False)
    if is_engines:
        engine = with_changes(engine, **{key: value})
    else:
        solve = with_changes(solve, **{key: value})
    fresh = Setting(key, value, "option")
    origins = tuple(fresh if one.name == key else one for one in settings.origins)
    return Settings(solve, engine, origins, settings.warnings), fresh


def lines_of(settings: Settings) -> Iterator[str]:
    """Every option in force, and where its value is from."""
    for setting in settings.origins:
        shown = _NOTHING if setting.value is None else setting.value
        yield one_line(f"{setting.name}: {shown} ({setting.origin})")
