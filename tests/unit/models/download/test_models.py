from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ssr_local.core.errors import DownloadError, ModelDamagedError, ModelNotFoundError, UsageError
from ssr_local.models import download
from ssr_local.models.download import (
    Progress,
    ensure_model,
    hub,
    local_state,
    stamps,
    verified_path,
)
from ssr_local.models.models_file import FileSource, HubSource, ModelSpec
from tests.unit.models.download.local_hub import LocalHub

PAYLOAD = b"GGUF" + bytes(range(256)) * 2000
SHA = hashlib.sha256(PAYLOAD).hexdigest()
HALF = len(PAYLOAD) // 2


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSR_LOCAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(hub, "RETRY_WAIT_S", 0.0)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    server = LocalHub(PAYLOAD)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    yield server
    server.close()


def spec_of(*sources: object, size: int | None = len(PAYLOAD), sha: str | None = SHA) -> ModelSpec:
    chosen = sources or (HubSource(repo="org/repo", file="m.gguf"),)
    return ModelSpec(name="m", file="m.gguf", sources=chosen, bytes=size, sha256=sha)  # type: ignore[arg-type]


def part_of(spec: ModelSpec) -> Path:
    path = download.local_path(spec)
    return path.with_name(path.name + ".part")


def leftovers(spec: ModelSpec) -> list[str]:
    folder = download.local_path(spec).parent
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


class StopError(Exception):
    pass


def interrupt_after(num_bytes: int):  # type: ignore[no-untyped-def]
    def on_progress(progress: Progress) -> None:
        if progress.phase == "fetching" and progress.done_bytes >= num_bytes:
            raise StopError

    return on_progress


def fetch_half(server: LocalHub, spec: ModelSpec) -> int:
    """Leave a part file behind, as a lost network does; returns its size."""
    server.drop_after = [HALF] + [0] * 10
    with pytest.raises(DownloadError):
        ensure_model(spec)
    server.drop_after.clear()
    server.requests.clear()
    return part_of(spec).stat().st_size


def test_fetches_checks_and_leaves_nothing_else(server: LocalHub) -> None:
    spec, seen = spec_of(), []
    path = ensure_model(spec, on_progress=seen.append)
    assert path.read_bytes() == PAYLOAD
    assert leftovers(spec) == ["m.gguf"]
    assert seen[-1].done_bytes == seen[-1].total_bytes == len(PAYLOAD)
    assert local_state(spec).checked
    server.requests.clear()
    ensure_model(spec)
    assert server.requests == [], "a model that is present needs no network"


def test_goes_on_within_one_run_when_the_connection_drops(server: LocalHub) -> None:
    server.drop_after = [HALF, 10_000]
    assert ensure_model(spec_of()).read_bytes() == PAYLOAD
    assert server.ranges == [None, f"bytes={HALF}-", f"bytes={HALF + 10_000}-"]


def test_gives_up_without_headway_and_keeps_what_came(server: LocalHub) -> None:
    spec = spec_of()
    assert fetch_half(server, spec) == HALF
    here = local_state(spec)
    assert (here.state, here.present_bytes, here.total_bytes) == ("partial", HALF, len(PAYLOAD))
    assert download.to_fetch([spec, spec]).num_bytes == len(PAYLOAD) - HALF
    with pytest.raises(ModelNotFoundError, match=f"{HALF} of {len(PAYLOAD)}"):
        verified_path(spec)


def test_cancelled_by_the_callback_keeps_the_part(server: LocalHub) -> None:
    spec = spec_of()
    server.piece, server.delay_s = 50_000, 0.05
    with pytest.raises(StopError):
        ensure_model(spec, on_progress=interrupt_after(100_000))
    assert part_of(spec).stat().st_size >= 100_000
    server.delay_s = 0
    assert ensure_model(spec).read_bytes() == PAYLOAD


@pytest.mark.parametrize(
    "fault", ["ignore_range", "refuse_range", "shift_range"], ids=["200", "416", "other range"]
)
def test_starts_afresh_when_the_server_cannot_continue(server: LocalHub, fault: str) -> None:
    spec, notices = spec_of(), []
    fetch_half(server, spec)
    setattr(server, fault, 1)
    assert ensure_model(spec, on_notice=notices.append).read_bytes() == PAYLOAD
    assert server.ranges == [f"bytes={HALF}-", None]
    assert any("starting afresh" in notice for notice in notices)


def test_server_that_ignores_range_and_drops_is_given_up(server: LocalHub) -> None:
    server.ignore_range = True
    server.drop_after = [HALF] * 100
    with pytest.raises(DownloadError, match="tried"):
        ensure_model(spec_of())
    assert len(server.ranges) < 30


def test_file_changed_upstream_is_never_appended_to(server: LocalHub) -> None:
    spec = spec_of(size=None, sha=None)
    fetch_half(server, spec)
    changed = PAYLOAD[::-1]
    server.served, server.etag = changed, hashlib.sha256(changed).hexdigest()
    assert ensure_model(spec).read_bytes() == changed
    assert server.ranges == [None]


