r"""LaTeX as text that reads well in a terminal: fractions keep their brackets, powers their braces.

Only what stands between maths marks is touched, and ``\boxed{...}`` outside them; the rest
is Markdown and stays as it is. What is not understood is shown as it was written: a wrong
formula is worse than an ugly one. Parsing is pylatexenc's, the layout is ours, because its
own turns ``\frac{a+b}{c}`` into ``a+b/c``. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from pylatexenc import latex2text
from pylatexenc.latexwalker import (
    LatexCharsNode,
    LatexEnvironmentNode,
    LatexGroupNode,
    LatexMacroNode,
    LatexMathNode,
    LatexSpecialsNode,
    LatexWalker,
    LatexWalkerError,
    get_default_latex_context_db,
)
from pylatexenc.macrospec import MacroSpec

from ssr_local_tui.signs import (
    AS_IT_IS,
    DOUBLE,
    FENCES,
    LOWERED,
    NAMES,
    ONE_ARGUMENT,
    RAISED,
    ROWS,
    SPACES,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    SYMBOLS,
    TWO_ARGUMENTS,
)

MAX_CHARS = 2000
"""Longer formulas are shown as they are."""
MAX_DEPTH = 24

_MATHS = re.compile(
    r"\$\$(?P<a>[^$]+)\$\$|\\\[(?P<b>.+?)\\\]|\\\((?P<c>.+?)\\\)"
    r"|(?<![\\$\w])\$(?!\s)(?P<d>[^$\n]+?)(?<!\s)\$(?![\w$])"
    r"|(?P<boxed>\\(?:boxed|fbox)\s*\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})",
    re.DOTALL,
)
_GAP = re.compile(r"[ \t]{2,}")
_PRIME = re.compile(r"(?<=[\w)])'(?![A-Za-z])")
_SCRIPT_ATOM = re.compile(r"\w+|.")
_ATOM = re.compile(r"[+-]?[\w.,%°′]+|.|[(\[{|√].*[)\]}|]", re.DOTALL)


class _Unreadable(Exception):  # noqa: N818 - nothing failed: the source is shown
    """Something in a formula is not understood."""


def readable(text: str) -> str:
    """``text`` with its formulas in plain signs; what is not understood stays as it is."""
    return _MATHS.sub(_replaced, text)


def _replaced(match: re.Match[str]) -> str:
    source = next(group for group in match.groups() if group is not None)
    if len(source) > MAX_CHARS:
        return match.group()
    shown = formula(source)
    return match.group() if shown is None else shown


@lru_cache(maxsize=4096)
def formula(source: str) -> str | None:
    """One formula, without its maths marks, in plain signs; None when it is not understood."""
    if _depth(source) > MAX_DEPTH:
        return None
    try:
        walker = LatexWalker(source, latex_context=_context(), tolerant_parsing=False)
        nodes, _, _ = walker.get_latex_nodes()
        return _tidy(_row(nodes))
    except (LatexWalkerError, _Unreadable, KeyError, AttributeError, IndexError, ValueError):
        return None  # pylatexenc stumbles over some odd formulas


def _depth(source: str) -> int:
    depth = deepest = 0
    for sign in source:
        depth += (sign in "{[(") - (sign in "}])")
        deepest = max(deepest, depth)
    return deepest


@lru_cache(maxsize=1)
def _context() -> Any:
    context = get_default_latex_context_db()
    macros = [MacroSpec(name, "{") for name in ONE_ARGUMENT]
    macros += [MacroSpec(name, "{{") for name in TWO_ARGUMENTS]
    context.add_context_category("ssr-local", prepend=True, macros=macros)
    return context


@lru_cache(maxsize=1)
def _texts() -> Any:
    return latex2text.get_default_latex_context_db()


def _row(nodes: Sequence[Any]) -> str:
    """Nodes beside one another, ``^`` and ``_`` taking what follows them."""
    row = _Row()
    for node in nodes:
        if isinstance(node, LatexCharsNode):
            for sign in node.chars:
                row.take_sign(sign)
        else:
            row.take(
                _node(node), is_name=isinstance(node, LatexMacroNode) and node.macroname in NAMES
            )
    return row.text()


class _Row:
    """Text that grows from left to right; a script waits for what it is to raise or lower."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._waiting = ""
        self._last_script = ""

    def take_sign(self, sign: str) -> None:
        """One sign of plain text."""
        if sign in "^_":
            if self._waiting or self._last_script == sign:
                raise _Unreadable("two scripts")
            self._waiting = sign
        elif not (self._waiting and sign.isspace()):
            self.take(sign)

    def take(self, shown: str, *, is_name: bool = False) -> None:
        """Something laid out already; a function's name keeps its distance from what it follows."""
        if self._waiting:
            self._parts.append(_script(shown, self._waiting))
            self._waiting, self._last_script = "", self._waiting
            return
        self._last_script = ""
        before = self._parts[-1][-1:] if self._parts else ""
        self._parts.append(f" {shown}" if is_name and before.isalnum() else shown)

    def text(self) -> str:
        if self._waiting:
            raise _Unreadable(self._waiting)
        return "".join(self._parts)


