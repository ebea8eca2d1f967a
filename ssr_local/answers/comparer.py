"""The comparisons of one run: each made once, and none that outlives the run."""

from __future__ import annotations

from collections.abc import Callable

from ssr_local.answers.compare import compare
from ssr_local.core.records import Comparison
from ssr_local.process.helper import Helper


class Comparer:
    """Compares answers, remembers the verdicts, and asks no algebra once it is to stop."""

    def __init__(
        self, helper: Helper | None, should_stop: Callable[[], bool] = lambda: False
    ) -> None:
        self._helper = helper
        self._should_stop = should_stop
        self._known: dict[tuple[str, str], Comparison] = {}

    def __call__(self, a: str, b: str) -> Comparison:
        """The verdict on two answers, as ``compare`` gives it; their order does not matter."""
        pair = (min(a, b), max(a, b))
        if pair in self._known:
            return self._known[pair]
        helper = None if self._should_stop() else self._helper
        verdict = compare(*pair, helper=helper, should_stop=self._should_stop)
        if verdict != "undecided" or not self._should_stop():
            self._known[pair] = verdict
        return verdict
