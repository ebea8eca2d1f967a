"""Programs as small models write them, run: the right value, exact, or why there is none."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssr_local.answers import program_pool
from ssr_local.answers.program import Limits, run_program
from ssr_local.answers.program_text import read_program

DRAFT = """To solve this problem, we need the number of bananas for both weeks. Here's a program:

```python
# Given data
monkeys = 20
gorillas = 40
weeks = 2

# Calculate the total
total = (monkeys + gorillas) * weeks

print(total)
```
```output
100
```
The zoo needs \\(\\boxed{100}\\) bananas.
"""

VALUES = {
    "a function": ("def solution():\n    return 5", "5"),
    "another name": ("def total_cost():\n    return 4 * 1.5", "6"),
    "a helper before": ("def a():\n    return 3\ndef b():\n    return a() + 1", "4"),
    "a helper behind": ("def main():\n    return helper() + 1\ndef helper():\n    return 4", "5"),
    "solution before others": ("def solution():\n    return 1\ndef other():\n    return 2", "1"),
    "a lambda": ("solution = lambda: 5", "5"),
    "defaults": ("def f(n=4, *, m=2):\n    return n * m", "8"),
    "called with arguments": ("def f(n=4):\n    return n * 2\nprint(f(5))", "10"),
    "needs arguments": ("def f(a, b):\n    return a + b\nx = f(2, 3)", "5"),
    "prints inside": ("def solution():\n    print('The answer is 5')", "5"),
    "returns and prints": ("def solution():\n    print('step 3')\n    return 5", "5"),
    "prints at the end": ("def f(p):\n    return p * 4\nt = f(5)\nprint('Cost:', t, '$')", "20"),
    "a main guard": (
        "def main():\n    x = 5\n    print(x)\nif __name__=='__main__':\n main()",
        "5",
    ),
    "a value in the guard": ("x = 3\nif __name__ == '__main__':\n    y = x + 1", "4"),
    "a formatted print": ("print(f'Total: ${1234.5:,.2f}')", "1234.5"),
    "a bare expression": ("a = 3\na * 4", "12"),
    "a printed None": ("def f():\n    print(7)\nprint(f())", "7"),
    "an assignment": ("x = 1\ny = x + 1", "2"),
    "two at once": ("x, y = 1, 2", "(1, 2)"),
    "a loop": ("x = 10\nfor i in range(3):\n    x -= i", "7"),
    "a branch": ("x = 4\nif x > 3:\n    x = 5\nelse:\n    y = 1", "5"),
    "a statement without value": ("x = []\nx.append(5)", "5"),
    "a body": ("x = 3\nif x > 2:\n    return x\nreturn 0", "3"),
    "a global": ("def solve():\n    global n\n    n = 4\nsolve()\nprint(n)", "4"),
    "a class": ("class Box:\n    def size(self):\n        return 5\nprint(Box().size())", "5"),
    "a broken example": ("def solution():\n    return 5\nprint(solution(3), nowhere)", "5"),
    "a wrong check": ("def solution():\n    return 5\nassert solution() == 6", "5"),
    "hints and a docstring": (
        'from typing import List\ndef solution(xs: List[int] = [1, 2]) -> int:\n    """Add.\n\n'
        '    >>> solution()\n    3\n    """\n    return sum(xs)',
        "3",
    ),
    "an unused import": ("import sympy\nimport numpy as np\ndef solution():\n    return 4", "4"),
    "math": ("import math\ndef solution():\n    return math.comb(5, 2)", "10"),
    "all of math": ("from math import *\nprint(sqrt(16) + factorial(3))", "10"),
    "the future": ("from __future__ import annotations\nprint(5)", "5"),
    "a fraction": (
        "from fractions import *\ndef solution():\n    return Fraction(6, 8)",
        "3/4",
    ),
    "a renamed fraction": ("from fractions import Fraction as F\nprint(F(1, 3) + F(1, 6))", "1/2"),
    "its module": ("import fractions\nfractions.Fraction('0.75') - 1", "-1/4"),
    "a whole fraction": ("from fractions import Fraction\nprint(Fraction(1, 2) * 4)", "2"),
    "fractions in a list": ("from fractions import Fraction\nprint([Fraction(1, 2), 3])", "1/2, 3"),
    "the nearest fraction": (
        "from fractions import Fraction\nFraction(0.333333).limit_denominator(10)",
        "1/3",
    ),
    "decimals": ("from decimal import Decimal\nDecimal('0.10') + Decimal('0.2')", "0.3"),
    "floats": ("0.1 + 0.2", "0.3"),
    "a text": ("def solution():\n    return 'Alice'", "Alice"),
    "a tuple": ("def solution():\n    return 3, 4.0", "(3, 4)"),
    "sleep": ("import time\ntime.sleep(60)\nprint(1)", "1"),
    "an interpreter's session": (">>> x = 4\n>>> x + 1\n5\n>>> x + 2\n6", "6"),
    "a made-up output": (DRAFT, "120"),
}


