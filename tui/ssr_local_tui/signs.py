"""What LaTeX's commands look like in plain signs. Tables alone."""

from __future__ import annotations


def words(text: str) -> tuple[str, ...]:
    """The words of a text: tables are easier to read without quotes."""
    return tuple(text.split())


SUPERSCRIPTS = str.maketrans("0123456789+-=()nij", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱʲ")
SUBSCRIPTS = str.maketrans("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
RAISED = frozenset("0123456789+-=()nij")
LOWERED = frozenset("0123456789+-=()aehijklmnoprstuvx")

SYMBOLS: dict[str, str] = {
    "epsilon": "ε", "phi": "φ", "varrho": "ρ", "ast": "*", "star": "*", "leqslant": "≤",
    "geqslant": "≥", "lt": "<", "gt": ">", "ne": "≠", "sim": "~", "implies": "⇒", "iff": "⇔",
    "sum": "Σ", "prod": "Π", "neg": "¬", "land": "∧", "lor": "∨", "triangle": "△", "circ": "°",
    "degree": "°", "prime": "′", "hbar": "ℏ", "Re": "Re", "Im": "Im", "checkmark": "✓",
    "bmod": " mod ", "colon": ":", "%": "%", "|": "‖",
}  # fmt: skip
"""Command -> sign, where pylatexenc knows none or one that fewer fonts have."""

SPACES: dict[str, str] = {
    **{",": " ", ";": " ", ":": " ", " ": " ", "quad": "    ", "qquad": "    ", "!": ""},
    **dict.fromkeys(words("displaystyle textstyle limits nolimits left right middle"), ""),
    **dict.fromkeys(words("big Big bigg Bigg bigl bigr Bigl Bigr"), ""),
}
"""Commands that only move things about."""

NAMES = frozenset(
    words(
        "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp min max lim gcd"
        " lcm det dim ker deg sup inf arg Pr mod"
    )
)
"""Functions that are written out."""

AS_IT_IS = frozenset(
    words(
        "text textbf textit textrm mathrm mathbf mathit mathsf mathtt operatorname mbox hbox"
        " mathcal boldsymbol bm overbrace underbrace"
    )
)
"""Commands of which only the argument is shown."""

DOUBLE = {"N": "ℕ", "Z": "ℤ", "Q": "ℚ", "R": "ℝ", "C": "ℂ", "P": "ℙ"}

ROWS = frozenset(
    words(
        "align align* aligned gather gather* gathered equation equation* eqnarray split multline"
        " multline* cases array matrix pmatrix bmatrix vmatrix Bmatrix smallmatrix"
    )
)
"""Environments of rows and columns."""

FENCES = {
    "pmatrix": ("(", ")"),
    "bmatrix": ("[", "]"),
    "vmatrix": ("|", "|"),
    "Bmatrix": ("{", "}"),
    "matrix": ("[", "]"),
    "smallmatrix": ("[", "]"),
}

ONE_ARGUMENT = words("boxed fbox pmod phantom operatorname hbox bm tag")
TWO_ARGUMENTS = words("dfrac tfrac cfrac binom dbinom stackrel overset")
"""Commands whose arguments pylatexenc does not know."""
