"""The thread governor, on simulated machines: programs share CPUs as an operating system shares
them, and every one of ours decides for itself from what it can see."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ssr_local.engine import threads
from ssr_local.engine.threads import CPUTimes, ThreadGovernor


class Machine:
    """CPUs in time slices of 0.05 s; ``loads`` are other programs' threads that never wait."""

    def __init__(self, num_cpus: int, *, others: float = 0.0, ours: int = 1) -> None:
        self.num_cpus, self.others = num_cpus, others
        self.now = self.busy = 0.0
        self.own = [0.0] * ours
        draw = random.Random(7).random
        self.governors = [
            ThreadGovernor(
                num_cpus, num_cpus, self._reader(number), draw, self.pass_by, self._teller(number)
            )
            for number in range(ours)
        ]
        self.running = [True] * ours

    def _reader(self, number: int) -> Callable[[], CPUTimes]:
        return lambda: CPUTimes(self.now, self.busy, self.own[number])

    def _teller(self, number: int) -> Callable[[int], list[int]]:
        def tell(_: int) -> list[int]:
            others = zip(self.governors, self.running, strict=True)
            return [g.num_threads for n, (g, runs) in enumerate(others) if runs and n != number]

        return tell

    def pass_by(self, seconds: float) -> None:
        """Let time pass in which none of ours computes."""
        self.busy += seconds * min(self.num_cpus, self.others)
        self.now += seconds

    def run(self, seconds: float) -> list[tuple[int, ...]]:
        """Let time pass; the numbers of threads in every slice."""
        seen = []
        for _ in range(round(seconds / 0.05)):
            numbers = [
                governor.next_call() if running else 0
                for governor, running in zip(self.governors, self.running, strict=True)
            ]
            share = min(1.0, self.num_cpus / max(1e-9, sum(numbers) + self.others))
            for number, taken in enumerate(numbers):
                self.own[number] += 0.05 * share * taken
            self.busy += 0.05 * share * (sum(numbers) + self.others)
            self.now += 0.05
            seen.append(tuple(numbers))
        return seen


@pytest.mark.parametrize(
    ("num_cpus", "others", "expected"),
    [(2, 0, 2), (2, 0.2, 2), (2, 1, 1), (2, 5, 1), (8, 0, 8), (8, 1, 7), (8, 3, 5), (1, 1, 1)],
)
def test_the_cores_that_others_use_are_left_to_them(
    num_cpus: int, others: float, expected: int
) -> None:
    machine = Machine(num_cpus, others=others)
    assert set(machine.run(10)[20:]) == {(expected,)}


def test_they_are_taken_back_when_they_are_free() -> None:
    machine = Machine(4, others=2)
    machine.run(5)
    machine.others = 0
    numbers = [number for (number,) in machine.run(3)]
    assert numbers[-1] == 4
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(("before", "now", "expected"), [(0, 1, 1), (2, 0, 2)])
def test_after_a_pause_only_the_present_counts(before: int, now: int, expected: int) -> None:
    machine = Machine(2)
    machine.others = before
    machine.pass_by(600)
    machine.others = now
    machine.pass_by(5)
    assert machine.governors[0].next_call() == expected


def test_a_system_that_does_not_tell_gets_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(percpu: bool) -> None:
        raise PermissionError

    monkeypatch.setattr(psutil, "cpu_times", refuse)
    governor = ThreadGovernor(4, 4, threads._cpu_times, random.random, time.sleep, lambda _: [])
    time.sleep(0.25)
    assert governor.next_call() == 4


def test_a_moments_work_elsewhere_changes_nothing() -> None:
    machine = Machine(2)
    machine.run(1)
    machine.others = 1
    machine.run(0.05)
    machine.others = 0
    assert set(machine.run(1)) == {(2,)}


@pytest.mark.parametrize(("num_cpus", "ours"), [(2, 2), (4, 2), (8, 2), (8, 4), (4, 3), (6, 4)])
def test_processes_of_our_own_share_the_machine_and_come_to_rest(num_cpus: int, ours: int) -> None:
    machine = Machine(num_cpus, ours=ours)
    machine.run(60)
    late = machine.run(60)
    assert sum(min(numbers) >= num_cpus // ours for numbers in late) >= 0.9 * len(late)
    assert sum(sum(numbers) <= num_cpus for numbers in late) >= 0.95 * len(late)
    changes = sum(before != after for before, after in itertools.pairwise(late))
    assert changes <= 12  # in a minute


@pytest.mark.parametrize("num_cpus", [2, 4, 6, 8])
def test_one_that_starts_later_gets_its_half(num_cpus: int) -> None:
    machine = Machine(num_cpus, ours=2)
    machine.running[1] = False
    assert machine.run(5)[-1] == (num_cpus, 0)
    machine.running[1] = True
    late = machine.run(90)[-400:]
    assert sum(min(numbers) >= num_cpus // 2 for numbers in late) >= 0.9 * len(late)


def test_a_long_call_is_no_pause() -> None:
    machine = Machine(2)
    machine.own[0] += 6.0
    machine.busy += 6.0
    machine.now += 3.0
    before = machine.now
    assert machine.governors[0].next_call() == 2
    assert machine.now == before, "nothing was waited for"


def test_one_that_ends_leaves_its_cores_to_the_other() -> None:
    machine = Machine(2, ours=2)
    assert machine.run(20)[-1] == (1, 1)
    machine.running[0] = False
    assert machine.run(5)[-1] == (0, 2)


def test_a_program_that_comes_and_goes_is_followed_less_and_less_eagerly() -> None:
    machine = Machine(2)
    seen: list[int] = []
    for second in range(120):
        machine.others = second % 2
        seen += [number for (number,) in machine.run(1)]
    halves = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    early, late = ([a != b for a, b in itertools.pairwise(half)] for half in halves)
    assert sum(late) < sum(early)


def test_the_machine_is_read_as_it_is() -> None:
    before = threads._cpu_times()
    while threads._cpu_times().own < before.own + 0.3:
        pass
    after = threads._cpu_times()
    assert after.at > before.at
    assert after.busy - before.busy >= 0.2  # hundredths of a second are rounded
    governor = threads.governor()
    assert governor is threads.governor()
    assert 1 <= governor.next_call() <= len(threads._cpus())


def test_processes_hear_of_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads.folders, "cache_dir", lambda: tmp_path)
    assert threads._told(3) == []
    word = tmp_path / "computing" / "1"
    word.write_text("5")
    assert threads._told(3) == [5]
    old = time.time() - 60
    os.utime(word, (old, old))
    assert threads._told(3) == []
    os.utime(word, (old - 7200, old - 7200))
    threads._told(3)
    assert not word.exists()
    monkeypatch.setattr(threads.folders, "cache_dir", lambda: tmp_path / "computing" / "x" / "y")
    (tmp_path / "computing" / "x").write_text("in the way")
    assert threads._told(3) == []
