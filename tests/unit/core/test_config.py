from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssr_local.core.config import (
    MAX_CONFIG_BYTES,
    OPTION_NAMES,
    Setting,
    Settings,
    config_file,
    load_settings,
    save_setting,
    variable_name,
)
from ssr_local.core.errors import ConfigError, UsageError
from ssr_local.core.options import EngineOptions, SolveOptions

DEFAULTS = {
    name: getattr(options, name)
    for options in (SolveOptions(), EngineOptions())
    for name in options.__struct_fields__
    if name in OPTION_NAMES
}

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "method": st.sampled_from(["ssr", "target", "draft", "parallel", "specreason"]),
    "paths": st.integers(1, 12),
    "mode": st.sampled_from(["full", "fast1", "fast2"]),
    "strategies": st.sampled_from(["maths", "logic", "my pool.toml", "-"]),
    "selection": st.sampled_from(["logprob", "generate", "none"]),
    "verifier": st.sampled_from(["min-likelihood", "number-likelihood", "likelihood", "digit"]),
    "effort": st.sampled_from(["quick", "normal", "thorough"]),
    "plan": st.sampled_from(["prose:target", "program:draft; agree; 2 x prose:ssd"]),
    "threshold": st.floats(0, 9),
    "max_tokens": st.integers(1, 1_000_000),
    "max_steps": st.integers(1, 10_000),
    "max_step_tokens": st.integers(1, 100_000),
    "time_limit": st.floats(0, 1e9),
    "temperature": st.floats(0, 10),
    "top_p": st.floats(0, 1, exclude_min=True),
    "seed": st.integers(0, 2**32 - 2),
    "pair": st.sampled_from(["default", "tiny", "a'b\"c"]),
    "draft": st.sampled_from(["one.gguf", "é"]),
    "target": st.sampled_from(["two.gguf", "three"]),
    "threads": st.integers(0, 1024),
    "engine": st.sampled_from(["auto", "llama", "ik"]),
    "repack": st.sampled_from(["auto", "on", "off"]),
    "gpu_layers": st.integers(-1, 100),
    "ctx": st.integers(0, 16_777_216),
}


def load(file: Path, text: str = "", env: dict[str, str] | None = None, **overrides: Any) -> Any:
    """Settings of a file with that text, apart from this machine's own."""
    file.write_text(text, encoding="utf-8")
    return load_settings(overrides, env=env or {}, file=file)


def value_of(settings: Settings, name: str) -> Setting:
    return {setting.name: setting for setting in settings.origins}[name]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_every_option_has_values_here() -> None:
    assert set(VALUES) == set(OPTION_NAMES) == set(DEFAULTS)


@given(st.data())
def test_the_strongest_layer_wins(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(OPTION_NAMES))
    layers = data.draw(st.sets(st.sampled_from(["option", "environment", "config"])))
    value = {layer: data.draw(VALUES[name], layer) for layer in sorted(layers)}
    file = tmp_path_factory.mktemp("config") / "config.toml"
    if "config" in layers:
        save_setting(name, value["config"], file=file)
    settings = load_settings(
        {name: value.get("option")},
        env={variable_name(name): str(value["environment"])} if "environment" in layers else {},
        file=file,
    )
    origin = next((o for o in ("option", "environment", "config") if o in layers), "default")
    expected = value.get(origin, DEFAULTS[name])
    detail = {"environment": variable_name(name), "config": str(file)}.get(origin, "")
    shown = value_of(settings, name)
    assert (shown.value, shown.origin, shown.detail) == (expected, origin, detail)
    part = settings.solve if name in SolveOptions.__struct_fields__ else settings.engine
    assert getattr(part, name) == expected
    others = [setting for setting in settings.origins if setting.name != name]
    assert all(s.origin == "default" and s.value == DEFAULTS[s.name] for s in others)


def test_defaults_when_nothing_is_set(file: Path) -> None:
    settings = load_settings(env={}, file=file)
    assert (settings.solve, settings.engine) == (SolveOptions(), EngineOptions())
    assert tuple(setting.name for setting in settings.origins) == OPTION_NAMES
    assert settings.warnings == ()
    assert not file.exists()


