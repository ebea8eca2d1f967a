"""Programs that models write: right, wrong, not run, and hostile ones."""

from __future__ import annotations

import time

import pytest

from ssr_local.bench import programs
from ssr_local.bench.programs import ProgramOutcome, run_program
from ssr_local.bench.records import Problem

TOTAL = Problem(
    id="p/total",
    problem='from typing import List\n\n\ndef total(items: List[int]) -> int:\n    """ Sum."""',
    answer="",
    entry_point="total",
    test="def check(total):\n    assert total([1, 2]) == 3\n    assert total([]) == 0\n",
)
ZERO = Problem(
    id="p/zero",
    problem="import math\n\n\ndef poly(xs: list, x: float):\n"
    '    """Its value."""\n    return sum(c * math.pow(x, i) for i, c in enumerate(xs))\n\n\n'
    'def zero(xs: list):\n    """ Where poly is 0."""\n',
    answer="",
    entry_point="zero",
    test="def check(candidate):\n    assert math.fabs(poly([1, 2], candidate([1, 2]))) < 1e-4\n",
)


def solving(test: str) -> Problem:
    test = "def check(candidate):\n" + "".join(f"    {line}\n" for line in test.splitlines())
    return Problem(id="p", problem="def solve():\n", answer="", entry_point="solve", test=test)


@pytest.mark.parametrize(
    "code",
    [
        f"{TOTAL.problem}\n    return sum(items)\n",
        "def total(items):\n    return sum(items)",
        "def total(items: List[int]) -> int:\n    return sum(items)",
        "    return sum(items)\n",
        "n = 0\n    for i in items:\n        n += i\n    return n",
        "n = 0\nfor i in items:\n    n += i\nreturn n",
        "total = sum",
        "from dataclasses import dataclass\n@dataclass\nclass Box:\n    n: int = 0\n"
        "def total(items):\n    return Box(sum(items)).n",
        "import sys\nprint('noise' * 999_999)\ndef total(items):\n    return sum(items)",
    ],
)
def test_right_programs_in_every_form(code: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_program(TOTAL, code) == "right"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "code",
    [
        "def total(items):\n    return 3",
        "def total(items):\n    return 1 // 0",
        "class Odd: pass\ndef total(items):\n    return Odd()",
        "def total(items):\n    return total(items)",
        "def total(items:\n    return 3",
        "def total(items):\n    raise NotImplementedError",
        "def sum_up(items):\n    return sum(items)",
        "total = 3",
        "",
        "def total(items):\n    return 3\n1 / 0",
        "x = '\ud800'",
        "import numpy\ndef total(items):\n    return sum(items)",
        "nowhere\ndef total(items):\n    return sum(items)",
        "def total(items):\n    return items.summed()",
    ],
)
def test_wrong_programs(code: str) -> None:
    assert run_program(TOTAL, code) == "wrong"


@pytest.mark.parametrize(
    "code",
    [
        "import statistics\ndef total(items):\n    return sum(items)",
        "def total(items):\n    import fractions\n    return sum(items)",
        "from math import sumprod_\ndef total(items):\n    return sum(items)",
        "def total(items):\n    def each():\n        yield from items\n    return sum(each())",
        "class Mine(list): pass\ndef total(items):\n    return sum(Mine(items))",
        "def total(items):\n    return len(bytearray(sum(items)))",
        "def total(items):\n    'a'.translate({})\n    return sum(items)",
        "def total(items):\n    list(map(str.upper, 'ab'))\n    return sum(items)",
        "import re\ndef total(items):\n    re.sub('a', lambda m: 'b', 'a')\n    return sum(items)",
    ],
)
def test_what_the_interpreter_lacks_is_not_called_wrong(code: str) -> None:
    assert run_program(TOTAL, code) == "not run"


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ("def check(candidate:", "undecided"),
        ("nowhere\ndef check(candidate):\n    pass", "undecided"),
        ("def chck(candidate):\n    pass", "undecided"),
        ("import statistics\ndef check(candidate):\n    pass", "not run"),
        ("def check(candidate):\n    assert solve() == 1", "right"),
        ("def check(candidate):\n    sorted('ab', key=candidate)", "not run"),
        ("assert solve() == 2\ndef check(candidate):\n    pass", "wrong"),
    ],
)
def test_broken_tests_are_no_fault_of_the_program(test: str, outcome: ProgramOutcome) -> None:
    problem = Problem(id="p", problem="def solve():\n", answer="", entry_point="solve", test=test)
    assert run_program(problem, "def solve(): return 1") == outcome


