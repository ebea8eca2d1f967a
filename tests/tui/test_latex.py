from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssr_local_tui.latex import formula, readable


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (r"\frac{a+b}{c}", "(a+b)/c"),
        (r"\frac{a}{b+c}", "a/(b+c)"),
        (r"\frac{(a)(b)}{c}", "((a)(b))/c"),
        (r"\frac{\frac{1}{2}}{3}", "(1/2)/3"),
        (r"\frac12", "1/2"),
        (r"x^{2}", "x²"),
        (r"2^{10}", "2¹⁰"),
        (r"e^{-x}", "e^(-x)"),
        (r"a^{b+c}", "a^(b+c)"),
        (r"a^{q}", "a^q"),
        (r"y_1 \le y_{12}", "y₁ ≤ y₁₂"),
        (r"x_{AB}", "x_AB"),
        (r"a_i^2", "aᵢ²"),
        (r"\sqrt{x+1}", "√(x+1)"),
        (r"\sqrt[3]{8}", "³√8"),
        (r"2\sqrt{2}", "2√2"),
        (r"3 \times 4 \div 2 \cdot 5", "3 × 4 ÷ 2 · 5"),
        (r"\boxed{42}", "⟦42⟧"),
        (r"\boxed{\frac{1}{2}}", "⟦1/2⟧"),
        (r"\text{if } x \geq 0", "if x ≥ 0"),
        (r"\left( \frac{1}{2} \right)", "( 1/2 )"),
        (r"\sin x + \log_{2} 8", "sin x + log₂ 8"),
        (r"\pi r^2", "π r²"),
        (r"\Delta = b^2 - 4ac", "Δ = b² - 4ac"),
        (r"50\%", "50%"),
        (r"\$5", "$5"),
        (r"\binom{5}{2}", "C(5, 2)"),
        (r"7 \equiv 1 \pmod{3}", "7 ≡ 1 (mod 3)"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "(1 2; 3 4)"),
        (r"\begin{aligned} a &= b \\ &= c \end{aligned}", "a = b\n= c"),
        (r"\mathbb{R}", "ℝ"),
        (r"\overline{AB}", "A\u0305B\u0305"),
        (r"f'(x) \in 90^\circ", "f′(x) ∈ 90°"),
    ],
)
def test_formulas_read_as_they_should(source: str, shown: str) -> None:
    assert formula(source) == shown


@pytest.mark.parametrize(
    "source",
    [
        r"\frac x \sqrt{x}",
        r"\unknownmacro{3}",
        r"x^",
        r"x^2^3",
        r"\frac{1}",
        r"{",
        r"\begin{tikzpicture} x \end{tikzpicture}",
        "{" * 100 + "}" * 100,
        r"\overline{a+b}",
    ],
)
def test_what_is_not_understood_stays_as_it_is(source: str) -> None:
    assert formula(source) is None
    assert readable(f"so ${source}$ holds") == f"so ${source}$ holds"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"Then \(x^2 = 9\), so \[x = \pm 3.\]", "Then x² = 9, so x = ± 3."),
        (r"It is $\frac{1}{2}$ of $$a+b$$.", "It is 1/2 of a+b."),
        (r"The answer is \boxed{\frac{3}{4}}.", "The answer is ⟦3/4⟧."),
        ("It costs $5 and then $7 more.", "It costs $5 and then $7 more."),
        ("From $5 to $10.", "From $5 to $10."),
        ("**Bold** and `code` stay, _too_.", "**Bold** and `code` stay, _too_."),
        (r"A lone \frac{1}{2} without marks", r"A lone \frac{1}{2} without marks"),
        (r"Not closed \(x^2", r"Not closed \(x^2"),
        ("", ""),
    ],
)
def test_only_formulas_are_touched(text: str, shown: str) -> None:
    assert readable(text) == shown


@given(st.text(alphabet=r"\{}[]()$^_ abx12+-=&%fracsqrtboxed,;'", max_size=80))
@settings(max_examples=300)
def test_any_text_can_be_shown(text: str) -> None:
    assert isinstance(readable(text), str)
    if "$" not in text and "\\" not in text:
        assert readable(text) == text


def test_a_long_formula_takes_no_time() -> None:
    source = "x^{2}+" * 5000 + "1"
    assert readable(f"${source}$") == f"${source}$"