@pytest.mark.parametrize(("note", "part"), [("{]", b"x" * HALF), ("", PAYLOAD + b"more")])
def test_part_of_unknown_origin_or_too_long_is_not_continued(
    server: LocalHub, note: str, part: bytes
) -> None:
    spec = spec_of()
    fetch_half(server, spec)
    if note:
        part_of(spec).with_name("m.gguf.part.json").write_text(note)
    part_of(spec).write_bytes(part)
    assert ensure_model(spec).read_bytes() == PAYLOAD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": len(PAYLOAD) + 1}, "expected"),
        ({"etag": "0" * 64}, "another SHA-256"),
        ({"content_length": len(PAYLOAD) - 5}, "the hub said"),
        ({"served": PAYLOAD + b"more"}, "the hub said"),
        ({"served": PAYLOAD + b"more", "announce_length": False}, "more than"),
        ({"status": 404}, "404: no such repository"),
        ({"status": 500}, "500"),
        ({"redirect_to": "ftp://127.0.0.1/x"}, "neither http nor https"),
    ],
)
def test_a_lying_server_is_refused(
    server: LocalHub, change: dict[str, object], message: str
) -> None:
    for name, value in change.items():
        setattr(server, name, value)
    spec = spec_of()
    with pytest.raises(DownloadError, match=message) as caught:
        ensure_model(spec)
    assert len(str(caught.value).splitlines()) <= 3
    assert not download.local_path(spec).exists()


@pytest.mark.parametrize("wrong", [b"GGUF" + b"x" * (len(PAYLOAD) - 4), b"\0" + PAYLOAD[1:]])
def test_wrong_bytes_are_thrown_away(server: LocalHub, wrong: bytes) -> None:
    server.served = wrong
    spec = spec_of()
    with pytest.raises(ModelDamagedError, match=r"m\.gguf"):
        ensure_model(spec)
    assert leftovers(spec) == []


def test_a_size_known_to_the_hub_alone_is_said_before_fetching(server: LocalHub) -> None:
    spec = spec_of(size=None, sha=None)
    here = download.to_fetch([spec])
    assert (here.num_bytes, here.unknown) == (0, ("m",))
    assert "m (size not known)" in str(here)
    asked = download.to_fetch([spec], ask_hub=True)
    assert (asked.num_bytes, asked.unknown) == (len(PAYLOAD), ())
    ensure_model(spec)
    assert not download.to_fetch([spec], ask_hub=True)


def test_what_does_not_fit_on_the_disk_together_is_refused_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    specs = [spec_of(), msgspec.structs.replace(spec_of(), name="n", file="n.gguf")]
    real = shutil.disk_usage

    def small(path: object) -> object:
        return real(path)._replace(free=int(len(PAYLOAD) * 1.5))  # type: ignore[call-overload]

    monkeypatch.setattr(download.fetching.shutil, "disk_usage", small)
    download.check_room(specs[:1])
    with pytest.raises(DownloadError, match="not enough room"):
        download.check_room(specs)


def test_hash_known_to_the_hub_alone_is_checked_and_remembered(server: LocalHub) -> None:
    spec = spec_of(size=None, sha=None)
    assert download.known_sha256(spec) is None
    path = ensure_model(spec)
    assert download.known_sha256(spec) == SHA
    path.write_bytes(b"GGUF" + bytes(len(PAYLOAD) - 4))
    with pytest.raises(ModelDamagedError, match="pull m"):
        verified_path(spec)
    server.served = PAYLOAD[:-1] + b"!"
    with pytest.raises(ModelDamagedError):
        ensure_model(spec, repair=True)


def test_hub_without_a_hash_is_refused(server: LocalHub) -> None:
    server.etag = "not-a-hash"
    with pytest.raises(DownloadError, match="publishes no SHA-256"):
        ensure_model(spec_of(size=None, sha=None))


