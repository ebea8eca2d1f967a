"""The rows below the lines that stay: who is doing what right now."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.console import Console

from ssr_local.cli.status import Status, tail
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

REJECTED = Verdict(verifier="digit", raw=0.1, score=2.0, accepted=False)
WIDE = "数学の問題を解く"


def following(num_paths: int = 2, clock: float = 0.0) -> Status:
    now = [clock]
    status = Status(lambda: now[0])
    now[0] += 7
    for path in range(num_paths):
        strategy = Strategy(letter="AB"[path % 2], name="n", advice="a")
        status.take(PathOpened(path=path, strategy=strategy, selection_score=None))
    return status


def rows(status: Status, width: int = 80, height: int = 24) -> list[str]:
    return status.render(width, height).plain.splitlines()


def test_what_every_path_does() -> None:
    status = following()
    for text in ("Let x", " be\nthe ", "number"):
        status.take(StepDelta(path=0, step=0, author="draft", text=text))
    assert rows(status) == [
        "[1A] drafts step 1  Let x be the number",
        "[2B] begins  ",
        "7 s, solving, 2 of 2 paths go on",
    ]
    drafted = StepDrafted(path=0, step=0, author="draft", text="Let x", num_tokens=2, elapsed_s=1.0)
    status.take(drafted)
    assert rows(status)[0].startswith("[1A] waits, step 1")
    status.take(StepVerified(path=0, step=0, verdict=REJECTED))
    assert rows(status)[0].strip() == "[1A] is corrected, step 1"
    status.take(StepDelta(path=0, step=0, author="target", text="Let y"))
    assert rows(status)[0] == "[1A] writes step 1  Let y"
    status.take(StepRewritten(path=0, step=0, text="Let y", num_tokens=2, elapsed_s=1.0))
    assert rows(status)[0].strip() == "[1A] goes on"
    status.take(PathEnded(path=0, reason="answered", answer="4", mean_score=None))
    assert rows(status) == ["[2B] begins  ", "7 s, solving, 1 of 2 paths go on"]


def test_a_new_step_begins_with_an_empty_row() -> None:
    status = following(1)
    status.take(StepDelta(path=0, step=1, author="draft", text="first"))
    status.take(StepDelta(path=0, step=10, author="draft", text="second"))
    assert rows(status)[0] == "[1A] drafts step 11  second"


def test_many_paths_on_a_low_terminal_are_only_counted() -> None:
    status = following(12)
    assert len(rows(status, height=24)) == 13
    assert rows(status, height=15) == ["7 s, solving, 12 of 12 paths go on"]


@pytest.mark.parametrize("width", [10, 20, 40, 80])
@pytest.mark.parametrize("text", ["word " * 100, WIDE * 20, "\x1b[2J\x1b]0;evil\x07" * 9, "\n" * 9])
def test_no_row_is_wider_than_the_terminal_or_obeyed_by_it(text: str, width: int) -> None:
    status = following(1)
    status.take(ModelLoading(role="draft", name=text))
    status.take(StepDelta(path=0, step=0, author="draft", text=text))
    for row in rows(status, width):
        assert not set("\x1b\x07") & set(row)
    lines = Console(width=width, height=24).render_lines(status.render(width, 24))
    drawn = ["".join(segment.text for segment in line) for line in lines]
    assert len(drawn) == 2
    assert max(cell_len(row) for row in drawn) <= width


def test_the_end_of_a_long_text_is_what_is_shown() -> None:
    assert tail("abcdef", 6) == "abcdef"
    assert tail("abcdef", 4) == "…def"
    assert tail(WIDE, 5) == "…解く"
    assert tail(WIDE, 0) == tail("abc", -3) == ""
