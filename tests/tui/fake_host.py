"""The app as a controller knows it, without a screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ssr_local import SSRError
from ssr_local.core.config import load_settings
from ssr_local_tui.runs import Runs


class FakeHost:
    """An app without a screen; ``background`` is done when the test says so."""

    pair_name = "pair demo"

    def __init__(self) -> None:
        self.settings = load_settings({"pair": "demo", "seed": 1}, env={})
        self.runs = Runs(self.settings.engine, lambda _: None, lambda _: None, keep=False)
        self.background: list[Callable[[], object]] = []

    def key_of(self, binding_id: str) -> str:
        return binding_id

    def in_background(
        self,
        work: Callable[[], Any],
        then: Callable[[Any], object],
        failed: Callable[[SSRError], object],
    ) -> None:
        def run() -> None:
            try:
                outcome = work()
            except SSRError as error:
                failed(error)
            else:
                then(outcome)

        self.background.append(run)

    def work(self) -> None:
        while self.background:
            self.background.pop(0)()
