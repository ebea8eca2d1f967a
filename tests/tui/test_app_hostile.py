"""Text that would be obeyed rather than shown, terminals of any size, and no colours."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from msgspec import structs
from textual.color import Color

from ssr_local.core.errors import UsageError
from ssr_local.core.events import AnyEvent, PathOpened, SelectionScored
from ssr_local.core.records import Strategy, StrategyScore
from ssr_local_tui.screens.strategies import StrategyScreen
from ssr_local_tui.widgets.items import Item
from tests.tui.sitting import Sitting, demo_log, sit, watch, write_log
from tests.unit.test_run_report import poisoned

TEXTS = {
    "escapes": "\x1b[31mred\x1b]0;title\x07\x1b]52;c;aGk=\x07\x9b2J\x1bPq\x1b\\\x08\x7f\0 \x1b",
    "markup": "[bold]x[/] [/ [/b] [@click=app.quit]y[/] [link=file:///etc]z[$primary] \\[ [",
    "wide": "漢字かな 🙂 👩‍👩‍👧 e\u0301\u0301 ﷽ ｗｉｄｅ",
    "right to left": "مرحبا \u202eabc\u202c שלום \u2067x\u2069 \u200fy",
    "markdown": "# h\n| a | b |\n|--|--|\n| `x | *y |\n```\n<b>&amp;\n> - 1. [l](file:///) ![i](x)",
    "long": "word " * 20_000,
    "long without blanks": "漢x" * 2_000,
    "many lines": "a\r\n\t\v" * 200,
    "deep": "$\\frac{" * 1_000,
    "surrogates of a sort": "\ufffe\uffff\U000e0001\U0010ffff\ufeff",
}
# Whole sittings for every text are for the long run; all short ones beside each other for this.
ALL = [
    pytest.param(" ".join(text for text in TEXTS.values() if len(text) < 100), id="short ones"),
    *(pytest.param(text, id=name, marks=pytest.mark.slow) for name, text in TEXTS.items()),
]


def hostile_log(text: str) -> list[AnyEvent]:
    """A run with ``text`` wherever a model, a problem or a pool has the word."""
    start, *others = poisoned(text)
    pool = (Strategy(text, text, text), Strategy("B", text, text))
    scores = tuple(StrategyScore(one.letter, text, 0.5, 1) for one in pool)
    return [
        structs.replace(start, pool=pool),
        SelectionScored(mode="full", scores=scores, chosen=(text,)),
        PathOpened(path=1, strategy=pool[0], selection_score=0.5),
        # Its own selection knows one strategy, which is followed: none would be left aside.
        *(event for event in others if not isinstance(event, SelectionScored)),
    ]


def check_screen(at: Sitting) -> None:
    """Nothing is on the screen that a terminal would obey, and every line is as wide as it."""
    width, height = at.app.size
    lines = at.lines
    assert len(lines) == height
    for line in lines:
        unseen = {sign for sign in line if unicodedata.category(sign) in ("Cc", "Cf", "Cs")}
        assert unseen <= {"\u200d", "\u200c"}, ascii(line)
    strips = at.app.screen._compositor.render_strips()
    assert [strip.cell_length for strip in strips] == [width] * height


ITEMS = [
    *(Item("problem"), Item("wave", 0), Item("path", 0), Item("step", 0, 0), Item("vote", 0)),
    *(Item("notices"), Item("notice", 0), Item("pruned"), Item("strategy", 1)),
]


@pytest.mark.parametrize("text", ALL)
def test_foreign_text_is_shown_and_never_obeyed(text: str, folders: Path) -> None:
    runs = folders / "cache" / "runs"
    runs.mkdir(parents=True)
    write_log(hostile_log(text), runs / "run-20260101-120000-000001.jsonl")

    async def script(at: Sitting) -> None:
        for item in ITEMS:
            if item.kind in ("strategy", "notice"):
                await at.press("right")
            await at.put_cursor(item)
            check_screen(at)
        await at.put_cursor(Item("step", 0, 0))
        for key in ("l", "c"):
            await at.press(key)
            check_screen(at)
        assert "\x1b" not in at.app.clipboard + at.app.export_screenshot()
        for key in ("v", "e", "o", "question_mark"):
            await at.press(key)
            await at.until(lambda: at.dialog != "MainScreen")
            await at.settle()
            check_screen(at)
            await at.press("escape")
            await at.until_on("MainScreen")
        at.app.push_screen(StrategyScreen(at.tree))
        await at.until_on("StrategyScreen")
        check_screen(at)
        await at.press("escape")
        await at.until_on("MainScreen")
        at.input.focus()
        await at.paste(text)
        at.app.control.fail(UsageError(text, text, text))
        at.app._notice(text)
        await at.until(lambda: at.app._notifications)
        await at.settle()
        assert not set("".join(at.lines)) & set("\x1b\x9b\x07\0\x08")

    watch(hostile_log(text), script)


def test_a_terminal_may_be_made_small_and_large_while_a_run_goes_on() -> None:
    async def script(at: Sitting) -> None:
        await at.ask_paused(lambda tree: tree.counts.drafted >= 1)
        for size in ((200, 60), (40, 10), (1, 1), (20, 5)):
            await at.pilot.resize_terminal(*size)
            await at.until(lambda size=size: at.main.size == size)
            check_screen(at)
        await at.press("p")
        await at.ended()
        await at.until_shows("Answer: 18")
        check_screen(at)

    sit(script)


def test_without_colours_everything_is_grey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def script(at: Sitting) -> None:
        await at.until_shows("Answer: 18")
        for strip in at.app.screen._compositor.render_strips():
            for segment in strip.apply_filter(at.app._filters[-1], Color(0, 0, 0)):
                for colour in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                    if colour is not None:
                        assert len(set(colour.get_truecolor())) == 1
        assert all(at.shows(sign) for sign in ("✓  1", "↻  3", "✗ draft", "★ 18"))

    watch(demo_log(), script)
