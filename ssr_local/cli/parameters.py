"""Command-line options made from the fields of the option structs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, get_args, get_type_hints

import click

from ssr_local.core.options import SYNONYMS, EngineOptions, SolveOptions, choices, describe

_F = TypeVar("_F", bound=Callable[..., Any])


def options_of(
    kind: type[SolveOptions] | type[EngineOptions], names: Iterable[str] = ()
) -> Callable[[_F], _F]:
    """A decorator that adds an option for every field (or for ``names``).

    An option that is not given arrives as None, so that other sources of settings count.
    """
    wanted = list(names) or list(kind.__struct_fields__)

    def decorate(function: _F) -> _F:
        for name in reversed(wanted):
            function = click.option(
                f"--{name.replace('_', '-')}",
                name,
                default=None,
                type=_type(kind, name),
                help=_help(kind, name),
            )(function)
        return function

    return decorate


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


def _type(kind: type[SolveOptions] | type[EngineOptions], name: str) -> click.ParamType[Any]:
    words = choices(kind, name)
    if words:
        return click.Choice(words)
    annotation = get_type_hints(kind)[name]
    plain = {annotation, *get_args(annotation)}
    if int in plain:
        return _NumberOrWord(SYNONYMS[name]) if name in SYNONYMS else click.INT
    return click.FLOAT if float in plain else click.STRING


def _help(kind: type[SolveOptions] | type[EngineOptions], name: str) -> str:
    default = getattr(kind(), name)
    shown = "" if default is None else f" [default: {default}]"
    return f"{describe(kind, name)}{shown}"
