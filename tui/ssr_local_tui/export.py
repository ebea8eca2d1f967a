"""A run as a file: for people (Markdown, HTML, SVG) or for programs (JSON, the event log)."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from ssr_local.core.display import clean, printable
from ssr_local.core.errors import UsageError
from ssr_local.core.folders import write_whole
from ssr_local.core.toml_file import reason_of
from ssr_local.core.tree import Tree
from ssr_local.pages.html_page import page_of_run
from ssr_local.pages.run_report import as_markdown
from ssr_local_tui.picture import as_svg

FORMATS: Mapping[str, str] = {
    "md": "a report in Markdown, to read or print",
    "html": "a page for the browser, with formulas and the whole tree",
    "json": "the result, for programs; only of a run that has ended",
    "jsonl": "the event log, to replay the run",
    "svg": "a picture of the whole tree",
}
"""What a run can be saved as, and what that is good for."""

_PAGES: Mapping[str, Callable[[Tree], str]] = {
    "md": as_markdown,
    "html": page_of_run,
    "svg": as_svg,
}


class ExistsError(UsageError):
    """There is such a file, and nobody has said that it may be replaced."""


_NAME_WORD = re.compile(r"\w+")
_NAME_WORDS, _NAME_CHARS, _LOOKED_AT_CHARS = 6, 48, 400


def suggested_name(tree: Tree, fmt: str) -> str:
    """A file name any system accepts, from the problem's first words and the seed."""
    shown = clean(tree.problem[:_LOOKED_AT_CHARS])
    words = _NAME_WORD.findall(unicodedata.normalize("NFKC", shown))
    slug = "-".join(words[:_NAME_WORDS]).lower()[:_NAME_CHARS].strip("-_") or "run"
    seed = tree.options.get("seed")
    which = f"-seed{seed}" if isinstance(seed, int) else ""
    return f"ssr-{slug}{which}.{fmt}"  # the prefix: "con" and "-rf" are no names for a file


def save(
    tree: Tree, fmt: str, path: Path, log: Path | None = None, *, overwrite: bool = False
) -> None:
    """Write the run to ``path``, all of it or nothing; ``log`` is its event log, if it has one.

    Raises ``ExistsError``, and ``UsageError`` when the run has not got what the format needs
    or a file cannot be read or written.
    """
    if not overwrite and os.path.lexists(path):
        raise ExistsError(
            f"{printable(str(path))} exists already.", "", "Give another name, or overwrite it."
        )
    next_step = "Name a file in a folder that exists and has room."
    write_whole(path, _contents(tree, fmt, log), next_step)


def _contents(tree: Tree, fmt: str, log: Path | None) -> bytes:
    if fmt == "json" and tree.result is None:
        raise UsageError(
            "A run that has not ended cannot be saved as json.",
            "It has no result yet.",
            "Save it as md, html, svg or jsonl, or wait for its end.",
        )
    if fmt == "json":
        return msgspec.json.encode(tree.result) + b"\n"
    if fmt != "jsonl":
        return _PAGES[fmt](tree).encode()
    if log is None:
        raise UsageError(
            "This run has no event log to save as jsonl.", "", "Save it as md, html, json or svg."
        )
    try:
        return log.read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{printable(str(log))} cannot be read.",
            f"{reason_of(error)}.",
            "Save the run as md, html, json or svg.",
        ) from error
