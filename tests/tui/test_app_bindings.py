"""No binding without a test that presses it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from ssr_local_tui.app import SSRApp
from ssr_local_tui.screens.comparison import ComparisonScreen
from ssr_local_tui.screens.dialog import Dialog
from ssr_local_tui.screens.help import HelpScreen
from ssr_local_tui.screens.history import HistoryScreen
from ssr_local_tui.screens.main import MainScreen
from ssr_local_tui.screens.practice import PracticeScreen
from ssr_local_tui.screens.tutor import TutorScreen
from ssr_local_tui.widgets.problem import ProblemInput
from ssr_local_tui.widgets.run_tree import RunTree

MODULES = tuple(
    import_module(f"tests.tui.{file.stem}")
    for file in Path(__file__).parent.glob("test_app*.py")
    if file.name != Path(__file__).name
)
OWNERS = (
    *(SSRApp, MainScreen, ProblemInput, RunTree),
    *(ComparisonScreen, Dialog, HelpScreen, HistoryScreen, PracticeScreen, TutorScreen),
)


def covered(module: ModuleType) -> Iterator[str]:
    for name, test in inspect.getmembers(module, inspect.isfunction):
        if name.startswith("test_"):
            yield from getattr(test, "covered", ())


def test_every_binding_is_pressed_by_a_test_and_has_words_for_the_help() -> None:
    bindings = [one for owner in OWNERS for one in vars(owner)["BINDINGS"]]
    ids = {one.id for one in bindings}
    assert len(ids) == len(bindings)
    assert {name for module in MODULES for name in covered(module)} == ids
    assert all(one.description and one.tooltip for one in MainScreen.BINDINGS)  # type: ignore[union-attr]
