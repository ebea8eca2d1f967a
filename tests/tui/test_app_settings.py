"""Settings that are changed in the app, and when they take effect."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ssr_local.core.config import config_file
from ssr_local_tui.screens.field_row import FieldRow
from tests.tui.sitting import Sitting, covers, sit

pytestmark = pytest.mark.usefixtures("folders")


async def fill_in(at: Sitting, key: str, **values: str) -> None:
    """Open the settings, fill values in, and leave with a key."""
    await at.press("escape", "s")
    await at.until_on("SettingsScreen")
    for name, text in values.items():
        at.app.screen.query_one(f"#field-{name}", FieldRow).control.value = text
    await at.settle()
    await at.press(key)
    await at.until_on("MainScreen")


@covers("settings")
def test_what_is_changed_counts_from_the_next_run_on_and_is_saved_when_asked() -> None:
    file = "# mine\nmax-tokens = 700 # so\n"
    config_file().parent.mkdir(parents=True)
    config_file().write_text(file)

    async def script(at: Sitting) -> None:
        await at.solve()
        solver = at.app.runs.solver
        await fill_in(at, "ctrl+o", paths="2", mode="fast1")
        await at.until_shows("2 paths · fast1")
        assert len(at.tree.paths) == 3
        first = at.tree
        await at.press("r")
        await at.until(lambda: at.tree is not first)
        await at.ended()
        assert (at.tree.options["paths"], at.tree.options["mode"]) == (2, "fast1")
        assert at.app.runs.solver is solver  # the models stay loaded
        assert config_file().read_text() == file
        at.app._changed({"draft": None})
        origins = {one.name: one for one in at.app.settings.origins}
        assert (origins["draft"].value, origins["draft"].origin) == (None, "option")
        assert origins["max_tokens"].value == 700
        at.app._changed({"draft": "other"})
        assert at.app.settings.engine.draft == "other"
        await fill_in(at, "ctrl+s", threshold="5.5")
        await at.until_shows("≥ 5.5")
        assert at.app.settings.solve.threshold == 5.5
        assert config_file().read_text() == f"{file}threshold = 5.5\n"

    sit(script)


@pytest.mark.usefixtures("worker")
def test_another_pair_is_another_solver_and_the_old_models_are_given_back(folders: Path) -> None:
    (folders / "config").mkdir()
    (folders / "config" / "models.toml").write_text(
        "[models.one]\nfile = 'one.gguf'\nsources = [{ kind = 'file', path = '/nowhere/one' }]\n"
        "[pairs.other]\ndraft = 'one'\ntarget = 'one'\n"
    )

    async def script(at: Sitting) -> None:
        await at.solve()
        old, pid = at.app.runs.solver, at.app.runs.solver.worker_pid
        assert pid is not None
        await at.solve("another")
        assert at.app.runs.solver.worker_pid == pid
        at.app._changed({"pair": "other"})
        await at.until_shows("pair other")
        assert at.app.runs.solver is not old
        assert at.app.runs.solver.engine.pair == "other"
        await at.until(lambda: not is_alive(pid))
        at.app._changed({"pair": "nowhere"})
        await at.ask()
        await at.until_shows("'nowhere'")  # is unknown, which is said
        assert not at.app.control.busy
        at.app._changed({"pair": "demo"})
        await at.press("r")
        await at.until(lambda: at.app.control.error is None)
        await at.ended()
        await at.until_shows("Answer: 18")

    sit(script)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
