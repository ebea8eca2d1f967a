"""Equations are found in what students write, and no more than they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.mathtext.claims import claims_in


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("In 3 days she sells 3 * 16 = 48 eggs.", ["3*16 = 48"]),
        ("24 loaves × $3 = $72, so 72 / 4 = 18 dollars.", ["24*3 = 72", "72/4 = 18"]),
        ("Total: 5+3 = 8 = 2*4", ["5+3 = 8", "8 = 2*4"]),
        ("2x + 3 = 11 => 2x = 8 → x = 4", ["2x+3 = 11", "2x = 8", "x = 4"]),
        (r"\[ \frac12 = \frac{2}{4} \]", [r"\frac {1}{2} = \frac {2}{4}"]),
        (r"$$2(x+3) = 2x + 6$$", ["2*(x+3) = 2x+6"]),
        ("20% of 50 = 10", ["(20/100)*50 = 10"]),
        ("2 hours * 60 minutes/hour = 120 minutes", ["2*60 = 120"]),
        ("Area = 5 * 4 = 20 cm^2", ["5*4 = 20"]),
        ("1,200 / 3 equals 400", ["1200/3 = 400"]),
        ("1 1/2 + 1/2 = 2", ["1 1/2+1/2 = 2"]),
        ("10 / 3 ≈ 3.33", ["10/3 ≈ 3.33"]),
        ("3 plus 4 is equal to 7", ["3+4 = 7"]),
        (r"So \boxed{3 + 4 = 7}.", ["3+4 = 7"]),
        ("so 5 x 4 = 20", ["5*4 = 20"]),
        (r"25 \times 24 = 1,\!600", ["25*24 = 1600"]),
        ("2 + 3 *\n4 = 14", ["2+3*4 = 14"]),
        ("y = -6 - 3/2 x", ["y = -6-(3/2)*x"]),
        ("f(3) = 7", []),
        ("She has 7 eggs.", []),
        ("The ratio is 3:4, at 10:30.", []),
        ("= = =", []),
        ("", []),
    ],
)  # fmt: skip
def test_the_equations_of_a_step(text: str, found: list[str]) -> None:
    assert [f"{c.first.text} {c.sign} {c.second.text}" for c in claims_in(text)] == found


@pytest.mark.parametrize(
    "text",
    [
        "The sum of 24 and 3 = 27.",
        "Half of 10 + 6 = 8",
        "17 / 5 = 3 remainder 2",
        "y = 3 more than x",
        "x = 3 or 4",
        "- 3 + 5 = 8",  # a list's mark, or a minus
        "45 minutes * 3 = 2 hours 15 minutes",
    ],
)
def test_what_may_not_be_whole_is_not_sure(text: str) -> None:
    claims = claims_in(text)
    assert claims
    assert not any(claim.sure for claim in claims)


def test_units_are_kept_apart() -> None:
    (claim,) = claims_in("3 hours = 180 minutes")
    assert (claim.first.units, claim.second.units) == (("hours",), ("minutes",))
    assert claim.shown == "3 hours = 180 minutes"


@given(st.text(alphabet="0123456789+-*/=≈()[]{}^\\$%., \nxyfab•°!:;√²", max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    for claim in claims_in(text):
        assert claim.first.text
        assert claim.second.text


def test_a_long_text_takes_no_longer_than_it_is_long() -> None:
    text = "3 + 4 = 7, " * 3_000
    assert len(claims_in(text)) == 3_000
    assert claims_in("(" * 30_000 + "=" + ")" * 30_000) == []
    assert claims_in("eggs " * 20_000 + "= 3") == []