def test_token_does_not_follow_to_another_host(
    server: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.redirect_to = f"http://localhost:{server.port}/cdn/x"
    assert ensure_model(spec_of()).read_bytes() == PAYLOAD
    (first, token), (second, leaked) = server.tokens
    assert (token, leaked) == ("Bearer hf_secret", None)
    assert second == "/cdn/x"
    assert first != second


def test_next_source_is_tried_and_the_begun_one_first(server: LocalHub, tmp_path: Path) -> None:
    (tmp_path / "stick.gguf").write_bytes(PAYLOAD)
    on_stick = FileSource(path=str(tmp_path / "stick.gguf"))
    spec, notices = spec_of(HubSource(repo="org/repo", file="m.gguf"), on_stick), []
    server.status = 503
    assert ensure_model(spec, on_notice=notices.append).read_bytes() == PAYLOAD
    assert "503" in notices[0]
    download.remove_model(spec)
    server.status = None
    server.piece, server.delay_s = 50_000, 0.05
    with pytest.raises(StopError):
        ensure_model(spec, on_progress=interrupt_after(100_000))
    server.delay_s = 0
    server.requests.clear()
    ensure_model(spec_of(on_stick, HubSource(repo="org/repo", file="m.gguf")))
    assert server.ranges[0] is not None


def test_local_file_is_copied_and_checked(tmp_path: Path) -> None:
    source = tmp_path / "stick.gguf"
    source.write_bytes(PAYLOAD)
    spec = spec_of(FileSource(path=str(source)))
    assert ensure_model(spec) != source
    assert source.read_bytes() == PAYLOAD
    download.remove_model(spec)
    source.write_bytes(PAYLOAD[:-1] + b"!")
    with pytest.raises(ModelDamagedError):
        ensure_model(spec)


def test_own_file_is_used_where_it_lies_and_never_removed(tmp_path: Path) -> None:
    source = tmp_path / "mine.gguf"
    source.write_bytes(PAYLOAD)
    spec = spec_of(FileSource(path=str(source), in_place=True), size=None, sha=None)
    assert ensure_model(spec) == source
    with pytest.raises(UsageError):
        download.remove_model(spec)
    assert source.exists()
    source.write_bytes(b"PK")
    with pytest.raises(ModelDamagedError, match="not a GGUF"):
        verified_path(spec)


@pytest.mark.parametrize("flip", [True, False], ids=["flipped bit", "truncated"])
def test_damaged_file_is_refused_and_repaired(server: LocalHub, flip: bool) -> None:
    spec = spec_of()
    path = ensure_model(spec)
    data = bytearray(PAYLOAD)
    data[HALF] ^= 1
    path.write_bytes(data if flip else data[:-1])
    for _ in range(2):  # the second time without hashing
        with pytest.raises(ModelDamagedError, match="models pull m") as caught:
            ensure_model(spec)
    assert caught.value.exit_code == 3
    assert local_state(spec).state == "damaged"
    assert ensure_model(spec, repair=True).read_bytes() == PAYLOAD
    assert verified_path(spec) == path


def test_unchanged_file_is_not_hashed_again(
    server: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of()
    path = ensure_model(spec)
    hashed = []
    monkeypatch.setattr(download.local, "_hash_file", lambda *a: hashed.append(a) or SHA)
    verified_path(spec)
    assert not hashed
    os.utime(path, ns=(1, 1))
    verified_path(spec)
    verified_path(spec)
    assert len(hashed) == 1
    verified_path(spec, again=True)
    assert len(hashed) == 2


def test_damaged_memory_of_hashes_only_costs_a_hash(server: LocalHub, tmp_path: Path) -> None:
    spec = spec_of()
    ensure_model(spec)
    (tmp_path / "data" / stamps.FILE_NAME).write_text('{"m.gguf": 3')
    assert not local_state(spec).checked
    verified_path(spec)
    assert local_state(spec).checked


def test_full_disk_is_noticed_before_starting(
    server: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, len(PAYLOAD) - 1))
    for spec in (spec_of(), spec_of(size=None, sha=None)):
        with pytest.raises(DownloadError, match="not enough room"):
            ensure_model(spec)
        assert server.ranges == []
        assert leftovers(spec) == []


def test_folder_that_cannot_be_written_to(server: LocalHub, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(DownloadError, match="cannot be written to"):
        ensure_model(spec_of())
    assert server.requests == []


RUN = """
import sys, msgspec
from ssr_local.models.download import ensure_model
from ssr_local.models.models_file import ModelSpec
spec = msgspec.json.decode(sys.argv[1], type=ModelSpec)
print("start", flush=True)
ensure_model(spec, on_notice=lambda text: print(text, flush=True))
print("done", flush=True)
"""


def start_run(spec: ModelSpec) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RUN, msgspec.json.encode(spec).decode()]
    root = Path(__file__).parents[4]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)


def wait_for_part(spec: ModelSpec, num_bytes: int) -> None:
    until = time.monotonic() + 20
    while not (part_of(spec).is_file() and part_of(spec).stat().st_size >= num_bytes):
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_download_is_continued(server: LocalHub) -> None:
    spec = spec_of()
    server.delay_s = 0.05
    run = start_run(spec)
    wait_for_part(spec, 100_000)
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=20)
    assert not download.local_path(spec).exists()
    server.delay_s = 0
    server.requests.clear()
    assert ensure_model(spec).read_bytes() == PAYLOAD
    (span,) = server.ranges
    assert span is not None
    assert int(span.removeprefix("bytes=").rstrip("-")) >= 100_000


def test_two_programs_fetch_one_model_once(server: LocalHub) -> None:
    spec = spec_of()
    server.delay_s = 0.03
    first = start_run(spec)
    wait_for_part(spec, 10_000)
    with pytest.raises(DownloadError, match="another program"):
        download.remove_model(spec)
    second = start_run(spec)
    outputs = [run.communicate(timeout=40)[0] for run in (first, second)]
    assert all(output.endswith("done\n") for output in outputs)
    assert "another program" in outputs[1]
    assert server.ranges == [None]
    assert download.local_path(spec).read_bytes() == PAYLOAD


def test_remove_takes_everything(server: LocalHub) -> None:
    spec = spec_of()
    assert download.remove_model(spec) == 0
    ensure_model(spec)
    assert download.remove_model(spec) == len(PAYLOAD)
    fetch_half(server, spec)
    assert download.remove_model(spec) == HALF
    assert leftovers(spec) == []
    assert stamps.stamp_of(download.local_path(spec)) is None
