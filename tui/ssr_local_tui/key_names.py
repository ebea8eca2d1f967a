"""Which names of keys can ever be pressed. Pure."""

from __future__ import annotations

from difflib import get_close_matches

from textual.keys import KEY_NAME_REPLACEMENTS, Keys, key_to_character

MODIFIERS = frozenset(("alt", "ctrl", "hyper", "meta", "shift", "super"))

_NEVER_SENT = frozenset(("return", "shift+escape"))
_COMBINED = frozenset(key.value for key in Keys if "<" not in key.value) - _NEVER_SENT
_NAMED = frozenset(key for key in _COMBINED if "+" not in key and "-" not in key) | frozenset(
    KEY_NAME_REPLACEMENTS.values()
)


def is_key(name: str) -> bool:
    """Whether Textual can report a key of that name, such as f5, ?, ctrl+r, question_mark.

    Modifiers stand in alphabetical order, as Textual reports them. A character that the
    shift key makes is named itself: R, never shift+r.
    """
    if len(name) == 1:
        return name.isprintable() and not name.isspace()
    if name in _COMBINED:
        return True
    *modifiers, base = name.split("+")
    if modifiers != sorted(set(modifiers)) or not MODIFIERS.issuperset(modifiers):
        return False
    if len(base) == 1:
        return base.isalnum() and base == base.lower() and modifiers != ["shift"]
    return base in _NAMED or _is_sign(base)


def nearest_key(name: str) -> str:
    """The key that was perhaps meant, empty when nothing is near."""
    *modifiers, base = name.strip().lower().replace("-", "+").split("+")
    if base not in _NAMED and len(base) > 1:
        base = next(iter(get_close_matches(base, sorted(_NAMED), n=1)), "")
    if modifiers == ["shift"] and len(base) == 1:
        return base.upper()
    respelled = "+".join([*sorted({m.replace("control", "ctrl") for m in modifiers}), base])
    return respelled if is_key(respelled) else ""


def _is_sign(name: str) -> bool:
    """Whether it is the long name of a sign, as question_mark; letters have none."""
    character = None if name in KEY_NAME_REPLACEMENTS else key_to_character(name)
    return character is not None and not character.isalnum()
