"""Figures and foreign text as Markdown shows them. Pure."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from ssr_local.bench.statistics import Interval, Proportion, Ratio, Share
from ssr_local.core.display import one_line

DASH = "-"
FEWEST_FOR_INTERVAL = 10
"""Of so many problems drawn anew an interval is about what it says it is: of five it holds the
truth in some 81 of 100 cases, of eight in 86, and not in 95."""
MAX_CELL_CHARS = 100
MAX_LISTED = 20

_CELLS = (Share, Ratio, Interval, Proportion)
_LARGE = 1e6
_P_VALUES = ("p", "p_best")
_SPECIAL = re.compile(r"([\\`*_\[\]|~$#])")


def escaped(text: str, limit: int = MAX_CELL_CHARS) -> str:
    """Text of unknown origin as it reads, on one line, with no meaning to Markdown or HTML."""
    line = _SPECIAL.sub(r"\\\1", one_line(text, limit))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # A bare address would become a link.
    return line.replace("://", ":&#47;&#47;").replace("www.", "www&#46;").replace("@", "&#64;")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], num_left: int = 1) -> str:
    """A Markdown table; the first ``num_left`` columns are text, the others right-aligned."""
    rule = [":--"] * num_left + ["--:"] * (len(header) - num_left)
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *rows))


def bullets(items: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {item}" for item in items)


def table_of(items: Sequence[Struct], *without: str, title: str) -> str:
    """A table with a line for each item and a column for each field that has something to show.

    Headers are the fields' names, as in report.json. ``without`` names fields to leave out.
    """
    columns: dict[str, list[str]] = {}
    texts: set[str] = set()
    for index, item in enumerate(items):
        for name, value in _fields(item, without):
            shown = p_text(value) if name in _P_VALUES else cell(value)
            columns.setdefault(name, [DASH] * len(items))[index] = shown
            texts |= {name} if isinstance(value, str | tuple) and value else set()
    kept = [name for name, cells in columns.items() if set(cells) != {DASH}]
    kept.sort(key=lambda name: name not in texts)
    rows = list(zip(*(columns[name] for name in kept), strict=True))
    num_left = sum(name in texts for name in kept)
    heads = [_header(name, columns) for name in kept]
    return f"### {title}\n\n{table(heads, rows, num_left)}" if rows else ""


def _fields(item: Struct, without: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Names and values; a part that has no cell of its own gives its own fields."""
    for name in item.__struct_fields__:
        value = getattr(item, name)
        if name not in without:
            if isinstance(value, Struct) and not isinstance(value, _CELLS):
                yield from _fields(value, without)
            else:
                yield name, value


def _header(name: str, names: Container[str]) -> str:
    short = name.removeprefix("num_")
    return escaped((name if short in names else short).replace("_", " "))


def cell(value: Any) -> str:
    """A value as tables show it: foreign text escaped, and with its interval what has one."""
    match value:
        case None | "" | ():
            return DASH
        case bool():
            return "yes" if value else "no"
        case str():
            return escaped(value)
        case int():
            return f"{value:,}".replace(",", " ")
        case float():
            return decimal(value)
        case Share():
            return f"{100 * value.value:.0f} % [{100 * value.low:.0f}, {100 * value.high:.0f}]"
        case Interval():
            return f"[{decimal(value.low)}, {decimal(value.high)}]"
        case Ratio():
            within = f" {cell(Interval(value.low, value.high))}" if has_interval(value) else ""
            return decimal(value.value) + within
        case Proportion():
            return f"{value.count}/{value.num}" + (
                f" {cell(value.interval)}" if value.interval else ""
            )
        case tuple():
            more = f" and {len(value) - MAX_LISTED} more" if len(value) > MAX_LISTED else ""
            return ", ".join(map(cell, value[:MAX_LISTED])) + more
        case Struct():
            return escaped(str(value), 0)
        case _:
            raise TypeError(f"no cell for {value!r}")


def decimal(value: float | None) -> str:
    """Three digits that matter: 0.123, 4.56, 78.9, 1234, 5.68e11."""
    if value is None:
        return DASH
    size = abs(value)
    if size >= _LARGE:
        return f"{value:.3g}".replace("e+", "e")
    digits = 0 if size >= 99.95 else 1 if size >= 9.995 else 2
    text = f"{value:.{digits}f}"
    return text if float(text) else text.lstrip("-")


def has_interval(ratio: Ratio) -> bool:
    """Whether drawing problems anew says something: of few, equal or joint ones it does not."""
    return ratio.num >= FEWEST_FOR_INTERVAL and ratio.low < ratio.high


def p_text(p: float | None) -> str:
    """A p-value."""
    if p is None:
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
