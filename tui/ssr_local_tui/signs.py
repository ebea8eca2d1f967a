"""What LaTeX's commands look like in plain signs. Tables alone."""

from __future__ import annotations


def words(text: str) -> tuple[str, ...]:
    """The words of a text: tables are easier to read without quotes."""
    return tuple(text.split())


SUPERSCRIPTS = str.maketrans("0123456789+-=()nij", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱʲ")
SUBSCRIPTS = str.maketrans("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
RAISED = frozenset("0123456789+-=()nij")
LOWERED = frozenset("0123456789+-=()aehijklmnoprstuvx")

_GREEK = dict(
    zip(
        words(
            "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi"
            " rho sigma tau upsilon phi chi psi omega"
        ),
        "αβγδεζηθικλμνξοπρστυφχψω",
        strict=True,
    )
)
_CAPITALS = {
    name.capitalize(): _GREEK[name].upper()
    for name in words("gamma delta theta lambda xi pi sigma phi psi omega")
}
SYMBOLS: dict[str, str] = {
    **_GREEK, **_CAPITALS,
    "varepsilon": "ε", "vartheta": "ϑ", "varphi": "φ", "varrho": "ρ", "varsigma": "ς",
    "times": "×", "cdot": "·", "div": "÷", "pm": "±", "mp": "∓", "ast": "*", "star": "*",
    "le": "≤", "leq": "≤", "leqslant": "≤", "ge": "≥", "geq": "≥", "geqslant": "≥", "lt": "<",
    "gt": ">", "ne": "≠", "neq": "≠", "approx": "≈", "equiv": "≡", "cong": "≅", "sim": "~",
    "simeq": "≃", "propto": "∝", "to": "→", "rightarrow": "→", "leftarrow": "←",
    "Rightarrow": "⇒", "Leftarrow": "⇐", "implies": "⇒", "iff": "⇔", "Leftrightarrow": "⇔",
    "leftrightarrow": "↔", "mapsto": "↦", "longrightarrow": "⟶", "infty": "∞", "partial": "∂",
    "nabla": "∇", "sum": "Σ", "prod": "Π", "int": "∫", "in": "∈", "notin": "∉", "ni": "∋",
    "subset": "⊂", "subseteq": "⊆", "supset": "⊃", "cup": "∪", "cap": "∩", "setminus": "∖",
    "emptyset": "∅", "varnothing": "∅", "forall": "∀", "exists": "∃", "neg": "¬", "lnot": "¬",
    "land": "∧", "wedge": "∧", "lor": "∨", "vee": "∨", "angle": "∠", "triangle": "△",
    "perp": "⊥", "parallel": "∥", "circ": "°", "degree": "°", "prime": "′", "therefore": "∴",
    "because": "∵", "cdots": "⋯", "ldots": "…", "dots": "…", "vdots": "⋮", "mid": "|",
    "vert": "|", "lvert": "|", "rvert": "|", "Vert": "‖", "lfloor": "⌊", "rfloor": "⌋",
    "lceil": "⌈", "rceil": "⌉", "langle": "⟨", "rangle": "⟩", "ell": "ℓ", "hbar": "ℏ",
    "Re": "Re", "Im": "Im", "checkmark": "✓", "square": "□", "bmod": " mod ", "colon": ":",
    "lbrace": "{", "rbrace": "}", "{": "{", "}": "}", "%": "%", "$": "$", "&": "&", "#": "#",
    "_": "_", "|": "‖", "backslash": "\\",
}  # fmt: skip
"""Command -> sign."""

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

ONE_ARGUMENT = words(
    "boxed fbox overline underline vec hat bar tilde dot ddot widehat overrightarrow pmod mathbb"
    " phantom mathscr operatorname overbrace underbrace mbox hbox bm tag"
)
TWO_ARGUMENTS = words("dfrac tfrac cfrac binom dbinom stackrel overset")