def _node(node: Any) -> str:
    if isinstance(node, LatexGroupNode | LatexMathNode):
        return _row(node.nodelist)
    if isinstance(node, LatexEnvironmentNode):
        return _environment(node)
    if isinstance(node, LatexSpecialsNode):
        return _special(str(node.specials_chars))
    if isinstance(node, LatexMacroNode):
        return _macro(node)
    raise _Unreadable(type(node).__name__)


def _special(chars: str) -> str:
    if chars in ("’", "``", "--", "---", "!", "?"):
        return chars
    # "&" is the alignment of a formula that stands alone; what else there is, is not understood.
    return {"&": "", "~": " ", "'": "′", "''": "″"}[chars]


def _macro(node: LatexMacroNode) -> str:
    name = str(node.macroname)
    if name in SPACES:
        return SPACES[name]
    if name == "\\":
        return "\n"
    symbol = name if name in NAMES else SYMBOLS.get(name) or _known_sign(name)
    if symbol is not None:
        return symbol + (" " if node.macro_post_space else "")
    arguments = [_argument(one) for one in (node.nodeargd.argnlist if node.nodeargd else [])]
    if name in AS_IT_IS:
        return _only(arguments)
    return _LAYOUTS[name](arguments)  # one that is not there is not understood


def _known_sign(name: str) -> str | None:
    """What pylatexenc shows for a command, where that is one sign."""
    shown = getattr(_texts().get_macro_spec(name), "simplify_repl", None)
    return shown if isinstance(shown, str) and len(shown) == 1 and shown.isprintable() else None


def _argument(node: Any) -> str | None:
    if node is None:
        return None
    if isinstance(node, LatexCharsNode):
        return str(node.chars).strip()
    if isinstance(node, LatexMacroNode) and node.nodeargd is None:
        raise _Unreadable("a macro that was cut off")  # \frac x \sqrt{x}
    return _node(node)


def _all(arguments: Sequence[str | None], num: int = 1) -> list[str]:
    given = [one for one in arguments if one is not None]
    if len(given) != num:
        raise _Unreadable("arguments")
    return given


def _only(arguments: Sequence[str | None]) -> str:
    return _all(arguments)[0]


def _root(arguments: Sequence[str | None]) -> str:
    *degree, inside = arguments
    if inside is None:
        raise _Unreadable("root")
    index = degree[0] if degree else None
    if index and not set(index) <= RAISED:
        raise _Unreadable("root")
    return f"{(index or '').translate(SUPERSCRIPTS)}√{_bracketed(inside)}"


def _accented(sign: str) -> Callable[[Sequence[str | None]], str]:
    def layout(arguments: Sequence[str | None]) -> str:
        inside = _only(arguments)
        if len(inside) != 1:
            raise _Unreadable("accent")
        return inside + sign

    return layout


