"""What is looked at: panes, formulas, copies, the comparison of paths."""

from __future__ import annotations

import msgspec
import pytest
from rich.console import Console
from textual.widgets import Select

from ssr_local.core.events import PathOpened
from ssr_local.core.tree import Tree
from ssr_local_tui.widgets.detail import DetailPane, formatted
from ssr_local_tui.widgets.items import Item
from ssr_local_tui.widgets.metrics import MetricsPane
from ssr_local_tui.widgets.run_tree import RunTree
from tests.tui.sitting import Sitting, demo_log, watch
from tests.unit.coordinator.scripted import Paths, Turn, make_run, played
from tests.unit.core.test_tree import LOGS

LAST_STEP = Item("step", 0, 4)


def test_panes_come_and_go_and_stay_away() -> None:
    async def script(at: Sitting) -> None:
        for size, roomy in (((120, 40), True), ((60, 16), False)):
            await at.pilot.resize_terminal(*size)
            for key, pane in (("m", MetricsPane), ("b", DetailPane)):
                widget = at.main.query_one(pane)
                # Where there is room, they are there.
                await at.until(lambda w=widget, roomy=roomy: w.display == roomy)
                for shown in (not roomy, roomy):
                    await at.press(key)
                    await at.until(lambda w=widget, shown=shown: w.display == shown)
                    await at.until(lambda w=widget, shown=shown: bool(w.region.area) == shown)
            at.main.show_detail = at.main.show_metrics = None
        await at.pilot.resize_terminal(120, 40)
        await at.until(lambda: at.main.query_one(DetailPane).display)
        await at.press("b")
        await at.pilot.resize_terminal(200, 60)
        await at.until(lambda: at.main.query_one(RunTree).region.right > 110)
        assert not at.main.query_one(DetailPane).display
        assert at.main.query_one(MetricsPane).display

    watch(demo_log(), script)


def test_what_the_cursor_is_on_is_shown_opened_closed_and_copied() -> None:
    async def script(at: Sitting) -> None:
        await at.put_cursor(LAST_STEP)
        detail = at.main.query_one(DetailPane)
        await at.until(lambda: "⟦18⟧" in content(detail))
        await at.press("l")
        await at.until(lambda: r"\boxed{18}" in content(detail))
        await at.press("l")
        await at.until(lambda: "⟦18⟧" in content(detail))
        await at.put_cursor(Item("path", 0))
        for key, count in (("left", 0), ("right", 1)):
            await at.press(key)
            await at.until(lambda count=count: at.text().count("8.0 Let h be") == count)
        await at.press("right")
        assert at.main.run_tree.selected_item == Item("step", 0, 0)
        await at.press("left")
        assert at.main.run_tree.selected_item == Item("path", 0)
        strips = at.app.screen._compositor.render_strips()
        struck = "".join(part.text for strip in strips for part in strip if part.style.strike)
        assert "Dividing the second equation by 2 gives h + 2c =" in struck  # by the draft
        assert "h + 2c = 42" not in struck
        for item, text in COPIES:
            await at.put_cursor(item)
            await at.press("c")
            assert at.app.clipboard == text
            await at.until_said(f"Copied: {text}"[:40])

    watch(demo_log(), script)


def test_a_refuted_path_says_so() -> None:
    steps = [Turn("So there are 70 + 420 = 480.\n\n"), Turn("So \\boxed{480}.\n\n")]
    events = tuple(played(make_run(Paths(steps), method="target")))

    async def script(at: Sitting) -> None:
        await at.until_shows("→ 480, refuted")
        detail = at.main.query_one(DetailPane)
        await at.put_cursor(Item("path", 0))
        await at.until(lambda: "Algebra refutes: 70 + 420 = 480" in content(detail))
        await at.put_cursor(Item("vote", 0))
        await at.until(lambda: "refuted by algebra: 1" in content(detail))

    watch(events, script)


def test_waves_have_rows_of_their_own() -> None:
    async def script(at: Sitting) -> None:
        detail = at.main.query_one(DetailPane)
        await at.until_shows("Votes: all paths have ended")
        await at.put_cursor(Item("path", 1))
        await at.press("left", "left")
        assert at.main.run_tree.selected_item == Item("wave", 1)
        await at.until(lambda: "prose:target@B + prose:target@C" in content(detail))
        assert "Enough when all its paths have ended" in content(detail)
        await at.press("c")
        assert at.app.clipboard == "prose:target@B + prose:target@C"
        await at.press("left")
        await at.until(lambda: not at.shows("2 B name B"))
        assert at.shows("Wave 2: no other path agrees with 8")
        await at.put_cursor(Item("step", 2, 0))  # what is closed opens
        assert at.shows("3 C name C")
        await at.put_cursor(Item("votes"))
        await at.until(lambda: "The run is over: all paths have ended." in content(detail))

    watch(LOGS[-1], script)


