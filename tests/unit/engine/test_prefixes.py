"""What is kept of prefilled prompts, and what a faulty cache folder does to it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from ssr_local.core import folders
from ssr_local.engine import prefixes
from ssr_local.engine.fake import FakeEngine
from ssr_local.engine.prefixes import KeptPrefix, KeptPrefixes, kept_bytes, kept_files, remove_kept
from tests.engine.kits import PlainScript

PROMPTS = [[3, 1, 4], [3, 1, 5]]
KEPT = KeptPrefix(state=b"cells" * 100, baseline=(-1.0, -2.5))


@pytest.fixture
def engine(tmp_path: Path) -> FakeEngine:
    """A model with a file."""
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    return with_file(tmp_path / "model.gguf")


def with_file(path: Path, **changes: str) -> FakeEngine:
    engine = FakeEngine(PlainScript())
    engine.info = msgspec.structs.replace(engine.info, file=str(path), **changes)
    return engine


def only_file() -> Path:
    (path,) = prefixes.folder().iterdir()
    return path


def test_another_session_finds_it(engine: FakeEngine) -> None:
    KeptPrefixes().keep(engine, PROMPTS, KEPT)
    assert KeptPrefixes().find(engine, PROMPTS) == KEPT
    assert kept_bytes() == only_file().stat().st_size >= len(KEPT.state)


def test_only_for_this_prompt_file_library_and_device(engine: FakeEngine, tmp_path: Path) -> None:
    KeptPrefixes().keep(engine, PROMPTS, KEPT)
    assert KeptPrefixes().find(engine, [*PROMPTS, [3, 1, 6]]) is None
    model = Path(engine.info.file)
    for other in (
        with_file(model, engine="llama.cpp 2"),
        with_file(model, device="GPU"),
        with_file(model, sha256="0" * 64),
        with_file(tmp_path / "other.gguf"),
    ):
        assert KeptPrefixes().find(other, PROMPTS) is None


def test_a_model_without_a_file_keeps_in_memory_alone(engine: FakeEngine) -> None:
    nameless, kept = FakeEngine(PlainScript()), KeptPrefixes()
    kept.keep(nameless, PROMPTS, KEPT)
    assert kept.find(nameless, PROMPTS) == KEPT
    assert kept_bytes() == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data.replace(b"cellscells", b"cellscello", 1),
        lambda data: b"something else",
    ],
)
def test_a_damaged_file_is_ignored_and_replaced(engine: FakeEngine, damage: object) -> None:
    assert callable(damage)
    KeptPrefixes().keep(engine, PROMPTS, KEPT)
    only_file().write_bytes(damage(only_file().read_bytes()))
    kept = KeptPrefixes()
    assert kept.find(engine, PROMPTS) is None
    kept.keep(engine, PROMPTS, KEPT)
    assert KeptPrefixes().find(engine, PROMPTS) == KEPT


def test_a_file_of_another_prompt_under_this_name_is_ignored(engine: FakeEngine) -> None:
    KeptPrefixes().keep(engine, PROMPTS, KEPT)
    mine = only_file()
    KeptPrefixes().keep(engine, [[9]], KEPT)
    (other,) = set(prefixes.folder().iterdir()) - {mine}
    other.replace(mine)
    assert KeptPrefixes().find(engine, PROMPTS) is None


def test_a_folder_that_is_a_file_keeps_in_memory(engine: FakeEngine) -> None:
    folders.cache_dir().mkdir(parents=True)
    prefixes.folder().write_text("in the way", encoding="utf-8")
    kept = KeptPrefixes()
    kept.keep(engine, PROMPTS, KEPT)
    assert kept.find(engine, PROMPTS) == KEPT
    assert KeptPrefixes().find(engine, PROMPTS) is None


@pytest.mark.parametrize(("module", "fails"), [(os, "fsync"), (Path, "replace"), (Path, "open")])
def test_a_full_or_read_only_disk_leaves_nothing_behind(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, module: object, fails: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, fails, refuse)
    kept = KeptPrefixes()
    kept.keep(engine, PROMPTS, KEPT)
    assert kept.find(engine, PROMPTS) == KEPT
    assert list(prefixes.folder().iterdir()) == []


def test_the_least_recently_used_is_removed_first(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    KeptPrefixes().keep(engine, [[1]], KEPT)
    size = kept_bytes()
    monkeypatch.setattr(prefixes, "MOST_ON_DISK_BYTES", 2 * size + size // 2)
    for age, path in enumerate(prefixes.folder().iterdir()):
        os.utime(path, (age, age))
    KeptPrefixes().keep(engine, [[2]], KEPT)
    for path in prefixes.folder().iterdir():
        os.utime(path, (100, 100))
    assert KeptPrefixes().find(engine, [[1]]) == KEPT  # and so it is used last
    KeptPrefixes().keep(engine, [[3]], KEPT)
    found = [KeptPrefixes().find(engine, [[n]]) is not None for n in (1, 2, 3)]
    assert found == [True, False, True]


def test_what_is_larger_than_the_limit_is_not_written(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefixes, "MOST_ON_DISK_BYTES", 10)
    monkeypatch.setattr(prefixes, "MOST_IN_MEMORY_BYTES", 10)
    kept = KeptPrefixes()
    kept.keep(engine, [[1]], KEPT)
    kept.keep(engine, [[2]], KEPT)
    assert kept_bytes() == 0
    assert (kept.find(engine, [[1]]), kept.find(engine, [[2]])) == (None, KEPT)


def test_what_is_kept_goes_with_its_model_alone(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "other.gguf").write_bytes(b"GGUF")
    other, hashed = with_file(tmp_path / "other.gguf"), with_file(Path("x"), sha256="ab" * 32)
    for one in (engine, other, hashed):
        KeptPrefixes().keep(one, PROMPTS, KEPT)
    assert remove_kept(kept_files(Path(engine.info.file), None)) > 0
    assert remove_kept(kept_files(Path("x"), "ab" * 32)) > 0
    found = [KeptPrefixes().find(one, PROMPTS) for one in (engine, other, hashed)]
    assert found == [None, KEPT, None]


def test_memory_forgets_what_was_not_used_for_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefixes, "MOST_IN_MEMORY_BYTES", 2 * len(KEPT.state))
    nameless, kept = FakeEngine(PlainScript()), KeptPrefixes()
    for number in (1, 2):
        kept.keep(nameless, [[number]], KEPT)
    assert kept.find(nameless, [[1]]) == KEPT  # and so it is used last
    kept.keep(nameless, [[3]], KEPT)
    assert [kept.find(nameless, [[n]]) is not None for n in (1, 2, 3)] == [True, False, True]
    kept.keep(nameless, [[1]], KEPT)  # kept again, it is not the oldest any more
    kept.keep(nameless, [[4]], KEPT)
    assert [kept.find(nameless, [[n]]) is not None for n in (1, 3, 4)] == [True, False, True]