def test_environment_and_folders_are_the_machines_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSR_LOCAL_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("SSR_LOCAL_PATHS", "5")
    (tmp_path / "config.toml").write_text("paths = 4\nthreads = 2\n")
    settings = load_settings()
    assert config_file() == tmp_path / "config.toml"
    assert (settings.solve.paths, settings.engine.threads) == (5, 2)
    assert settings.warnings == ()


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens = 7",
        "max-tokens = 7",
        '"max-tokens" = 7',
        "\ufeffmax_tokens = 7\n",
        f"  # {'.' * 80}\nmax_tokens = 7\n",
        "max_tokens = 7\n[tui]\ntheme = 1\n[tui.keys]\nq = 'x'\n",
        "max_tokens = 7\n" + "#" * (MAX_CONFIG_BYTES - 15),
    ],
    ids=["_", "-", "quoted", "byte order mark", "dots in a comment", "reserved tables", "size"],
)
def test_what_a_file_may_look_like(file: Path, text: str) -> None:
    assert load(file, text).solve.max_tokens == 7


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
def test_empty_variables_and_none_are_not_given(file: Path, empty: str) -> None:
    settings = load(file, "paths = 2", {"SSR_LOCAL_PATHS": empty}, paths=None)
    assert value_of(settings, "paths") == Setting("paths", 2, "config", str(file))


