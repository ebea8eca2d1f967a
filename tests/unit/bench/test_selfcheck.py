"""Every reference answer of the shipped problems, worked out a second time."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
import sympy
from sympy import Rational, sqrt, symbols

from ssr_local.answers.comparer import Comparer
from ssr_local.bench.tasks import load_problems
from ssr_local.process.helper import Helper

PROBLEMS = {problem.id: problem for problem in load_problems("selfcheck")}
x, y = symbols("x y")


def divisible(*numbers: int) -> int:
    return max(n for n in range(1, min(numbers) + 1) if all(number % n == 0 for number in numbers))


def counted(condition: Callable[[int], bool], numbers: range) -> int:
    return sum(1 for number in numbers if condition(number))


def climbs(number: int) -> bool:
    digits = str(number)
    return all(a < b for a, b in itertools.pairwise(digits))


def is_square_product(throw: int) -> bool:
    product = (throw // 6 + 1) * (throw % 6 + 1)
    return math.isqrt(product) ** 2 == product


def circumradius() -> sympy.Expr:
    a, b, c = sympy.Point(0, 0), sympy.Point(7, 0), sympy.Point(4, 4 * sqrt(3))
    assert (a.distance(b), a.distance(c)) == (7, 8)
    assert (b - a).dot(c - a) == 7 * 8 * sympy.cos(sympy.pi / 3)
    return sympy.Circle(a, b, c).radius


def cone() -> sympy.Expr:
    radius = sympy.Symbol("r")
    height = sqrt(10**2 - 6**2)
    return sympy.integrate(sympy.pi * radius**2, (radius, 0, 6)) * height / 6


def bounds(condition: sympy.Basic) -> str:
    interval = sympy.reduce_inequalities(condition, x).as_set()
    assert not interval.left_open
    assert not interval.right_open
    return f"[{interval.start}, {interval.end}]"


def meeting() -> str:
    (point,) = [
        (a, b) for a in range(-50, 51) for b in range(-50, 51) if b == 2 * a - 1 and 3 * a + b == 14
    ]
    return str(point)


def roots() -> str:
    return ", ".join(sympy.latex(root) for root in sympy.Poly(2 * x**2 - 7 * x + 3).all_roots())


# One entry for each problem: its answer from the problem's own numbers, in another way.
WORKED_OUT: dict[str, Callable[[], object]] = {
    "01": lambda: (48 // 6 - 1) * Fraction("3.50"),
    "02": lambda: 80 * Fraction(85, 100) * Fraction(110, 100),
    "03": lambda: Fraction(3, 4) - Fraction(1, 6) + Fraction(1, 3),
    "04": lambda: next(9 * width for width in range(1, 13) if 2 * (9 + width) == 26),
    "05": lambda: (13 * 60 + 12) - (9 * 60 + 47),
    "06": lambda: next(n for n in range(101) if Fraction(75 + 90 + 88 + 71 + n, 5) == 82),
    "07": lambda: sympy.solve(5 * (2 * x - 3) - 4 - (3 * x + 9), x)[0],
    "08": lambda: next(n for n in range(1, 500) if Fraction(n * 5, 2 + 5 + 3) == 35),
    "09": lambda: 1 / (Fraction(1, 10) + Fraction(1, 15)),
    "10": lambda: divisible(252, 198),
    "11": lambda: Fraction(8**5, 4**3 * 2**4),
    "12": lambda: sympy.solve(
        [3 * x + 2 * y - Rational("13.10"), x + 4 * y - Rational("11.70")], [x, y]
    )[x],
    "13": lambda: Fraction(*(sum(5 * [1] + 3 * [0] + 4 * [1]), 5 + 3 + 4)),
    "14": lambda: f"{Fraction(46 - 40, 40) * 100}%",
    "15": roots,
    "16": lambda: sympy.Point(0, 0).distance(sympy.Point(4, 10)),
    "17": lambda: next(max(a, 2 * a, a + 12) for a in range(180) if a + 2 * a + a + 12 == 180),
    "18": lambda: counted(lambda n: n % 2 == 0 and climbs(n), range(100, 1000)),
    "19": lambda: next(n for n in range(1, 999) if (n % 5, n % 7, n % 9) == (2, 3, 4)),
    "20": lambda: sum(itertools.islice(itertools.count(7, 4), 20)),
    "21": meeting,
    "22": lambda: bounds(abs(2 * x - 5) <= 7),
    "23": lambda: sympy.expand((x + 3) ** 2 - (x - 1) * (x + 4)),
    "24": cone,
    "25": lambda: Fraction(counted(is_square_product, range(36)), 36),
    "26": lambda: sum(Fraction(1, (3 * k - 1) * (3 * k + 2)) for k in range(1, 17)),
    "27": lambda: counted(lambda n: 7200 % n == 0 and n % 12 == 0 and n % 9 != 0, range(1, 7201)),
    "28": circumradius,
    "29": lambda: sum(
        "aa" not in "".join(letters) for letters in itertools.product("abc", repeat=8)
    ),
    "30": lambda: sympy.rem(x**10, x**2 - 3 * x + 2, x),
}


@pytest.fixture(scope="module")
def compare() -> Iterator[Comparer]:
    with Helper() as helper:
        yield Comparer(helper)


@pytest.mark.parametrize("number", sorted(WORKED_OUT))
def test_the_reference_is_what_the_problem_comes_to(number: str, compare: Comparer) -> None:
    value = WORKED_OUT[number]()
    text = sympy.latex(value) if isinstance(value, sympy.Basic) else str(value)
    assert compare(PROBLEMS[f"selfcheck/{number}"].answer, text) == "equal", text


def test_thirty_problems_of_many_kinds_and_three_grades() -> None:
    assert list(PROBLEMS) == [f"selfcheck/{number}" for number in WORKED_OUT]
    levels = Counter(problem.level for problem in PROBLEMS.values())
    assert (levels[1] + levels[2], levels[3], levels[4] + levels[5]) == (14, 9, 7)
    assert len({problem.subject for problem in PROBLEMS.values()} - {None}) >= 12
    assert len({problem.problem for problem in PROBLEMS.values()}) == 30
