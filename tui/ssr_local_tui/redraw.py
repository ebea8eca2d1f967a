"""How often to draw, so that drawing takes little from the models. No widgets."""

from __future__ import annotations

import time

# However fast events come.
_SHORTEST_GAP_S = 0.05
# Of what is expensive to draw: figures, and a text that grows.
_DEAR_S = 1.0
_DEAR_ON_CPU_S = 2.0
_IDLE_S = 0.25
_SHORTEST_WAIT_S = 0.002
# The share of a CPU that drawing may take from the models.
_DRAWING_SHARE = 0.015
# Where the CPU is all the models have, a word half a second late is the better deal.
_LONGEST_GAP_S = 0.7


class Redraw:
    """Looking and drawing take CPU time, so the costlier they are, the rarer.

    What all of the app uses between two drawings is what a drawing costs.
    """

    def __init__(self) -> None:
        self._due_s = self._dear_s = 0.0
        self.restart()

    def restart(self) -> None:
        """Another run begins: what drawing costs is not known yet."""
        self._cost_s, self._used_s = 0.0, time.process_time()

    def drawn(self) -> None:
        """Something has been drawn."""
        used_s, self._used_s = self._used_s, time.process_time()
        self._cost_s = 0.8 * self._cost_s + 0.2 * (self._used_s - used_s)

    def is_expensive_due(self, now_s: float, *, on_cpu: bool) -> bool:
        """Whether what is expensive can be drawn again; ``on_cpu`` says that models run there."""
        return now_s - self._dear_s >= (_DEAR_ON_CPU_S if on_cpu else _DEAR_S)

    def expensive_drawn(self) -> None:
        """What is expensive has been drawn."""
        self._dear_s = time.monotonic()

    def wait_s(self, started_s: float, *, running: bool, on_cpu: bool) -> float:
        """How long to wait after a drawing that began at ``started_s``, and was to begin when
        the wait before it was over."""
        # A terminal that does not take what is drawn holds the whole app up: then draw less.
        late_s = max(0.0, started_s - self._due_s) if self._due_s else 0.0
        gap_s = _IDLE_S
        if running:
            slower_s = max(2 * late_s, self._cost_s / _DRAWING_SHARE if on_cpu else 0.0)
            gap_s = max(_SHORTEST_GAP_S, min(_LONGEST_GAP_S, slower_s))
        now_s = time.monotonic()
        wait_s = max(_SHORTEST_WAIT_S, started_s + gap_s - now_s)
        self._due_s = now_s + wait_s
        return wait_s