_LAYOUTS: dict[str, Callable[[Sequence[str | None]], str]] = {
    **dict.fromkeys(
        ("frac", "dfrac", "tfrac", "cfrac"), lambda both: "/".join(map(_bracketed, _all(both, 2)))
    ),
    **dict.fromkeys(("binom", "dbinom"), lambda both: "C({}, {})".format(*_all(both, 2))),
    "sqrt": _root,
    **dict.fromkeys(("boxed", "fbox"), lambda arguments: f"⟦{_only(arguments).strip()}⟧"),
    "pmod": lambda arguments: f" (mod {_only(arguments)})",
    "mathbb": lambda arguments: DOUBLE.get(_only(arguments), _only(arguments)),
    "vec": _accented("\u20d7"),
    "hat": _accented("\u0302"),
    "bar": _accented("\u0304"),
    "dot": _accented("\u0307"),
    "tag": lambda arguments: f"  ({_only(arguments)})",
    "overline": lambda arguments: _over(_only(arguments)),
    "underline": _only,
}


def _over(inside: str) -> str:
    """A line over a segment's letters or a number's period."""
    if not re.fullmatch(r"[A-Za-z0-9]{1,8}", inside):
        raise _Unreadable("overline")
    return "".join(sign + "\u0305" for sign in inside)


def _environment(node: LatexEnvironmentNode) -> str:
    name = node.environmentname
    if name not in ROWS:
        raise _Unreadable(name)
    rows = [[_row(cell) for cell in row] for row in _cells(node.nodelist)]
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if name in FENCES:
        left, right = FENCES[name]
        return left + "; ".join(" ".join(map(str.strip, row)) for row in rows) + right
    if name == "cases":
        return "{ " + "; ".join("    ".join(map(str.strip, row)) for row in rows)
    return "\n".join((" " if name == "array" else "").join(row) for row in rows)


def _cells(nodes: Sequence[Any]) -> list[list[list[Any]]]:
    rows: list[list[list[Any]]] = [[[]]]
    for node in nodes:
        if isinstance(node, LatexMacroNode) and node.macroname == "\\":
            rows.append([[]])
        elif isinstance(node, LatexMacroNode) and node.macroname == "hline":
            continue
        elif isinstance(node, LatexSpecialsNode) and node.specials_chars == "&":
            rows[-1].append([])
        else:
            rows[-1][-1].append(node)
    return rows


def _script(shown: str, kind: str) -> str:
    """A power or an index; raised or lowered signs where there are such."""
    inside = shown.strip()
    signs, table = (RAISED, SUPERSCRIPTS) if kind == "^" else (LOWERED, SUBSCRIPTS)
    if inside in ("°", "′"):
        return inside
    if inside and set(inside) <= signs:
        return inside.translate(table)
    return f"{kind}{inside}" if _SCRIPT_ATOM.fullmatch(inside) else f"{kind}({inside})"


def _bracketed(shown: str) -> str:
    inside = shown.strip()
    return inside if _ATOM.fullmatch(inside) and _closed(inside) else f"({inside})"


def _closed(inside: str) -> bool:
    """Whether a bracket that opens it is the one that closes it: "(a)(b)" is two."""
    pairs = {"(": ")", "[": "]", "{": "}"}
    if inside[:1] not in pairs:
        return not re.search(r"[\s/+*·×−-]", inside[1:])
    depth = 0
    for index, sign in enumerate(inside):
        depth += (sign == inside[0]) - (sign == pairs[inside[0]])
        if depth == 0:
            return index == len(inside) - 1
    return False


def _tidy(shown: str) -> str:
    shown = _PRIME.sub("′", _GAP.sub(lambda gap: "  " if len(gap[0]) > 3 else " ", shown))
    lines = [line.strip() for line in shown.split("\n")]
    return "\n".join(line for line in lines if line)
