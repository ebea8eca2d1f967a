"""Right, wrong and undecided, for code in every form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssr_local.bench.sandbox import CodeVerdict, judging, run_code
from tests.unit.bench.sandbox.attempts import (
    ROOT,
    nothing_left,  # noqa: F401 - a fixture
    on_linux,
)

pytestmark = [on_linux, pytest.mark.usefixtures("nothing_left")]


ADD = 'from typing import List\n\n\ndef total(items: List[int]) -> int:\n    """ Their sum."""\n'
ADD_TEST = (
    "def check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0\n"
)
HELPED = (
    "import math\n\n\ndef poly(xs: list, x: float):\n"
    '    """Its value."""\n    return sum(c * math.pow(x, i) for i, c in enumerate(xs))\n\n\n'
    'def zero(xs: list):\n    """ Where poly is 0."""\n'
)
HELPED_TEST = (
    "def check(candidate):\n    assert math.fabs(poly([1, 2], candidate([1, 2]))) < 1e-4\n"
)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(ADD + "    return sum(items)\n", id="whole"),
        pytest.param("def total(items):\n    return sum(items)", id="without annotations"),
        pytest.param(
            "def total(items: List[int]) -> int:\n    return sum(items)", id="without imports"
        ),
        pytest.param(
            "from __future__ import annotations\ndef total(items: Nope):\n    return sum(items)",
            id="future import",
        ),
        pytest.param("    return sum(items)\n", id="body"),
        pytest.param("\n    return sum(items)", id="body after an empty line"),
        pytest.param("return sum(items)", id="body without indentation"),
        pytest.param(
            "n = 0\n    for i in items:\n        n += i\n    return n", id="body, stripped"
        ),
        pytest.param("n = 0\nfor i in items:\n    n += i\nreturn n", id="body, dedented"),
        pytest.param("total = sum", id="assigned"),
        pytest.param("from builtins import sum as total", id="imported"),
        pytest.param(
            "def total(items):\n    return sum(items)\nif __name__ == '__main__':\n    1 / 0",
            id="with a main part",
        ),
        pytest.param(
            "from dataclasses import dataclass\n@dataclass\nclass Box:\n    n: 'int' = 0\n"
            "def total(items):\n    return Box(sum(items)).n",
            id="dataclass",
        ),
        pytest.param("print('noise')\ndef total(items):\n    return sum(items)", id="prints"),
        pytest.param(
            "import random, hashlib, decimal, heapq, re, bisect, string, fractions, statistics\n"
            "def total(items):\n    return sum(items)",
            id="library",
        ),
    ],
)
def test_right_code_in_every_form(code: str) -> None:
    assert run_code(code, problem=ADD, test=ADD_TEST, entry_point="total") == CodeVerdict("right")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def total(items):\n    return 3", "AssertionError: assert candidate([]) == 0"),
        ("def total(items):\n    return [*items]", "AssertionError: assert candidate([1, 2]) == 3"),
        ("def total(items):\n    return 1 // 0", "ZeroDivisionError: integer division or modulo"),
        ("def total(items):\n    assert 0, 'mine'", "AssertionError: mine"),
        ("def total(items):\n    raise KeyError('x')", "KeyError: 'x'"),
        ("class Odd(Exception): pass\ndef total(items):\n    raise Odd('why')", "Odd: why"),
        ("def total(items):\n    return total(items)", "RecursionError: maximum recursion depth"),
        ("def total(items):", "IndentationError: expected an indented block"),
        ("def total(items:\n    return 3", "SyntaxError: "),
        ("    return (items", "SyntaxError: "),
        ("def sum_up(items):\n    return sum(items)", "NameError: the code does not define total"),
        ("print(total)", "NameError: the code does not define total"),
        ("total = 3", "NameError: the code does not define total"),
        ("", "NameError: the code does not define total"),
        ("def total(items):\n    return 3\n1 / 0", "ZeroDivisionError: division by zero"),
        ("a\0b", ": source code "),
        ("x = '\ud800'", "UnicodeEncodeError: "),
        ("def total(items):\n    raise ValueError('\\ud800')", ""),  # in any words
        ("def total():\n    return 3", "TypeError: total() takes 0 positional arguments but 1"),
        ("import numpy\ndef total(items):\n    return sum(items)", "ModuleNotFoundError: "),
        ("def total(items):\n    return input()", "EOFError: "),
    ],
)
def test_wrong_code_says_why(code: str, reason: str) -> None:
    verdict = run_code(code, problem=ADD, test=ADD_TEST, entry_point="total")
    assert verdict.outcome == "wrong"
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("def check(candidate:", "the test cannot be run: SyntaxError: "),
        ("def check(candidate):\n    pass\nnowhere", "the test cannot be run: NameError: "),
        ("def chck(candidate):\n    pass", "the test cannot be run: it does not define check"),
        ("def check(candidate):\n    candidate(print)", "hands over a builtin_function"),
        (
            "def check(candidate):\n    try:\n        candidate(print)\n    except:\n        pass",
            "hands over a builtin_function",
        ),
        ("def check(candidate):\n    import os; os._exit(0)", "the test ended itself: 0"),
    ],
)
def test_a_test_that_cannot_be_run_says_nothing_about_the_code(test: str, reason: str) -> None:
    verdict = run_code("total = sum", problem=ADD, test=test, entry_point="total")
    assert verdict.outcome == "undecided"
    assert reason in verdict.reason


def test_helpers_of_the_problem_are_there_for_code_and_test() -> None:
    for code in ("def zero(xs):\n    return -xs[0] / xs[1] + 0 * poly(xs, 1)", "    return -0.5"):
        verdict = run_code(code, problem=HELPED, test=HELPED_TEST, entry_point="zero")
        assert verdict == CodeVerdict("right")


@pytest.mark.parametrize("problem", ["def f(x):\n    # no docstring\n", "import math\ndef f(x", ""])
def test_problems_that_do_not_parse(problem: str) -> None:
    code, test = "def f(x):\n    return x", "def check(candidate):\n    assert candidate(1) == 1\n"
    assert run_code(code, problem=problem, test=test, entry_point="f") == CodeVerdict("right")


HUMANEVAL = ROOT.parent / "shared" / "bench" / "humaneval.jsonl"


@pytest.mark.skipif(not HUMANEVAL.exists(), reason="the data is not here")
@pytest.mark.parametrize("number", [0, 11, 27, 33, 58, 81])
def test_reference_solutions_are_right_and_empty_ones_wrong(number: int) -> None:
    data = json.loads(HUMANEVAL.read_text(encoding="utf-8").splitlines()[number])
    given = {name: data[name] for name in ("problem", "test", "entry_point")}
    assert run_code(data["problem"] + data["answer"], **given) == CodeVerdict("right")
    assert run_code(data["answer"], **given) == CodeVerdict("right")
    assert run_code(data["problem"] + "    return None", **given).outcome == "wrong"


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters())
    | st.binary()
    | st.fractions()
    | st.decimals(allow_nan=False)
    | st.builds(range, st.integers(), st.integers()),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=10,
)


@given(plain)
@settings(max_examples=50, deadline=None)
def test_plain_data_arrives_as_it_is(value: Any) -> None:
    arrived = judging.decode(json.loads(json.dumps(judging.encode(value))))
    assert repr(arrived) == repr(value)


def test_sets_huge_integers_and_endless_numbers_arrive() -> None:
    for value in (10**6000, float("inf"), -0.0, {1, "a", (2, 3)}, frozenset({1, 2})):
        arrived = judging.decode(judging.encode(value))
        assert arrived == value
        assert type(arrived) is type(value)
    assert str(judging.decode(judging.encode(float("nan")))) == "nan"


def test_other_objects_equal_nothing_but_can_be_gone_through() -> None:
    arrived = judging.decode(judging.encode({"a": 1, "b": 2}.keys()))
    assert list(arrived) == ["a", "b"]
    assert arrived != {"a", "b"}
    code = "def total(items):\n    yield from items"
    test = "def check(candidate):\n    assert tuple(candidate([1, 2])) == (1, 2)\n"
    assert run_code(code, problem=ADD, test=test, entry_point="total") == CodeVerdict("right")
