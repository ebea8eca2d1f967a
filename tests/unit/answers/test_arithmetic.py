"""Equations between plain numbers that a model's step states, and that are wrong."""

from __future__ import annotations

import time

import pytest

from ssr_local.answers.arithmetic import refuted_claim


@pytest.mark.parametrize(
    ("step", "claim"),
    [
        ("So there are 70 + 420 = 480 people.", "70 + 420 = 480 people"),
        (r"\[ 31 \, \text{mm} + 50 \, \text{mm} = 82 \, \text{mm} \]", "31 mm + 50 mm = 82 mm"),
        (r"Then \(\frac{8}{18} = \frac{2}{9}\).", r"\frac{8}{18} = \frac{2}{9}"),
        ("She pays 3 * $4 = $12, and then 12 + 5 = 18 dollars.", "12 + 5 = 18 dollars"),
        ("The couch is 2 * 8 + 2 = 22 feet long.", "2 * 8 + 2 = 22 feet long"),
        ("196 = 2^3 * 13", "196 = 2^3 * 13"),
    ],
)
def test_a_wrong_equation_is_refuted(step: str, claim: str) -> None:
    assert refuted_claim(step, "") == claim


@pytest.mark.parametrize(
    "step",
    [
        "70 + 420 = 490",
        "",
        "x + 3 = 9, so x = 7",
        "10 / 3 = 3.33",
        "3/4 ÷ 1/2 = 3/2",
        "28 / 1/5 = 28 * 5 = 140",
        "1 1/2 / 1/2 = 3 episodes",
        "45 minutes × 3 = 2 hours 15 minutes",
        "45 * 3 = 2 hours 15 minutes",
        "30 * 4 = 2 hours",
        "8 batches = 5.5 * 8 = 44 cups",
        "Since 2/5 is equal to 12.8 hectares, 1/5 is equal to 12.8/2 = 6.4 hectares.",
        "3/4 = $15, so 1/4 = $5",
        "1% is equal to $165/110 = $1.50",
        "32 / 2 = $16 million",
        "x = -4 because -8/2 = -4",
        "33 1/3% = 1/3",
        r"15,\!000/12 = 1250",
        "14, 400 / 80 = 180",
        "8 ÷ 2(2+2) = 1",
        ".8 + . 84 + .82 = 2.46",
        "Subtract weeks 3-4 from weeks 1-2 = 96 - 70 = 26",
        "the number of bikes + 12 - 18 = 45 bikes",
        "5 * 3 = 15 + 2 = 17",
        "Try 5: 5 * 5 + 3 = 30, too large.",
        "That is impossible, since it would mean 2 + 2 = 5.",
        "sqrt 9 * 2 = 6",
        r"$25 \times 24 \times 23 = \boxed{13,\!800}$",
        r"\frac{23}{9} = 2 + 0.\overline{5}",
        r"\[ \frac{4}{4} = 1 \qquad \frac{4}{8} = \frac{1}{2} \qquad \frac{4}{12} = \frac{1}{3} \]",
        "\\frac{5}{4} \\div \\frac{4}{5} = \\frac{5}{4} \\cdot\n\\frac{5}{4} = \\frac{25}{16}",
    ],
)
def test_what_may_be_right_is_not_refuted(step: str) -> None:
    assert refuted_claim(step, "") == ""


def test_other_numbers_than_usual_refute_nothing() -> None:
    assert refuted_claim("7 + 8 = 3", "What time does a clock show 8 hours after 7?") == ""
    assert refuted_claim("2 * 6 = 2^6 + 6^2", "If $a * b = a^b + b^a$, what is $2 * 6$?") == ""
    assert refuted_claim("7 + 8 = 3", "How many are there?") == "7 + 8 = 3"


@pytest.mark.parametrize("step", ["9^" * 2000 + "9 = 1", "(" * 4000, "1 + " * 3000 + "1 = 2"])
def test_hostile_text_costs_little(step: str) -> None:
    started = time.perf_counter()
    refuted_claim(step, "")
    assert time.perf_counter() - started < 0.5
