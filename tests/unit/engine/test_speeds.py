from __future__ import annotations

from pathlib import Path

import pytest

from ssr_local.core import folders
from ssr_local.core.options import EngineOptions
from ssr_local.engine import speeds as remembered
from ssr_local.engine.speeds import FILE_NAME, remember_speed, remembered_speeds, speed_of
from ssr_local.method.prediction import Speed


def remember(
    tokens_per_s: float, *, disturbed: bool = False, path: str = "/m.gguf", threads: int = 0
) -> None:
    remember_speed(
        "m",
        Path(path),
        Speed(prefill=9, decode=((1, tokens_per_s), (3, 2 * tokens_per_s))),
        EngineOptions(threads=threads),
        file_bytes=5,
        on_gpu=False,
        disturbed=disturbed,
    )


def speeds(threads: int = 0) -> list[float]:
    return [one.tokens_per_s for one in remembered_speeds(EngineOptions(threads=threads))]


def test_a_file_has_its_last_speed_and_a_disturbed_one_only_where_no_other_is() -> None:
    assert speeds() == []
    remember(1, disturbed=True)
    remember(2, disturbed=True)
    assert speeds() == [2]
    remember(3)
    remember(4)
    assert speeds() == [4]
    remember(1, disturbed=True)
    assert speeds() == [4]
    remember(9, path="/other.gguf")
    assert speeds() == [4, 9]


def test_another_machine_with_this_home_has_its_own_speeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remember(3)
    monkeypatch.setattr(remembered, "cpu_name", lambda: "another CPU")
    assert speeds() == []
    remember(5)
    assert speeds() == [5]
    monkeypatch.undo()
    assert speeds() == [3]


def test_other_options_have_their_own_speeds() -> None:
    remember(3)
    remember(2, threads=1)
    assert (speeds(), speeds(1), speeds(2)) == ([3], [2], [])


@pytest.mark.parametrize("data", [b"", b"{}", b'[{"name": 1}]', b"\xff"])
def test_a_damaged_file_counts_as_empty(data: bytes) -> None:
    folders.cache_dir().mkdir(parents=True)
    (folders.cache_dir() / FILE_NAME).write_bytes(data)
    assert speeds() == []
    remember(3)
    assert speeds() == [3]


def test_a_cache_folder_that_cannot_be_made_costs_only_the_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SSR_LOCAL_CACHE_DIR", str(tmp_path / "file" / "cache"))
    remember(3)
    assert speeds() == []


def test_a_model_in_several_files_is_found_by_the_size_of_all(tmp_path: Path) -> None:
    parts = [tmp_path / f"m-0000{number}-of-00002.gguf" for number in (1, 2)]
    for part in parts:
        part.write_bytes(b"GGUF")
    speed, options = Speed(prefill=9, decode=((1, 5.0),)), EngineOptions()
    remember_speed("m", parts[0], speed, options, file_bytes=8, on_gpu=False, disturbed=False)
    found = speed_of(parts[0], options)
    assert found is not None
    assert found.tokens_per_s == 5
    parts[1].unlink()
    assert speed_of(parts[0], options) is None
