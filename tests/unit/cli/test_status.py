"""The rows below the lines that stay: who is doing what right now."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.console import Console

from ssr_local.cli.status import rows, tail
from ssr_local.core.events import (
    ModelLoading,
    PathEnded,
    PathOpened,
    StepDelta,
    StepDrafted,
    StepRewritten,
    StepVerified,
)
from ssr_local.core.records import Strategy, Verdict
from ssr_local.core.tree import Tree

REJECTED = Verdict(verifier="digit", raw=0.1, score=2.0, accepted=False)
WIDE = "数学の問題を解く"


def following(num_paths: int = 2) -> Tree:
    tree = Tree()
    tree.options = {"method": "ssr"}
    for path in range(num_paths):
        strategy = Strategy(letter="AB"[path % 2], name="n", advice="a")
        tree.apply(PathOpened(path=path, strategy=strategy, selection_score=None))
    return tree


def lines(tree: Tree, height: int = 24) -> list[str]:
    return rows(tree, 7, 80, height).plain.splitlines()


def test_what_every_path_does() -> None:
    tree = following()
    for text in ("Let x", " be\nthe ", "number"):
        tree.apply(StepDelta(path=0, step=0, author="draft", text=text))
    assert lines(tree) == [
        "[1A] drafts step 1  Let x be the number",
        "[2B] begins  ",
        "7 s, solving, 2 of 2 paths go on",
    ]
    drafted = StepDrafted(path=0, step=0, author="draft", text="Let x", num_tokens=2, elapsed_s=1.0)
    tree.apply(drafted)
    assert lines(tree)[0].startswith("[1A] waits, step 1")
    tree.apply(StepVerified(path=0, step=0, verdict=REJECTED))
    assert lines(tree)[0].strip() == "[1A] is corrected, step 1"
    tree.apply(StepDelta(path=0, step=0, author="target", text="Let y"))
    assert lines(tree)[0] == "[1A] writes step 1  Let y"
    tree.apply(StepRewritten(path=0, step=0, text="Let y", num_tokens=2, elapsed_s=1.0))
    assert lines(tree)[0].strip() == "[1A] goes on"
    tree.apply(PathEnded(path=0, reason="answered", answer="4", mean_score=None))
    assert lines(tree) == ["[2B] begins  ", "7 s, solving, 1 of 2 paths go on"]


def test_a_new_step_begins_with_an_empty_row() -> None:
    tree = following(1)
    tree.apply(StepDelta(path=0, step=0, author="draft", text="first"))
    tree.apply(StepDelta(path=0, step=1, author="draft", text="second"))
    assert lines(tree)[0] == "[1A] drafts step 2  second"


def test_many_paths_on_a_low_terminal_are_only_counted() -> None:
    tree = following(12)
    assert len(lines(tree, height=24)) == 13
    assert lines(tree, height=15) == ["7 s, solving, 12 of 12 paths go on"]


@pytest.mark.parametrize("width", [10, 20, 40, 80])
@pytest.mark.parametrize("text", ["word " * 100, WIDE * 20, "\x1b[2J\x1b]0;evil\x07" * 9, "\n" * 9])
def test_no_row_is_wider_than_the_terminal_or_obeyed_by_it(text: str, width: int) -> None:
    tree = following(1)
    tree.apply(ModelLoading(role="draft", name=text))
    tree.apply(StepDelta(path=0, step=0, author="draft", text=text))
    shown = rows(tree, 7, width, 24)
    assert not set("\x1b\x07") & set(shown.plain)
    rendered = Console(width=width, height=24).render_lines(shown)
    drawn = ["".join(segment.text for segment in line) for line in rendered]
    assert len(drawn) == 2
    assert max(cell_len(row) for row in drawn) <= width


def test_the_end_of_a_long_text_is_what_is_shown() -> None:
    assert tail("abcdef", 6) == "abcdef"
    assert tail("abcdef", 4) == "…def"
    assert tail(WIDE, 5) == "…解く"
    assert tail(WIDE, 0) == tail("abc", -3) == ""