@pytest.mark.parametrize(
    ("text", "where", "accepted"),
    [
        ("path = 3", "unknown key 'path'", "Did you mean paths?"),
        ("tui = 3", "unknown key 'tui'", "tables: [tui]"),
        ("[solve]\npaths = 3", "unknown key 'solve'", "Accepted: method, effort, plan, paths"),
        ('"\\u001b[31m" = 3', r"unknown key '\\x1b[31m'", "Accepted"),
        ("paths = 13", "key 'paths' cannot be 13", "1 to 12"),
        ("paths = true", "key 'paths' cannot be True", "1 to 12"),
        ("paths = [3]", "key 'paths' cannot be a list", "1 to 12"),
        ("paths = 2024-01-01", "key 'paths' cannot be a date", "1 to 12"),
        ("paths = 0x" + "f" * 6000, "more than 64 bits", "1 to 12"),
        ("threshold = [0x" + "f" * 6000 + "]", "cannot be a list", "0 to 9"),
        ("threshold = nan", "key 'threshold' cannot be nan", "0 to 9"),
        ("time_limit = inf", "key 'time_limit' cannot be inf", "seconds"),
        ("mode = 'slow'", "key 'mode' cannot be 'slow'", "full, fast1, fast2"),
        ("selection-permutations = 1", "unknown key 'selection-", "ssr-m3+perm=2"),
        ("max-steps = 0", "key 'max-steps' cannot be 0", "budget"),
        ("strategies = ''", "key 'strategies' cannot be ''", "maths, school, logic, code"),
        (f"mode = '{'x' * 9000}'", "...'", "full, fast1, fast2"),
        ("max_steps = 1\nmax-steps = 1", "'max_steps' is given twice", "'max-steps'"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(
    file: Path, text: str, where: str, accepted: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(file, text)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert where.replace("\\\\", "\\") in message
    assert accepted in message
    assert len(message.splitlines()) <= 3
    assert len(message) < 1000
    assert "\x1b" not in message


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"paths = 1\nmode = 'full\n", "line 2: not valid TOML"),
        (b"paths = 1\nmode = 'f\xfcll'\n", "line 2: not UTF-8"),
        (b"#" * (MAX_CONFIG_BYTES + 1), "at most 1024 kB"),
    ],
    ids=["quote", "utf-8", "size"],
)
def test_a_damaged_file_is_named_with_its_line(file: Path, data: bytes, where: str) -> None:
    file.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load_settings(env={}, file=file)
    assert str(file) in str(caught.value)
    assert where in str(caught.value)
    with pytest.raises(ConfigError, match=re.escape(where)):
        save_setting("paths", 2, file=file)
    assert file.read_bytes() == data


@pytest.mark.parametrize(
    ("variable", "text", "accepted"),
    [
        ("SSR_LOCAL_PATHS", "three", "1 to 12"),
        ("SSR_LOCAL_PATHS", "\udcff", "1 to 12"),
        ("SSR_LOCAL_PATHS", "9" * 5000, "1 to 12"),
        ("SSR_LOCAL_MODE", "\udcff", "full, fast1, fast2"),
        ("SSR_LOCAL_THRESHOLD", "nan", "0 to 9"),
        ("SSR_LOCAL_SEED", "-1", "repeatable"),
    ],
)
def test_a_wrong_variable_is_named(file: Path, variable: str, text: str, accepted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(file, env={variable: text})
    message = str(caught.value)
    assert message.startswith(f"{variable} cannot be '")
    assert accepted in message
    assert len(message) < 500
    message.encode()


def test_a_weak_layer_is_checked_even_when_it_loses(file: Path) -> None:
    with pytest.raises(ConfigError, match="key 'paths' cannot be 99"):
        load(file, "paths = 99", paths=2)
    with pytest.raises(ConfigError, match="SSR_LOCAL_PATHS cannot be '99'"):
        load(file, "", {"SSR_LOCAL_PATHS": "99"}, paths=2)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"path": 3}, "no option 'path'"),
        ({"paths": 13}, "Option 'paths' cannot be 13"),
        ({"paths": [3]}, "cannot be a list"),
        ({"paths": 1 << 40_000}, "more than 64 bits"),
        ({"mode": "a\x1b"}, r"'a\\x1b'"),
    ],
)
def test_a_wrong_override(file: Path, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load(file, **overrides)
    assert not isinstance(caught.value, ConfigError)


def test_a_seed_of_null_in_the_environment_undoes_the_files(file: Path) -> None:
    settings = load(file, "seed = 5", {"SSR_LOCAL_SEED": "null"})
    assert value_of(settings, "seed") == Setting("seed", None, "environment", "SSR_LOCAL_SEED")


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("SSR_LOCAL_MAX_TOKEN", "SSR_LOCAL_MAX_TOKENS"),
        ("SSR_LOCAL_paths", "SSR_LOCAL_PATHS"),
        ("ssr_local_paths", "SSR_LOCAL_PATHS"),
        ("SSR_LOCAL_DATADIR", "SSR_LOCAL_DATA_DIR"),
        ("SSR_LOCAL_\x1b[2J", "SSR_LOCAL_?[2J"),
    ],
)
def test_a_mistyped_variable_is_warned_about(file: Path, variable: str, expected: str) -> None:
    settings = load(file, env={variable: "1", "PATH": "x", "SSR_LOCALE": "x"})
    (warning,) = settings.warnings
    assert expected in warning
    assert "ignored" in warning
    assert warning.isprintable()


@pytest.mark.parametrize(
    ("name", "text"), [(n, "/x") for n in ("DATA_DIR", "CACHE_DIR", "DEMO_SPEED")] + [("FOO", "")]
)
def test_folder_variables_and_empty_ones_are_no_mistakes(file: Path, name: str, text: str) -> None:
    assert load(file, env={f"SSR_LOCAL_{name}": text}).warnings == ()


