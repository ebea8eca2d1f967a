"""Figures and foreign text as Markdown shows them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ssr_local.bench.report.shares import Share
from ssr_local.bench.statistics import Ratio
from ssr_local.core.display import one_line

DASH = "-"
FEWEST_FOR_INTERVAL = 10
"""Of so many problems drawn anew an interval is about what it says it is: of five it holds the
truth in some 81 of 100 cases, of eight in 86, and not in 95."""
MAX_CELL_CHARS = 100

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
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def bullets(items: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {item}" for item in items)


def decimal(value: float | None) -> str:
    """Three digits that matter: 0.123, 4.56, 78.9, 1234."""
    if value is None:
        return DASH
    size = abs(value)
    places = 0 if size >= 99.95 else 1 if size >= 9.995 else 2
    text = f"{value:.{places}f}"
    return text if float(text) else text.lstrip("-")


def count(value: float | None) -> str:
    """A mean of things that are counted in tens and more."""
    return DASH if value is None else f"{value:,.0f}".replace(",", " ")


def times(value: float) -> str:
    """A factor: "4.10 times"."""
    return f"{decimal(value)} times"


def percent(value: float | None) -> str:
    """A share from 0 to 1 in whole per cent, for samples of some dozens."""
    return DASH if value is None else f"{100 * value:.0f} %"


def share_text(share: Share | None) -> str:
    """A share with its interval, in per cent."""
    if share is None:
        return DASH
    return f"{100 * share.value:.0f} % [{100 * share.low:.0f}, {100 * share.high:.0f}]"


def ratio_text(ratio: Ratio | None) -> str:
    """A ratio with its interval."""
    if ratio is None:
        return DASH
    if not has_interval(ratio):
        return decimal(ratio.value)
    return f"{decimal(ratio.value)} [{decimal(ratio.low)}, {decimal(ratio.high)}]"


def percent_ratio(ratio: Ratio | None) -> str:
    """A ratio that is a share, in per cent with its interval."""
    if ratio is None:
        return DASH
    value = f"{100 * ratio.value:.0f} %"
    if not has_interval(ratio):
        return value
    return f"{value} [{100 * ratio.low:.0f}, {100 * ratio.high:.0f}]"


def has_interval(ratio: Ratio) -> bool:
    """Whether drawing problems anew says something: of few, equal or joint ones it does not."""
    return ratio.num >= FEWEST_FOR_INTERVAL and ratio.low < ratio.high


def p_text(p: float | None) -> str:
    """A p-value."""
    if p is None:
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