def test_the_problems_imports_and_helpers_are_there_for_program_and_test() -> None:
    assert run_program(ZERO, "    return -xs[0] / xs[1] + 0 * poly(xs, 1)") == "right"
    assert (
        run_program(ZERO, "def zero(xs):\n    return math.floor(poly(xs, -0.5)) - 0.5") == "right"
    )
    assert run_program(ZERO, "    return 1.0") == "wrong"


def test_errors_reach_the_test_as_themselves() -> None:
    test = "try:\n    candidate()\nexcept KeyError as error:\n    assert 'why' in str(error)"
    assert run_program(solving(test), "def solve(): raise KeyError('why')") == "right"
    assert run_program(solving(test), "def solve(): raise ValueError('why')") == "wrong"


FORGERIES = {
    "exit": "def solve(): raise SystemExit",
    "end of iteration": "def solve(): raise StopIteration",
    "always equal": "class Equal:\n  def __eq__(self, other): return True\n"
    "def solve(): return Equal()",
    "hidden in a list": "class Equal:\n  def __eq__(self, other): return True\n"
    "def solve(): return [Equal()]",
    "a check of its own": "def check(candidate): pass\ndef solve(): pass",
    "names of ours": "call_the_program_ = args_ = named_ = check = None\ndef solve(): pass",
    "a value in itself": "x = []\nx.append(x)\ndef solve(): return x",
    "a deep value": "x = []\nfor _ in range(10**5): x = [x]\ndef solve(): return x",
    "a file": "def solve(): return open('/etc/hostname').read()",
    "the environment": "import os\ndef solve(): return os.environ['PATH']",
    "written": "from pathlib import Path\ndef solve(): Path('/tmp/x').write_text('x')",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_success_cannot_be_forged(name: str) -> None:
    problem = solving("assert all(candidate() == 'denied' for _ in 'ab')")
    assert run_program(problem, FORGERIES[name]) == "wrong"


@pytest.mark.parametrize("module", ["socket", "subprocess", "ctypes", "urllib.request"])
def test_nothing_leads_out(module: str) -> None:
    assert run_program(solving("candidate()"), f"import {module}\ndef solve(): pass") == "not run"


ENDLESS = {
    "a loop": "def solve():\n  while True: pass",
    "memory": "def solve():\n  x = []\n  while True: x.append('x' * 10**6)",
    "recursion": "def solve(): return [[solve()] for _ in range(3)]",
    "a long text": "def solve(): return 'x' * 10**10",
    "many calls": "import time\ndef solve():\n  start = time.monotonic()\n"
    "  while time.monotonic() - start < 0.3: pass",
    "a loop in the comparison": "class Slow:\n  def __eq__(self, other):\n    while True: pass\n"
    "def solve(): return Slow() == 1",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_program_costs_at_most_its_limit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "CALL_LIMIT_S", 0.5)
    monkeypatch.setattr(programs, "PROGRAM_LIMIT_S", 1.0)
    began = time.monotonic()
    assert run_program(solving("while True:\n    candidate()"), ENDLESS[name]) == "wrong"
    assert time.monotonic() - began < 5


def test_a_test_that_catches_everything_hides_no_endless_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(programs, "CALL_LIMIT_S", 0.3)
    problem = solving("try:\n    candidate()\nexcept Exception:\n    pass")
    assert run_program(problem, ENDLESS["a loop"]) == "wrong"
    assert run_program(problem, "def solve():\n  import statistics") == "not run"


def test_sleeping_takes_no_time() -> None:
    began = time.monotonic()
    code = "import time\ndef solve():\n  time.sleep(60)\n  return 1"
    assert run_program(solving("assert candidate() == 1"), code) == "right"
    assert time.monotonic() - began < 5