def test_waves_drawn_as_they_come_look_as_drawn_at_once() -> None:
    def below(tree: RunTree) -> dict[Item, list[Item | None]]:
        return {item: [one.data for one in line.children] for item, line in tree._lines.items()}

    async def script(at: Sitting) -> None:
        tree, state = at.main.run_tree, Tree()
        at_once = below(tree)
        tree.show_run(state)
        for event in LOGS[-1]:
            tree.sync(state.apply(event))
        assert below(tree) == at_once
        assert at_once[Item("wave", 1)] == [Item("path", 1), Item("path", 2)]

    watch(LOGS[-1], script)


def content(pane: DetailPane) -> str:
    """What stands in a pane, as it is drawn."""
    region = pane.region
    strips = pane.screen._compositor.render_strips()[region.y : region.bottom]
    return "\n".join(strip.crop(region.x, region.right).text for strip in strips)


COPIES = [
    (Item("problem"), "A farm has hens and cows."),
    (LAST_STEP, r"There are \boxed{18} hens."),
    (Item("rejected", 0, 2), "Dividing the second equation by 2 gives h + 2c = 84."),
    (Item("votes"), "18"),
    (Item("vote", 1), "21"),
]


def test_two_paths_are_compared_and_others_chosen() -> None:
    async def script(at: Sitting) -> None:
        await at.put_cursor(Item("path", 1))
        for key in ("v", "q", "escape"):
            await at.press("v")
            await at.until_on("ComparisonScreen")
            await at.press(key)
            await at.until_on("MainScreen")
        await at.press("v")
        await at.until_on("ComparisonScreen")
        left, right = (at.app.screen.query_one(f"#path-{n}", Select) for n in (0, 1))
        assert (left.value, right.value) == (1, 2)  # the one with another answer
        await at.until_shows("here they part")
        await at.press("right_square_bracket")
        await at.until(lambda: right.value == 0)
        await at.press("left_square_bracket")
        await at.until(lambda: left.value == 2)
        await at.press("l")
        await at.until_shows(r"\boxed{21}")
        opened = next(e for e in demo_log() if isinstance(e, PathOpened) and e.path == 0)
        at.tree.apply_all([msgspec.structs.replace(opened, path=3)])  # meanwhile
        seen = set()
        await at.until(lambda: len(right._options) == 4)
        for _ in range(4):
            await at.press("right_square_bracket")
            seen.add(right.value)
        assert seen == {0, 1, 2, 3}

    watch(demo_log(), script)


def test_a_click_shows_a_line_in_full_and_closes_and_opens_a_path() -> None:
    async def script(at: Sitting) -> None:
        await at.click_on("Heads give h + c = 30")
        assert at.main.run_tree.selected_item == Item("step", 0, 1)
        await at.until_shows("Step 2: kept, score 7.8 of 9")
        for closed in (True, False):
            await at.click_on("1 A algebraic")
            await at.until(lambda closed=closed: at.shows("8.0 Let h be") != closed)
        assert at.main.run_tree.selected_item == Item("path", 0)
        await at.click_on("Type or paste a problem")
        assert at.main.focused is at.input
        await at.pilot.resize_terminal(50, 24)  # where there is no pane a click opens it
        await at.until(lambda: not at.main.query_one(DetailPane).display)
        await at.click_on("Heads give")
        await at.until_shows("Step 2: kept")

    watch(demo_log(), script)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2*3*4 and a*b*c", "2*3*4 and a*b*c"),
        ("__init__ and x__y", "__init__ and x__y"),
        ("if a<b then <b>c</b>", "if a<b then <b>c</b>"),
        ("one\ntwo", "one\ntwo"),
        ("**so** it is", "so it is"),
    ],
)
def test_signs_of_maths_stay_as_they_are(text: str, shown: str) -> None:
    console = Console(width=60, color_system=None)
    with console.capture() as capture:
        console.print(formatted(text, source=False))
    lines = [line.rstrip() for line in capture.get().strip("\n").splitlines()]
    assert "\n".join(lines) == shown