@pytest.mark.parametrize("form", VALUES)
def test_what_programs_say(form: str) -> None:
    text, value = VALUES[form]
    code = read_program(text)
    assert code is not None
    result = run_program(code)
    assert (result.value, result.failure) == (value, "")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def solution():\n    x = 5", "returns nothing"),
        ("def solution():\n    return None", "returns nothing"),
        ("x = 5\ndef solution():\n    pass", "returns nothing"),
        ("def f(a, b=1, *, c):\n    return a", "function f, which needs a, c"),
        ("n = int(input())\nprint(n)", "asks for input"),
        ("def solution():\n    return float('nan')", "not a number"),
        ("def solution():\n    return []", "empty"),
        ("def solution():\n    return lambda: 5", "function"),
        ("import sympy\nprint(sympy.sqrt(4))", "no module sympy"),
        ("import numpy as np\nprint(np.sum([1, 2]))", "no module numpy"),
        ("def solution():\n    yield 5", "cannot run here"),
        ("def solution():\n    return 1 / 0", "ZeroDivisionError: division by zero"),
        ("def solution():\n    return total", "'total' is not defined"),
        ("def solution(:", "not Python"),
        ("raise SystemExit", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("x = []\nfor _ in range(10**5):\n    x = [x]\nx", "list in lists"),
        ("10**4000", "longer"),
    ],
)
def test_programs_without_an_answer_say_why(code: str, reason: str) -> None:
    result = run_program(code)
    assert result.value is None
    assert reason in result.failure


HOSTILE = {
    "an endless loop": "while True: pass",
    "an endless function": "def solution():\n    while True: pass\nsolution()",
    "endless prints": "while True: print('x' * 10**4)",
    "100 MB printed": "for _ in range(100): print('x' * 10**6)\nwhile True: pass",
    "one long print": "print('x' * 10**8)",
    "a long sum": "sum(range(10**10))",
    "a tower": "10**10**10",
    "a power without a clock": "3**10**8 % 7",
    "a factorial": "import math\nmath.factorial(10**7)",
    "a long text": "'a' * 10**10",
    "a long list": "[0] * 10**9",
    "growing memory": "x = []\nwhile True: x.append('x' * 10**6)",
    "a wide format": "f'{5:1000000000}'",
    "recursion": "def f(n):\n    return f(n - 1) + f(n - 1)\nf(10**9)",
    "a regular expression": "import re\nwhile True: re.match('(a+)+$', 'a' * 30 + 'b')",
    "a shell": "import os\nos.system('touch /tmp/hostile')",
    "a hidden import": "__import__('os').system('touch /tmp/hostile')",
    "a process": "import subprocess\nsubprocess.run(['true'])",
    "a socket": "import socket\nsocket.socket()",
    "a file": "open('/etc/hostname').read()",
    "a file written": "from pathlib import Path\nPath('/tmp/hostile').write_text('x')",
    "the environment": "import os\nos.environ['PATH']",
    "eval": "eval('__import__(\"os\")')",
    "dunders": "().__class__.__bases__[0].__subclasses__()",
    "the globals": "globals()['__builtins__']",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_costs_its_limit_and_itself(name: str) -> None:
    began = time.monotonic()
    result = run_program(HOSTILE[name], Limits(seconds=0.6))
    assert time.monotonic() - began < 3
    assert result.value is None
    assert result.failure
    assert run_program("2 + 3").value == "5"


def test_the_limit_is_two_seconds_for_all_that_is_tried() -> None:
    code = "def solution():\n    while True: pass\nprint(solution())"
    began = time.monotonic()
    assert "too long" in run_program(code).failure
    assert 1 < time.monotonic() - began < 3.5


numbers = st.fractions(-50, 50, max_denominator=40)


@given(numbers, numbers, st.integers(-4, 4))
@settings(max_examples=40, deadline=None)
def test_fractions_reckon_as_pythons_do(a: Fraction, b: Fraction, n: int) -> None:
    source = "a + b, a - b, a * b, -a, abs(a), a + n, n - a, n * a, round(a), round(a, 1), int(a)"
    source += ", float(a), str(a), a == b, a == n, a.limit_denominator(7), sum([a, b])"
    source += ", a / b, n / b, a // b, a % b" if b else ""
    source += ", a ** n" if a else ""
    code = f"from fractions import Fraction\na, b, n = {a!r}, {b!r}, {n}\nprint(repr(({source})))"
    expected = repr(eval(source, {"a": a, "b": b, "n": n}))
    assert run_program(code).shown == expected


def test_programs_share_the_pool_and_nothing_else() -> None:
    limits = {"seconds": 1.0, "memory_bytes": 1 << 24}
    with program_pool.session(**limits) as first:
        program_pool.feed(first, "x = 5")
        worker = first.worker_pid
    with program_pool.session(**limits) as second:
        assert second.worker_pid == worker
        with pytest.raises(program_pool.library().MontyError, match="'x' is not defined"):
            program_pool.feed(second, "x")


def test_threads_may_run_programs_at_once() -> None:
    found: list[str | None] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(run_program(f"{n} * 2").value))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(map(int, filter(None, found))) == list(range(0, 24, 2))


def test_a_closed_pool_opens_again() -> None:
    program_pool.close()
    program_pool.close()
    assert run_program("5").value == "5"


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a process by its id")
def test_no_interpreter_outlives_this_program() -> None:
    source = (
        "from ssr_local.answers import program_pool as pool\n"
        "with pool.session(seconds=1, memory_bytes=1 << 24) as session: print(session.worker_pid)"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    assert not _is_running(int(done.stdout))


def _is_running(pid: int) -> bool:
    found = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")


def test_without_the_interpreter_programs_are_not_available(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_monty", None)
    assert "not available here: " in run_program("5").failure
    assert "pydantic-monty is not installed" in run_program("5").failure


@pytest.mark.parametrize(
    "after",
    [
        "assert solution() == 41",
        "def check():\n    assert solution() == 41\n\ncheck()",
        "def test():\n    assert solution() == 41\n\ndef main():\n    test()\n\nmain()",
        "try:\n    assert solution() == 41\nexcept ValueError:\n    pass",
        "expected = 41\nassert expected == 42",
    ],
)
def test_a_models_own_wrong_test_does_not_cost_the_answer(after: str) -> None:
    assert run_program(f"def solution():\n    return 6 * 7\n\n{after}\n").value == "42"
