from __future__ import annotations

from pathlib import Path

import pytest

from ssr_local.core.config import load_settings
from ssr_local.core.errors import ConfigError
from ssr_local_tui.key_names import is_key
from ssr_local_tui.preferences import Preferences, load_preferences, save_preference


def test_everything_can_be_set(file: Path) -> None:
    assert load_preferences() == Preferences()
    file.write_text(
        'paths = 5\n[tui]\ntheme = "textual-light"\nplain = true\nmouse = false\nwelcomed = true\n'
        '[tui.keys]\nrun = "ctrl+r, f5"\nhelp = "?"\n'
    )
    assert load_preferences(binding_ids=["run", "help"]) == Preferences(
        theme="textual-light",
        plain=True,
        mouse=False,
        welcomed=True,
        keys={"run": "ctrl+r, f5", "help": "?"},
    )
    assert load_settings(env={}).solve.paths == 5
    file.write_text("[tui.keys]\nrnu = 'x'\n")
    assert load_preferences().keys == {"rnu": "x"}  # unknown only where the known are given


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[tui]\nthem = 'nord'", ["'tui.them'", "theme, plain, mouse", "Did you mean theme?"]),
        ("[tui]\ntheme = 'textual-drak'", ["'tui.theme'", "Did you mean textual-dark?", "nord"]),
        ("[tui]\ntheme = 3", ["'tui.theme' cannot be 3", "textual-light"]),
        ("[tui]\nplain = 'yes'", ["'tui.plain' cannot be 'yes'", "true", "false"]),
        ("[tui]\nmouse = 1", ["'tui.mouse' cannot be 1", "true, false"]),
        ("[tui]\nkeys = 'x'", ["'tui.keys' cannot be 'x'", "a table"]),
        ("[tui.keys]\nrnu = 'x'", ["'tui.keys.rnu'", "pause, run", "Did you mean run?"]),
        ("[tui.keys]\nrun = 'escpae'", ["'tui.keys.run'", "'escpae'", "Did you mean escape?"]),
        ("[tui.keys]\nrun = 'f5,shift+ctrl+a'", ["'tui.keys.run'", "mean ctrl+shift+a?"]),
        ("[tui.keys]\nrun = 'f5,'", ["'tui.keys.run'", "'f5,'"]),
        ("[tui.keys]\nrun = 'ctrl-r'", ["mean ctrl+r?"]),
        ("[tui.keys]\nrun = 'Control+R'", ["mean ctrl+r?"]),
        ("[tui.keys]\nrun = 'shift+r'", ["mean R?"]),
        ("[tui.keys]\nrun = 5", ["'tui.keys.run' cannot be 5"]),
        ("[tui.keys]\nrun = ['a']", ["'tui.keys.run' cannot be a list"]),
        ("tui = 3", ["'tui' cannot be 3"]),
        ("[tui", ["line 1"]),
    ],
)
def test_what_is_wrong_is_named(file: Path, toml: str, said: list[str]) -> None:
    file.write_text(toml)
    with pytest.raises(ConfigError) as caught:
        load_preferences(binding_ids=["run", "pause"])
    for words in [str(file), *said]:
        assert words in str(caught.value)
    if toml in ("tui = 3", "[tui"):  # nor is it written to
        with pytest.raises(ConfigError, match=str(file)):
            save_preference("plain", True)
        assert file.read_text() == toml


def test_keys_that_can_be_pressed_are_known() -> None:
    pressed = "f5 ? ctrl+r question_mark R é + shift+tab ctrl+shift+a alt+enter slash ctrl+space"
    assert [key for key in pressed.split() if not is_key(key)] == []
    never = "shift+r shift+ctrl+a ctrl+A ctl+a f25 return solidus latin_small_letter_a ctrl+ ctrl+?"
    assert [key for key in ["", " ", *never.split()] if is_key(key)] == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[tui]\ntheme = "nord"\n'),
        ("paths = 3 # x", 'paths = 3 # x\n\n[tui]\ntheme = "nord"\n'),
        ("[tui] # mine\ntheme = 'dracula' # dark\n", '[tui] # mine\ntheme = "nord" # dark\n'),
        (
            "# head\n[tui]\n# why\nplain = true # p\n\n# keys\n[tui.keys]\nrun='f5'\n",
            "# head\n[tui]\n# why\nplain = true # p\n"
            "theme = \"nord\"\n\n# keys\n[tui.keys]\nrun='f5'\n",
        ),
        ("# k\n[tui.keys]\nrun='f5'\n", "# k\n[tui]\ntheme = \"nord\"\n\n[tui.keys]\nrun='f5'\n"),
        ("tui.plain = true\n", 'tui.plain = true\ntui.theme = "nord"\n'),
        ("[tui]\r\nplain=true\r\n", '[tui]\r\nplain=true\r\ntheme = "nord"\r\n'),
    ],
)
def test_saving_changes_one_line(file: Path, before: str, after: str) -> None:
    file.write_bytes(before.encode())
    save_preference("theme", "nord")
    assert file.read_bytes().decode() == after
    assert load_preferences().theme == "nord"
