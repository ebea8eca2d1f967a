"""Reads the program out of what a small model wrote when it was asked for one. Pure.

Models fence their code or not, explain it before and after, write it twice, show what it prints,
indent all of it, or are cut off in the middle of a line.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator

from msgspec import Struct

MAX_CHARS = 20_000
"""Longer texts are no answers to a problem; nothing is read from them."""

_MOST_CUT_LINES = 12

# A fence in backticks may stand behind other text; whatever follows it on its line is its language.
_FENCE = re.compile(
    r"`{3,}[ \t]*([\w+#.-]*)[^\S\n]*(?=\n|\Z|)|^[ \t]*~{3,}[ \t]*([\w+#.-]*).*$", re.M
)
_PYTHON = re.compile(r"(?:i?python|py|pycon|sage)[\d.]*", re.IGNORECASE)
_PROMPT = re.compile(r"\s*>>>(?: |$)", re.M)
_HIDDEN = re.compile("[\u200b\u200c\u200d\u2060\ufeff\x00\ud800-\udfff]")
_TYPED = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "−": "-", "–": "-", "×": "*", "÷": "/"}
)
_CODE_LINE = re.compile(
    r"(?:(?:async )?def|class|for|while|if|elif|with|except|match|case)\b.*:|(?:else|try|finally):"
    r"|import \w|from [\w.]+ import\b|(?:return|pass|break|continue)\b|(?:assert|raise|global) \w"
    r"|>>> ?|\.\.\. |@\w|#(?!#)|[)\]}]|[rbf]?(?:\"\"\"|''')"
    r"|[A-Za-z_][\w.]*\((?:.*[)(,\[{])?(?:\s*#.*)?$"
    r"|[A-Za-z_][\w.]*(?:\[.*\]|(?:, ?[A-Za-z_]\w*)+)?(?: ?: ?[\w.\[\], ]+)? ?"
    r"(?:[-+*/%|&^]|//|\*\*)?=(?!=) ?\S"
)


class _Piece(Struct, frozen=True):
    """A piece of text that may be code; whether it may be cut off, and its fence's language."""

    text: str
    may_be_cut: bool = True
    language: str = ""


class _Block(Struct, frozen=True):
    """A piece of code that parses, and the functions and classes that it defines."""

    code: str
    names: frozenset[str]


def read_program(text: str) -> str | None:
    """The program in a model's text as one module's source, or None when it has none.

    Several blocks are one program, but a block whose functions are all written again later is
    left out, and so are examples of what the program prints. A last line that was cut off is
    left out. Source that is not Python comes back as it was written, so that it can be said.
    """
    if len(text) > MAX_CHARS:
        return None
    text = _HIDDEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " "))
    pieces = _fenced(text)
    blocks = [block for block in map(_block, pieces) if block]
    broken = [piece for piece in pieces if _looks_like_code(piece)]
    if not blocks and not broken:
        broken = list(_unfenced(text))
        blocks = [block for block in map(_block, broken) if block]
    if not blocks:
        return textwrap.dedent(broken[-1].text).strip("\n") + "\n" if broken else None
    kept: list[_Block] = []
    for block in blocks:
        kept = [old for old in kept if not (old.names and old.names <= block.names)]
        kept.append(block)
    return "\n".join(block.code for block in kept)


