"""Command-line options made from the fields of the option structs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, get_args, get_type_hints

import click
from click.shell_completion import CompletionItem

from ssr_local.core.errors import SSRError
from ssr_local.core.options import (
    OFFERED,
    SYNONYMS,
    EngineOptions,
    SolveOptions,
    choices,
    describe,
    why_not_offered,
)
from ssr_local.models.registry import load_registry

_F = TypeVar("_F", bound=Callable[..., Any])


def options_of(
    kind: type[SolveOptions] | type[EngineOptions], names: Iterable[str] = ()
) -> Callable[[_F], _F]:
    """A decorator that adds an option for every field (or for ``names``).

    An option that is not given arrives as None, so that other sources of settings count. One
    that is offered no more is refused with what replaces it.
    """
    wanted = list(names) or list(kind.__struct_fields__)

    def decorate(function: _F) -> _F:
        for name in reversed(wanted):
            if name not in OFFERED:
                how: dict[str, Any] = {"hidden": True, "expose_value": False}
                how["callback"] = _refuse_unoffered
            else:
                how = {"type": option_type(kind, name), "help": _help(kind, name)}
                if name in ("pair", "draft", "target"):
                    how["shell_complete"] = complete_names
            function = click.option(f"--{name.replace('_', '-')}", name, **how)(function)
        return function

    return decorate


def complete_names(_: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """Names of models or pairs, and files, that begin with what was typed."""
    try:
        registry = load_registry()
    except SSRError:
        return []
    names: list[str] = [*registry.pairs] if param.name in ("pair", "names") else []
    names += registry.models if param.name != "pair" else []
    found = [CompletionItem(name) for name in names if name.startswith(typed)]
    return found or [CompletionItem(typed, type="file")]


class _Word(click.Choice[str]):
    """One of an option's words; of one that is offered no more it says what replaces it."""

    def __init__(self, option: str, words: Iterable[str]) -> None:
        super().__init__(list(words))
        self._option = option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if why := why_not_offered(self._option, value):
            self.fail(why, param, ctx)
        return super().convert(value, param, ctx)


class _NumberOrWord(click.ParamType[int]):
    """An integer, or a word that stands for one."""

    name = "integer"

    def __init__(self, words: Mapping[str, int]) -> None:
        self._words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value in self._words:
            return self._words[value]
        number: int = click.INT.convert(value, param, ctx)
        return number


def option_type(kind: type[SolveOptions] | type[EngineOptions], name: str) -> click.ParamType[Any]:
    """What an option takes on the command line."""
    words = choices(kind, name)
    if words:
        return _Word(name, words)
    annotation = get_type_hints(kind)[name]
    plain = {annotation, *get_args(annotation)}
    if int in plain:
        return _NumberOrWord(SYNONYMS[name]) if name in SYNONYMS else click.INT
    return click.FLOAT if float in plain else click.STRING


def _refuse_unoffered(_: click.Context, param: click.Parameter, value: Any) -> None:
    if value is not None:
        raise click.BadParameter(why_not_offered(str(param.name)))


def _help(kind: type[SolveOptions] | type[EngineOptions], name: str) -> str:
    default = getattr(kind(), name)
    shown = "" if default is None else f" [default: {default}]"
    return f"{describe(kind, name)}{shown}"
