"""Algebra finds what is surely wrong, and calls nothing wrong that is right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssr_local.process.helper import Helper
from ssr_local.tutoring.algebra import Algebra

WORKED = Path(__file__).parents[3] / "benchmarks" / "worked-solutions.jsonl"
SOLUTIONS: list[dict[str, Any]] = [json.loads(line) for line in WORKED.read_text().splitlines()]


@pytest.fixture(scope="module")
def helper() -> Iterator[Helper]:
    with Helper() as helper:
        yield helper


def refuted(solution: dict[str, Any], helper: Helper) -> list[int]:
    algebra = Algebra(solution["problem"], helper)
    says = [algebra.step(step).says for step in solution["steps"]]
    return [index for index, one in enumerate(says) if one == "does not hold"]


@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda one: one["id"])
def test_worked_solutions(solution: dict[str, Any], helper: Helper) -> None:
    found = refuted(solution, helper)
    if solution["error_kind"] in ("arithmetic", "sign"):
        assert found[0] == solution["error_step"]
    elif found:
        assert solution["error_step"] is not None
        assert found[0] >= solution["error_step"]


@pytest.mark.parametrize(
    ("problem", "steps", "says"),
    [
        ("Solve 2x + 3 = 11.", ["2x = 11 + 3"], "does not hold"),
        ("Solve 2x + 3 = 11.", ["2x = 8", "x = 4"], "holds"),
        ("Solve x^2 = 9.", ["x = 3 or x = -3"], "holds"),
        ("Solve x^2 = 9.", ["x = 4"], "does not hold"),
        ("Expand (x+1)^2.", ["(x+1)^2 = x^2 + 1"], "does not hold"),
        ("Expand (x+1)^2.", ["(x+1)^2 = x^2 + 2x + 1"], "holds"),
        ("Find x with (x+1)^2 = x^2 + 5.", ["(x+1)^2 = x^2 + 5", "2x = 4"], "holds"),
        ("2x + y = 7", ["y = 7 + 2x"], "does not hold"),
        ("x + y = 10", ["x - y = 2"], "undecided"),
        ("x + y = 10", ["2x + 2y = 20"], "holds"),
        ("2h + 4c = 84", ["h + 2c = 84"], "does not hold"),
        ("Solve 3x = 10.", ["x = 3.33"], "undecided"),
        ("Solve 3x = 10.", ["x = 3.5"], "does not hold"),
        ("", ["(1+2i)(1-2i) = 5"], "holds"),
        ("", [r"\sqrt{16} = 5"], "does not hold"),
        ("", [r"9\pi = 28.27"], "undecided"),
        ("", [r"9\pi = 25.27"], "does not hold"),
        ("", ["Let x = 5.", "Let x = 7. Then 2x = 14."], "undecided"),
        ("", ["x = 1: y = 3", "x = 2: y = 5"], "undecided"),
        ("", ["A = 5", "a = 6"], "undecided"),
        ("", ["Try x = 5: 2 * 5 + 3 = 13"], "undecided"),
    ],
)
def test_unknowns(problem: str, steps: list[str], says: str, helper: Helper) -> None:
    algebra = Algebra(problem, helper)
    assert [algebra.step(step).says for step in steps][-1] == says


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("12 * 4 = 46", "does not hold"),
        ("12 * 4 = 48", "holds"),
        ("10 / 3 = 3.33", "holds"),
        ("2 / 3 = 0.66", "undecided"),
        ("100 / 3 = 33", "undecided"),
        ("100 / 3 = 35", "does not hold"),
        ("10 / 4 = 2.6", "does not hold"),
        ("22 / 7 ≈ 3", "holds"),
        ("22 / 7 ≈ 5", "undecided"),
        ("125.50 + 74.25 = 199.25", "does not hold"),
        ("125.50 + 74.25 = 199.75", "holds"),
        ("12 * 4\n= 46", "does not hold"),
        ("12 * 4 &= 46", "does not hold"),
        ("a) 3 + 4 = 8", "does not hold"),
        ("3 + 4 = 8", "does not hold"),
        ("3 hours = 180 minutes", "undecided"),
        ("2 hours + 30 minutes = 150 minutes", "undecided"),
        ("20% of 50 = 10", "holds"),
        ("20% of 50 = 12", "does not hold"),
        ("50% = 0.5", "holds"),
        ("The sum of 24 and 3 = 27.", "undecided"),
        ("17 / 5 = 3 remainder 2", "undecided"),
        ("5 - (-2) = 3", "does not hold"),
        ("(-2)^2 = 4", "holds"),
        ("- 36 + 81 = 117", "holds"),
        ("- 36 + 81 = 45", "undecided"),
        ("9^{9^{9^9}} = 1", "undecided"),
        ("7 / 0 = 0", "undecided"),
        ("We think about it.", "undecided"),
    ],
)
def test_numbers_need_no_helper(text: str, says: str) -> None:
    assert Algebra("", None).step(text).says == says


RIGHT = [
    "2 + 2 = 4!",
    "5! = 120",
    "3 * 4 = 2 mod 5",
    "2 dozen + 4 = 28 eggs",
    "2 hours + 30 min = 150",
    "$1.50 + 50 cents = $2",
    "5 squared + 1 = 26",
    "The square of 3 + 1 = 10.",
    "The square root of 9 + 16 = 5.",
    "sin(30) = 0.5 and sin(30°) = 1/2",
    "2 != 3, so 2 + 1 >= 3 and x <= 4",
    "1/3 = 2 : 6",
    "500 * 1.26 = 629.86",
    "n = 1 gives 2n + 1 = 3, n = 2 gives 2n + 1 = 5",
    "n = 1, 2n + 1 = 3; n = 2, 2n + 1 = 5",
    "At t = 0, h = 5. At t = 2, h = 9.",
    "Now x + y = 40. In ten years x + y = 60.",
    "n(A) = 5 and n(B) = 7, S(3) = 6, S(4) = 10",
    "e = 5",
    "10 m / 2 s = 5 m/s",
    "8% = 8/100 = 0.08",
    "3 1/2 * 2 = 7",
    "20% off 50 = 40",
    "5 feet 3 inches = 63 inches",
    "Half of 12 + 8 = 10",
    "x(3) = 4",
    "C(5,2) = 10",
    "0.667 * 300 = 200",
    "101_2 = 5",
    "17 = 2 (mod 5)",
    "$50 - 20% = $40",
    "2 pm - 9 am = 5 hours",
    "abs(3 - 8) = 5",
    "log(100) + 1 = 3",
    "ln(1) + 5 = 5",
    "34 × 7 ≈ 30 × 7 = 210",
    "Is 2 * 4 + 3 = 15? No, it is 11.",
    "3 + 4 = 8 is false",
    "So 3 = 5, which is impossible: 0 + 3 = 5 is a contradiction.",
    "10% tax on 40 + 20 = 6",
    "Half the sum 6 + 8 = 7",
    "Pages 10-20 = 11 pages.",
    "2 tens + 5 ones = 25",
    "5 tenths + 3 tenths = 0.8",
    "E = 3 * 16 = 48",
    "3 * 250 = 750 g, and 750 g = 0.75 kg",
    "120 cm = 1.2 m, so 1.2 * 5 = 6 m",
    "2(3) = 6 and (5)(4) = 20",
    "(1/2)(6)(4) = 12",
    "-16(2)^2 + 64(2) = 64",
    "2(1/2) = 1",
    "(a - b)^2 = a^2 - 2ab + b^2",
    "(2x+y)^2 = 4x^2 + 4xy + y^2",
    "A = 1/2 bh = 1/2 * 6 * 4 = 12",
    "V = 3 lwh = 3 * 2 * 4 * 5 = 120",
    "2rs = 2*3*4",
    "1/3 = 33% and 5/6 = 83%",
    "2/3 * 100 = 66.7%",
    "5 ft + 6 in = 66 in",
    "2 tonnes * 1.5 = 3000 kg",
    "4 * 45 = $1.80",
    "Working mod 7, 3 * 5 = 1.",
    "10 + 5 = 3 in base 12",
    "To the nearest ten, 24 + 37 = 60",
    "Estimate: 24 + 37 = 60",
    "Approximately 48 * 52 = 2500",
    "Step 2 - 3 + 4 = 7",
    "negative 3 + 5 = 2",
    "remainder 17 / 5 = 2",
    "10 - 7 = 3 (3 left)",
    r"\sqrt[3]{8} = 2",
    "Tom says 3 + 4 = 8 but 3 + 4 = 7.",
    "We might think that 3 + 4 = 8, but it is 7.",
    "1.500 + 500 = 2000",
]
WRONG = [
    "2(3) = 5",
    "(2)(3) = 5",
    "20% of 50 = 1000",
    "25% of 80 = 2000",
    "3 * 16 = 46 eggs",
    "In 3 days she sells 3 * 16 = 46 eggs.",
    "28 * 12.50 = 340 euros",
    "12 cm * 4 cm = 46 cm^2",
    "So 4 * 3 + 2 = 15 apples.",
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_in_numbers_is_found(text: str, helper: Helper) -> None:
    assert Algebra("", helper).step(text).says == "does not hold"


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_is_never_called_wrong(text: str, helper: Helper) -> None:
    assert Algebra("", helper).step(text).says != "does not hold"


@pytest.mark.parametrize(
    ("problem", "steps"),
    [
        ("Solve 2(x + 1) + 1 = x + 7.", ["Simplify both sides: 2x + 3 = x + 7"]),
        (
            "Where do the lines y = 2x + 1 and y = x + 4 meet?",
            ["y = 2x + 1 = x + 4, so x = 3", "y = 7"],
        ),
        ("For which x is 2x + 3 equal to x + 7?", ["2x + 3 = x + 7", "x = 4"]),
        (
            "y varies directly with x. When x = 3, y = 12. Find y when x = 5.",
            ["k = 12 / 3 = 4", "When x = 5, y = 4 * 5 = 20"],
        ),
        ("Solve |x - 2| = 3.", ["x - 2 = 3 or x - 2 = -3", "x = 5 or x = -1"]),
        ("Find the zeros of f(x) = x^2 - 5x + 6.", ["x - 2 = 0 or x - 3 = 0"]),
        ("Where do the lines y = x + 3 and y = -x + 3 cross?", ["The first line is y = x + 3."]),
        ("Reflect the line y = 2x + 1 in the y-axis.", ["y = -2x + 1"]),
        (
            "One bag weighs 250 g. What do three weigh in kg?",
            ["3 * 250 = 750 g", "750 g = 0.75 kg"],
        ),
        ("Solve 2(x + 3) = 2x + 5.", ["2(x + 3) = 2x + 5", "2x + 6 = 2x + 5: no solution."]),
        ("Find x.", ["Case 1: x = 3.", "Case 2: x = 5."]),
        ("Solve 4x + 9 = 37.", ["4x = 28", "x = 7", "Check: 4(7) + 9 = 28 + 9 = 37."]),
        ("Solve log x = 2.", ["x = 100"]),
        ("Solve ln x = 2.", ["x = 7.39"]),
        ("Solve |x - 3| = 5.", ["First x - 3 = 5, so x = 8.", "Second x - 3 = -5, so x = -2."]),
        ("Solve x + y = 0 and x - y = 0.", ["x = -y", "x = y"]),
        ("What is 10 + 5 in clock arithmetic?", ["10 + 5 = 3"]),
    ],
)
def test_right_steps_of_a_solution_are_never_called_wrong(
    problem: str, steps: list[str], helper: Helper
) -> None:
    algebra = Algebra(problem, helper)
    assert "does not hold" not in [algebra.step(step).says for step in steps]


def test_the_reason_names_the_equation_and_both_values() -> None:
    finding = Algebra("", None).step("First 2 + 2 = 4. Then 12 * 4 = 46 eggs.")
    assert finding.reason == "12 * 4 = 46 eggs does not hold: 48 is not 46."
    assert finding.says == "does not hold"


def test_what_is_wrong_is_no_premise_of_what_follows(helper: Helper) -> None:
    algebra = Algebra("Solve 2x + 3 = 11.", helper)
    assert algebra.step("2x = 14").says == "does not hold"
    assert algebra.step("x = 4").says == "holds"


def test_foreign_text_is_read_and_never_run(helper: Helper) -> None:
    algebra = Algebra("__import__('os').system('x') = 1", helper)
    for text in ("__import__('os') = 1", "x = " + "(" * 500 + "1" + ")" * 500, "10000000! = 1"):
        assert algebra.step(text).says == "undecided"