def parse(code: str) -> ast.Module | None:
    """The syntax tree of a program, or None where it is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _fenced(text: str) -> list[_Piece]:
    """The fenced pieces that can be Python; the last fence need not be closed.

    An odd first fence may close a block which the prompt has opened.
    """
    pieces: list[_Piece] = []
    fences = list(_FENCE.finditer(text))
    before = text[: fences[0].start()] if fences else ""
    closes = len(fences) % 2 == 1 and not _opens(text, fences[0])
    start = 0 if closes and before.strip() and _is_program(before) else None
    language = "python"
    for fence in fences:
        opens = _opens(text, fence)
        if start is not None:
            pieces.append(_Piece(text[start : fence.start()], False, language))
            if not opens:
                start = None
                continue
        named = fence[1] or fence[2] or ""
        start, language = (fence.end(), named) if opens or not named else (fence.start(1), "")
    if start is not None:
        pieces.append(_Piece(text[start:], True, language))
    python = [piece for piece in pieces if _PYTHON.fullmatch(piece.language)]
    return [
        piece
        for piece in pieces
        if piece in python
        or (not piece.language and (not python or _CODE_LINE.match(piece.text.lstrip())))
    ]


def _opens(text: str, fence: re.Match[str]) -> bool:
    """Whether a fence names a language, so that it does not close a block.

    A word with more on its line is no language: ```x = 5```.
    """
    named = fence[1] or fence[2] or ""
    end = text.find("\n", fence.end())
    rest = text[fence.end() : end if end >= 0 else None]
    return bool(_PYTHON.fullmatch(named) or (named and not rest.strip()))


def _is_program(text: str) -> bool:
    return bool(_block(_Piece(text))) or bool(_CODE_LINE.match(text.lstrip()))


def _looks_like_code(piece: _Piece) -> bool:
    if not piece.text.strip():
        return False
    return bool(piece.language) or any(map(_CODE_LINE.match, piece.text.split("\n")))


def _unfenced(text: str) -> Iterator[_Piece]:
    """The runs of lines that look like code; the whole text where it is nothing but code."""
    if (tree := parse(text)) and _is_code(tree):
        yield _Piece(text)
        return
    run: list[str] = []
    base, in_string = 0, False
    for line in text.expandtabs(4).split("\n"):
        indent = len(line) - len(line.lstrip())
        begins = bool(_CODE_LINE.match(line.strip()))
        if in_string or not line.strip() or begins or (run and indent > base):
            if run and not in_string and begins and indent < base:
                base = indent
            if not run:
                if not begins:
                    continue
                base = indent
            run.append(line)
            quotes = line.count('"""') + line.count("'''")
            in_string ^= bool(quotes % 2)
        elif run:
            yield _Piece("\n".join(run), False)
            run = []
    if run:
        yield _Piece("\n".join(run))


def _block(piece: _Piece) -> _Block | None:
    """A piece as a block of code, mended as little as needed; None when it is none."""
    text = piece.text.strip("\n")
    fixes = (*_FIXES, _without_last_line) if piece.may_be_cut else _FIXES
    for fix in fixes:
        text = fix(text)
        tree = parse(text)
        if tree and _is_code(tree):
            names = frozenset(
                node.name
                for node in tree.body
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            )
            return _Block(text.rstrip() + "\n", names)
    return None


def _is_code(tree: ast.Module) -> bool:
    """Whether a tree is a program, and not words that happen to parse ("Yes", "Answer: five")."""
    statements = [
        node
        for node in tree.body
        if not isinstance(node, ast.Expr | ast.Pass)
        and not (isinstance(node, ast.AnnAssign) and node.value is None)
    ]
    return bool(statements) or any(
        isinstance(node, ast.Call)
        or (isinstance(node, ast.Constant) and isinstance(node.value, int | float))
        for part in tree.body
        if isinstance(part, ast.Expr)
        for node in ast.walk(part)
    )


def _without_prompts(text: str) -> str:
    """An interpreter's session without its prompts and outputs."""
    if not _PROMPT.match(text):
        return text
    lines = (line.lstrip() for line in text.split("\n"))
    return "\n".join(line[4:] for line in lines if line.startswith((">>>", "...")))


def _flush_left(text: str) -> str:
    return textwrap.dedent(text.expandtabs(4))


def _as_typed(text: str) -> str:
    """Quotes and signs as a keyboard has them."""
    return text.translate(_TYPED)


def _first_line_indented(text: str) -> str:
    """A function's body whose first indentation the prompt has taken."""
    first, _, rest = text.partition("\n")
    return text if first.rstrip().endswith(":") else f"{first.lstrip()}\n{textwrap.dedent(rest)}"


def _without_last_line(text: str) -> str:
    """What is left without a statement that was cut off."""
    lines = text.rstrip().split("\n")
    for num in range(1, min(_MOST_CUT_LINES, len(lines) - 1) + 1):
        cut = lines[-num:]
        if (_is_open("\n".join(cut)) or all(line.endswith(":") for line in cut[:-1])) and parse(
            left := "\n".join(lines[:-num])
        ):
            return left
    return text


def _is_open(text: str) -> bool:
    """Whether a bracket or a long string of the text is not closed in it."""
    brackets = any(text.count(a) > text.count(b) for a, b in ("()", "[]", "{}"))
    return brackets or bool((text.count('"""') + text.count("'''")) % 2)


_FIXES: tuple[Callable[[str], str], ...] = (
    str,  # nothing needs mending, most often
    _without_prompts,
    _flush_left,
    _as_typed,
    _first_line_indented,
)
