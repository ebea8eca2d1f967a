"""What can be done to a run while it goes on: verdicts changed, paths dropped and added."""

from __future__ import annotations

from textual.widgets import OptionList

from ssr_local.core.tree import Node
from ssr_local.core.views import PathView
from ssr_local_tui.widgets.items import Item
from tests.tui.sitting import Sitting, sit

REJECTED = "Dividing the second equation by 2 gives h + 2c = 84."


async def paused_after_step(at: Sitting, number: int) -> PathView:
    """A run of one path that stands still once that step was judged; the cursor is on it."""
    await at.ask_paused(lambda tree: tree.counts.drafted >= number)
    await at.put_cursor(Item("step", 0, number - 1))
    return at.tree.paths[0]


def test_a_verdict_is_changed_and_the_run_goes_on_from_there() -> None:
    async def script(at: Sitting) -> None:
        path = await paused_after_step(at, 3)
        assert path.steps[2].rejected == REJECTED + "\n\n"
        assert not at.main.check_action("reject", ())
        await at.press("y")
        await at.until_shows("changed by you")
        await at.press("p")
        await at.ended()
        assert path.steps[2].text.strip() == REJECTED
        assert (path.steps[2].state, path.end_reason) == ("accepted", "answered")

        rejected = await paused_after_step(at, 2)
        assert not at.main.check_action("keep", ())
        await at.press("n")
        await at.until(lambda: rejected.steps[1].overridden)
        await at.press("p")
        await at.ended()
        assert (rejected.steps[1].author, rejected.steps[1].state) == ("target", "rewritten")
        assert rejected.end_reason == "answered"

    sit(script, paths=1)


def test_a_path_is_dropped_and_one_added_with_the_strategy_that_was_chosen() -> None:
    async def script(at: Sitting) -> None:
        await at.ask_paused(lambda tree: tree.counts.drafted >= 2)
        await at.press("home")
        assert not at.main.check_action("drop", ())  # the problem is no path
        await at.put_cursor(Item("path", 1))
        await at.press("d")
        await at.until_shows("→ dropped")
        await at.press("a")
        await at.until_on("StrategyScreen")
        await at.press("escape")
        await at.until_on("MainScreen")
        await at.press("a")
        await at.until_on("StrategyScreen")
        options = at.app.screen.query_one(OptionList)
        followed = {f"letter-{path.strategy.letter}" for path in at.tree.paths.values()}
        assert options.get_option_at_index(options.highlighted or 0).id not in followed
        await at.press("down")
        chosen = options.get_option_at_index(options.highlighted or 0).id
        await at.press("enter")
        await at.until(lambda: len(at.tree.paths) == 4)
        assert f"letter-{at.tree.paths[3].strategy.letter}" == chosen
        assert at.tree.phase == "paused"
        await at.press("p")
        await at.ended()
        ends = [path.end_reason for path in at.tree.paths.values()]
        assert ends == ["answered", "dropped", "answered", "answered"]
        # Where a path has ended, the cursor follows another that is written.
        newest = Item("step", 0, 0).newest_in(at.tree, frozenset((Node("step", 2, 0),)))
        assert newest == Item("step", 2, len(at.tree.paths[2].steps) - 1)

    sit(script)


def test_the_cursor_follows_what_is_written_unless_led_elsewhere_and_ends_on_the_answer() -> None:
    async def script(at: Sitting) -> None:
        for moves in (("f",), ("up",), ("home", "down")):
            await at.ask_paused(lambda tree: tree.counts.drafted >= 2)
            item = at.main.run_tree.selected_item
            assert (item.kind, item.index) == ("step", 0)
            assert item.step >= 1
            await at.press(*moves)
            item = at.main.run_tree.selected_item
            await at.press("p")
            await at.ended()
            assert at.main.run_tree.selected_item == item
        await at.solve("another")  # is followed again
        assert at.main.run_tree.selected_item == Item("vote", 0)
        await at.until_shows("Winning answer")

    sit(script, paths=1)


def test_a_cursor_on_a_step_that_is_taken_back_stays_on_its_path() -> None:
    async def script(at: Sitting) -> None:
        await at.ask_paused(lambda tree: tree.paths and len(tree.paths[0].steps) >= 2)
        await at.put_cursor(Item("step", 0, len(at.tree.paths[0].steps) - 1))
        at.tree.paths[0].steps.pop()
        at.main.run_tree.sync([Node("path", 0)])
        await at.settle()
        last = len(at.tree.paths[0].steps) - 1
        assert at.main.run_tree.selected_item == Item("step", 0, last)
        at.tree.paths[0].steps.clear()
        at.main.run_tree.sync([Node("path", 0)])
        await at.settle()
        assert at.main.run_tree.selected_item == Item("path", 0)
        await at.press("x")
        await at.until(lambda: not at.app.control.running)

    sit(script)
