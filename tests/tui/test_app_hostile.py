"""Text that would be obeyed rather than shown, terminals of any size, and no colours."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.color import Color

from ssr_local.core.errors import UsageError
from ssr_local.core.events import AnyEvent, StepDelta, decode_event, encode_event
from ssr_local_tui.screens.strategies import StrategyScreen
from ssr_local_tui.widgets.items import Item
from tests.tui.pilot import paste, screen_lines
from tests.tui.sitting import PROBLEM, Sitting, demo_log, sit, watch, write_log

pytestmark = pytest.mark.usefixtures("folders")

MARKUP = "[bold]x[/] [/ [/b] [@click=app.quit]y[/] [link=file:///etc]z[$primary] \\[ ["
TEXTS = {
    "escapes": "\x1b[31mred\x1b]0;title\x07\x1b]52;c;aGk=\x07\x9b2J\x1bPq\x1b\\\x08\x7f\0 \x1b",
    "markup": MARKUP,
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
SHORT = " ".join(text for name, text in TEXTS.items() if len(text) < 100 and name != "markdown")
SOME = {"short ones": SHORT, "some lines": TEXTS["markdown"] + TEXTS["many lines"][:50]}
ALL = [
    *(pytest.param(text, id=name) for name, text in SOME.items()),
    *(pytest.param(text, id=name, marks=pytest.mark.slow) for name, text in TEXTS.items()),
]
REPLACED = frozenset(("text", "problem", "answer", "advice", "message", "draft_text", "strategy"))
LONGEST_DELTA = 60
MANY_CHARS = 10_000


def hostile_log(text: str) -> Iterator[AnyEvent]:
    """The demonstration with ``text`` wherever a model, a problem or a pool has the word."""
    for event in demo_log():
        if len(text) > MANY_CHARS and getattr(event, "path", 0) > 0:
            yield event  # one such path is enough
            continue
        mine = text[:LONGEST_DELTA] if isinstance(event, StepDelta) else text
        yield decode_event(json.dumps(replaced(json.loads(encode_event(event)), mine)))


def replaced(value: Any, text: str, key: str = "") -> Any:
    if isinstance(value, dict):
        names = {"name": text} if {"name", "advice"} <= set(value) or "letter" in value else {}
        reason = {"reason": text} if "accepted" in value and "reason" in value else {}
        return {k: replaced(v, text, k) for k, v in value.items()} | names | reason
    if isinstance(value, list):
        return [replaced(one, text, key) for one in value]
    return text if isinstance(value, str) and key in REPLACED else value


def check_screen(at: Sitting) -> None:
    """Nothing is on the screen that a terminal would obey, and every line is as wide as it."""
    width, height = at.app.size
    lines = screen_lines(at.app)
    assert len(lines) == height
    for line in lines:
        unseen = {sign for sign in line if unicodedata.category(sign) in ("Cc", "Cf", "Cs")}
        assert unseen <= {"\u200d", "\u200c"}, ascii(line)
    strips = at.app.screen._compositor.render_strips()
    assert [strip.cell_length for strip in strips] == [width] * height


ITEMS = [
    *(Item("problem"), Item("path", 0), Item("step", 0, 2), Item("vote", 0)),
    *(Item("notices"), Item("notice", 0), Item("pruned"), Item("strategy", 3)),
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
        await at.put_cursor(Item("step", 0, 2))
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
        await paste(at.pilot, text)
        at.app.control.fail(UsageError(text, text, text))
        at.app._notice(text)
        await at.until(lambda: at.notices)
        await at.settle()
        assert not set("".join(screen_lines(at.app))) & set("\x1b\x9b\x07\0\x08")

    watch(hostile_log(text), folders, script)


SIZES = [(200, 60), (40, 10), (1, 1), (20, 5)]


def test_a_terminal_may_be_made_small_and_large_while_a_run_goes_on(slow: None) -> None:
    async def script(at: Sitting) -> None:
        await at.ask()
        await at.until(lambda: at.tree.counts.drafted >= 1)
        for size in SIZES:
            revision = at.tree.revision
            await at.pilot.resize_terminal(*size)
            await at.until(lambda size=size: at.main.size == size)
            check_screen(at)
            await at.until(
                lambda revision=revision: at.tree.revision > revision or not at.app.control.running
            )
        await at.ended()
        await at.until_shows("Answer: 18")
        check_screen(at)
        await at.pilot.resize_terminal(24, 8)
        await at.until(lambda: at.main.size == (24, 8))
        for key in ("e", "o", "v", "s", "question_mark"):  # dialogs fit, too
            await at.press(key)
            await at.until(lambda: at.dialog != "MainScreen")
            await at.settle()
            check_screen(at)
            await at.press("escape")
            await at.until_on("MainScreen")
        await at.pilot.resize_terminal(120, 40)
        await at.solve(f"{PROBLEM} {MARKUP} \x1b[2J")
        check_screen(at)

    sit(script)


def test_without_colours_everything_is_grey(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def script(at: Sitting) -> None:
        await at.until_shows("Answer: 18")
        for strip in at.app.screen._compositor.render_strips():
            for segment in strip.apply_filter(at.app._filters[-1], Color(0, 0, 0)):
                for colour in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                    if colour is not None:
                        assert len(set(colour.get_truecolor())) == 1
        assert all(at.shows(sign) for sign in ("✓  1", "↻  3", "✗ draft", "★ 18"))

    watch(demo_log(), folders, script)
