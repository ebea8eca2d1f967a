"""How many threads an engine's next call takes, by what other programs leave of the CPU.

The libraries' threads wait for one another at every layer, and spin while they wait. A thread
that has to share its core keeps all of them waiting until the operating system takes turns: on
two cores one busy program makes a call 24 times as long. So the cores that others use are left
to them, and taken back when they are free.
"""

from __future__ import annotations

import functools
import os
import random
import sys
import time
from collections.abc import Callable, Sequence

import psutil
from msgspec import Struct

from ssr_local.core import folders
from ssr_local.engine.hardware import physical_cores

_WINDOW_S = 0.2
"""How long is looked at. Linux counts CPU time in hundredths of a second."""

_STALE_S = 2.0
"""What lies further back says nothing of now: then a moment is looked at by itself."""

_MARGIN = 0.25
"""How much of a core may be in use by others for it to be taken back."""

_HOLD_S = (0.5, 30.0)
"""How long a number stays before more threads are tried: the longer, the oftener that failed."""

_FORGOTTEN_S = 3600.0

_PROVEN_S = 3.0
"""Threads that were added and kept so long were rightly added."""


class CPUTimes(Struct, frozen=True):
    """Seconds of CPU time: ``busy`` of all programs on the CPUs this process may use, ``own``
    of this process; ``at`` on the monotonic clock."""

    at: float
    busy: float
    own: float


class ThreadGovernor:
    """Chooses between 1 and ``most`` threads, where this process may use ``num_cpus`` CPUs.

    ``tell`` takes how many there are, and returns those of other processes of ours.
    """

    def __init__(
        self,
        most: int,
        num_cpus: int,
        read: Callable[[], CPUTimes],
        draw: Callable[[], float],
        wait: Callable[[float], object],
        tell: Callable[[int], Sequence[int]],
    ) -> None:
        self._most, self._num_cpus = most, num_cpus
        self._read, self._draw, self._wait, self._tell = read, draw, wait, tell
        self._last = read()
        self.num_threads = most
        self._hold_s = _HOLD_S[0]
        self._changed_at = self._held_until = float("-inf")
        self._raised = False

    def next_call(self) -> int:
        """The number of threads for a call that begins now."""
        times = self._read()
        elapsed = times.at - self._last.at
        if elapsed > _STALE_S and times.own - self._last.own < elapsed / 2:  # a pause, no long call
            self._last = times
            self._wait(_WINDOW_S)
            times = self._read()
        elapsed = times.at - self._last.at
        if elapsed < _WINDOW_S:
            return self.num_threads
        others = max(0.0, (times.busy - self._last.busy) - (times.own - self._last.own)) / elapsed
        self._last = times
        free = self._num_cpus - others
        fewer = max(1, min(self._most, int(free + 0.5)))
        more = max(1, min(self._most, int(free + _MARGIN)))
        if fewer < self.num_threads:
            # Programs that all step back and forth at once would do so for ever: each waits
            # longer after every try that failed, and not as long as the next.
            failed = self._raised and times.at - self._changed_at < _PROVEN_S
            self._hold_s = min(_HOLD_S[1], 2 * self._hold_s) if failed else _HOLD_S[0]
            self._change(fewer, times.at)
        elif more > self.num_threads and times.at >= self._held_until:
            self._change(more, times.at)
        peers = self._tell(self.num_threads)
        if peers:  # another of ours gives way to one that takes its share, and to nothing else
            left = self._num_cpus - max(0.0, others - sum(peers))
            share = min(self._most, int((left + 0.5) / (len(peers) + 1)))
            if share > self.num_threads:
                self._change(share, times.at)
        return self.num_threads

    def _change(self, num_threads: int, at: float) -> None:
        self._raised = num_threads > self.num_threads
        self.num_threads, self._changed_at = num_threads, at
        self._held_until = at + self._hold_s * (1 + self._draw())


@functools.cache
def governor() -> ThreadGovernor:
    """The one of this process: its engines compute in turn."""
    return ThreadGovernor(
        physical_cores(), len(_cpus()), _cpu_times, random.random, time.sleep, _told
    )


def _told(num_threads: int) -> list[int]:
    """Leave word of this process's threads; what others have said in the last moments."""
    folder = folders.cache_dir() / "computing"
    own, found = folder / str(os.getpid()), []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        own.write_text(str(num_threads))
        now = own.stat().st_mtime
        for file in folder.iterdir():
            age_s = now - file.stat().st_mtime
            if file != own and age_s <= _STALE_S:
                found.append(int(file.read_text() or 1))
            elif age_s > _FORGOTTEN_S:
                file.unlink(missing_ok=True)
    except (OSError, ValueError):  # nowhere to write, or it is gone already: each for itself
        pass
    return found


def _cpus() -> list[int]:
    if sys.platform == "linux":
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _cpu_times() -> CPUTimes:
    own = time.process_time()
    kinds = ["user", "system", "irq", "softirq", "steal"]
    if _is_niced():  # else programs of lower priority give way
        kinds.append("nice")
    try:
        times = psutil.cpu_times(percpu=True)
    except (OSError, psutil.Error, NotImplementedError):  # a sandbox that does not tell
        return CPUTimes(time.monotonic(), own, own)
    used = (getattr(times[cpu], kind, 0.0) for cpu in _cpus() if cpu < len(times) for kind in kinds)
    return CPUTimes(time.monotonic(), sum(used), own)


def _is_niced() -> bool:
    return sys.platform != "win32" and os.getpriority(os.PRIO_PROCESS, 0) > 0