@pytest.mark.parametrize(
    ("before", "name", "value", "after"),
    [
        ("", "paths", 5, "paths = 5\n"),
        ("# top\npaths = 3 # three\n", "paths", 5, "# top\npaths = 5 # three\n"),
        ("paths = 3", "threads", 2, "paths = 3\nthreads = 2\n"),
        ("max-tokens = 9 # keep\n", "max_tokens", 7, "max-tokens = 7 # keep\n"),
        ("max_tokens = 9\n", "max-tokens", 7, "max_tokens = 7\n"),
        ("max-tokens = 9\nctx = 1\nmax_tokens = 8\n", "max_tokens", 7, "max-tokens = 7\nctx = 1\n"),
        ("paths = 3\n\n# app\n[tui]\n", "ctx", 9, "paths = 3\nctx = 9\n\n# app\n[tui]\n"),
        ("# top\n\n# the app\n[tui]\n", "ctx", 9, "# top\n\nctx = 9\n\n# the app\n[tui]\n"),
        ("[tui]\na = 1\n", "ctx", 9, "ctx = 9\n\n[tui]\na = 1\n"),
        ("tui.a = 1\nctx = 8\n", "paths", 2, "paths = 2\n\ntui.a = 1\nctx = 8\n"),
        ("paths = 3\r\n[tui]\r\n", "ctx", 9, "paths = 3\r\nctx = 9\r\n[tui]\r\n"),
        ("paths = 3 # three\nctx = 9\n", "paths", None, "ctx = 9\n"),
        ("ctx = 9\n", "paths", None, "ctx = 9\n"),
        ("pathz = 3\nctx = 9\n", "pathz", None, "ctx = 9\n"),
        ("pathz = 3\n", "ctx", 9, "pathz = 3\nctx = 9\n"),
        ("paths = [3]\n", "paths", 2, "paths = 2\n"),
        ("threshold = 6.5\n", "threshold", 7, "threshold = 7.0\n"),
        ("x = [\n  1, # one\n]\n", "ctx", 9, "x = [\n  1, # one\n]\nctx = 9\n"),
        ('strategies = """\nmaths"""\nctx = 9\n', "strategies", None, "ctx = 9\n"),
        ("", "paths", "5", "paths = 5\n"),
        ("", "draft", "5", 'draft = "5"\n'),
        ("", "gpu_layers", "-1", "gpu_layers = -1\n"),
        ("seed = 5\n", "seed", "null", ""),
        ("", "draft", 'a"b\\c', 'draft = "a\\"b\\\\c"\n'),
    ],
)
def test_saving_changes_one_line(
    file: Path, before: str, name: str, value: Any, after: str
) -> None:
    file.write_bytes(before.encode())
    save_setting(name, value, file=file)
    assert file.read_bytes() == after.encode()


@pytest.mark.parametrize(
    ("name", "value", "message", "before"),
    [
        ("path", 3, "Did you mean paths", "paths = 2\n"),
        ("path", None, "no option 'path'", "paths = 2\n"),
        ("tui", "x", "no option 'tui'", "paths = 2\n"),
        ("paths", "many", "1 to 12", "paths = 2\n"),
        ("paths", True, "1 to 12", "paths = 2\n"),
        ("threshold", float("nan"), "0 to 9", "paths = 2\n"),
        ("draft", "a\udcff", "cannot be written", "paths = 2\n"),
        ("paths", None, "is a table", "[paths]\na=1\n"),
        ("x", None, "is a table", "[[x]]\na=1\n"),
    ],
)
def test_nothing_wrong_is_saved(
    file: Path, name: str, value: Any, message: str, before: str
) -> None:
    file.write_text(before)
    with pytest.raises(UsageError, match=message):
        save_setting(name, value, file=file)
    assert file.read_text() == before
    assert list(file.parent.iterdir()) == [file]


def test_saving_makes_the_folder_follows_a_link_and_keeps_the_permissions(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "ssr.toml"
    link = tmp_path / "config" / "config.toml"
    link.parent.mkdir()
    link.symlink_to(real)
    save_setting("paths", 4, file=link)
    assert link.is_symlink()
    assert real.read_text() == "paths = 4\n"
    real.chmod(0o640)
    save_setting("paths", 5, file=link)
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_full_disk_leaves_the_file_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left")

    file.write_text("paths = 2\n")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="cannot be written"):
        save_setting("paths", 4, file=file)
    assert file.read_text() == "paths = 2\n"
    assert list(file.parent.iterdir()) == [file]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="cannot be"):
        save_setting("paths", 4, file=tmp_path / "taken" / "config.toml")
