"""Other programs' model files, in folders laid out as those programs do."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from ssr_local.core.errors import ModelNotFoundError, UsageError
from ssr_local.models import elsewhere
from ssr_local.models.download import (
    copy_to_own,
    ensure_model,
    local_path,
    local_state,
    remove_model,
    verified_path,
)
from ssr_local.models.elsewhere import FoundFile, found_files
from ssr_local.models.models_file import FileSource, ModelSpec, PartSpec
from ssr_local.models.registry import load_registry
from ssr_local.models.split import split_parts

SHA = "0123456789abcdef" * 4
PAYLOAD = b"GGUF and some weights"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with nothing in it, and none of the programs' variables."""
    for name in ("HF_HOME", "HF_HUB_CACHE", "LLAMA_CACHE", "OLLAMA_MODELS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / ".cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(elsewhere, "LM_STUDIO", (tmp_path / ".lmstudio" / "models",))
    monkeypatch.setattr(elsewhere, "_MOMENT_S", 1e-9)  # look again every time
    return tmp_path


def put(path: Path, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def hugging_face(hub: Path, file: str, blob: str = SHA) -> Path:
    repo = hub / "models--Qwen--Tiny-GGUF"
    put(repo / "blobs" / blob)
    path = repo / "snapshots" / ("f" * 40) / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(repo / "blobs" / blob)
    return path


def ollama(store: Path, name: str, layers: list[dict[str, str]]) -> None:
    manifest = put(store / "manifests" / "registry.ollama.ai" / name)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))


def shown(found: tuple[FoundFile, ...]) -> list[tuple[str, str, str, str | None]]:
    return [(one.origin, one.name, one.file, one.sha256) for one in found]


def test_where_nothing_is_nothing_is_found(home: Path) -> None:
    assert found_files() == ()


def test_each_programs_files_are_found_where_they_lie(home: Path) -> None:
    cache = home / ".cache"
    linked = hugging_face(cache / "huggingface" / "hub", "q/tiny-q4_k_m.gguf")
    put(cache / "llama.cpp" / "Qwen_Tiny-GGUF_tiny-q4_k_m.gguf")
    put(home / ".lmstudio" / "models" / "qwen" / "Tiny-GGUF" / "tiny-q8_0.gguf")
    store = home / ".ollama" / "models"
    blob = put(store / "blobs" / f"sha256-{SHA}", 42)
    model = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{SHA}"}
    other = {"mediaType": "application/vnd.ollama.image.license", "digest": f"sha256:{'e' * 64}"}
    ollama(store, "library/qwen2.5/0.5b", [other, model])
    ollama(store, "somebody/mine/latest", [model])
    put(store / "manifests" / "hf.co" / "a" / "b" / "Q4").write_text(
        json.dumps({"layers": [model]})
    )
    found = found_files()
    assert shown(found) == [
        ("Hugging Face", "Qwen/Tiny-GGUF/tiny-q4_k_m.gguf", "tiny-q4_k_m.gguf", SHA),
        ("LM Studio", "qwen/Tiny-GGUF/tiny-q8_0.gguf", "tiny-q8_0.gguf", None),
        ("Ollama", "hf.co/a/b:Q4", "", SHA),
        ("Ollama", "qwen2.5:0.5b", "", SHA),
        ("Ollama", "somebody/mine:latest", "", SHA),
        ("llama.cpp", "Qwen_Tiny-GGUF_tiny-q4_k_m.gguf", "Qwen_Tiny-GGUF_tiny-q4_k_m.gguf", None),
    ]
    assert (found[0].path, found[2].path, found[2].bytes) == (linked, blob, 42)


def test_nobody_needs_a_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as where none is known
    monkeypatch.delenv("HOME")
    monkeypatch.chdir(home)
    assert found_files() == ()


@pytest.mark.parametrize(
    ("variable", "file"),
    [
        ("HF_HUB_CACHE", "models--a--b/snapshots/r/c.gguf"),
        ("HF_HOME", "hub/models--a--b/snapshots/r/c.gguf"),
        ("LLAMA_CACHE", "c.gguf"),
    ],
)
def test_their_variables_count(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, file: str
) -> None:
    put(home / "big disk" / file)
    monkeypatch.setenv(variable, str(home / "big disk"))
    assert [one.path for one in found_files()] == [home / "big disk" / file]


def test_what_is_damaged_or_gone_is_left_out(home: Path) -> None:
    link = hugging_face(home / ".cache" / "huggingface" / "hub", "gone.gguf")
    link.resolve().unlink()
    store = home / ".ollama" / "models"
    put(store / "manifests" / "registry.ollama.ai" / "library" / "half" / "latest")
    gone = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{SHA}"}
    escape = gone | {"digest": "sha256:../../../etc/passwd"}
    ollama(store, "library/gone/latest", [gone, escape])
    (home / ".lmstudio").mkdir()
    put(home / ".lmstudio" / "models")  # a file where a folder should be
    assert found_files() == ()


def test_a_split_file_is_one_model_and_only_whole(home: Path) -> None:
    folder = home / ".lmstudio" / "models" / "qwen" / "Big-GGUF"
    parts = [put(folder / f"big-{n:05}-of-00003.gguf", n) for n in (1, 2, 3)]
    (found,) = found_files()
    assert (found.path, found.bytes) == (parts[0], 6)
    assert split_parts(parts[1]) == parts
    assert split_parts(folder / "big.gguf") == [folder / "big.gguf"]
    parts[1].unlink()
    assert found_files() == ()
    shutil.rmtree(folder)


# What is there is not fetched again -------------------------------------------------


def known(home: Path) -> ModelSpec:
    """A model that can be had from a file."""
    (home / "source").write_bytes(PAYLOAD)
    return ModelSpec(
        name="tiny",
        file="tiny.gguf",
        bytes=len(PAYLOAD),
        sha256=hashlib.sha256(PAYLOAD).hexdigest(),
        sources=(FileSource(path=str(home / "source")),),
    )


def test_a_file_of_the_same_hash_is_used_where_it_lies(home: Path) -> None:
    spec = known(home)
    assert spec.sha256 is not None
    linked = hugging_face(home / ".cache" / "huggingface" / "hub", "other-name.gguf", spec.sha256)
    linked.resolve().write_bytes(PAYLOAD)
    assert ensure_model(spec) == linked == verified_path(spec)
    here = local_state(spec)
    assert (here.state, here.checked, here.origin) == ("present", True, "Hugging Face")
    with pytest.raises(UsageError, match="a file of Hugging Face"):
        remove_model(spec)
    assert linked.read_bytes() == PAYLOAD
    copy_to_own(spec, print)
    assert local_path(spec).read_bytes() == PAYLOAD
    assert local_state(spec).origin == ""
    remove_model(spec)
    linked.resolve().unlink()
    assert local_state(spec).state == "missing"
    assert ensure_model(spec).read_bytes() == PAYLOAD
    assert local_state(spec).origin == ""


@pytest.mark.parametrize(("content", "used"), [(PAYLOAD, True), (PAYLOAD[::-1], False)])
def test_a_file_of_the_same_name_and_size_is_hashed_before_it_is_used(
    home: Path, content: bytes, used: bool
) -> None:
    spec = known(home)
    cached = put(home / ".cache" / "llama.cpp" / "Qwen_Tiny-GGUF_tiny.gguf")
    cached.write_bytes(content)
    assert local_path(spec) == cached
    path = ensure_model(spec)
    assert (path == cached) == used
    assert path.read_bytes() == PAYLOAD
    assert cached.read_bytes() == content


@pytest.mark.parametrize("right", [True, False])
def test_a_split_model_is_used_where_it_lies(home: Path, right: bool) -> None:
    data = [b"GGUF one", b"GGUF two"]
    names = [f"big-0000{n}-of-00002.gguf" for n in (1, 2)]
    for name, content in zip(names, data, strict=True):
        (home / name).write_bytes(content)
    spec = ModelSpec(
        name="some/Big:Q8_0",
        file=f"some--Big/{names[0]}",
        parts=tuple(PartSpec(bytes=8, sha256=hashlib.sha256(part).hexdigest()) for part in data),
        sources=(FileSource(path=str(home / names[0])),),
    )
    there = home / ".lmstudio" / "models" / "some" / "Big"
    for name, content in zip(names, data if right else [data[0], data[1][::-1]], strict=True):
        put(there / name).write_bytes(content)
    path = ensure_model(spec)
    assert (path == there / names[0]) == right
    assert split_parts(path)[1].read_bytes() == data[1]
    if right:
        with pytest.raises(UsageError, match="a file of LM Studio"):
            remove_model(spec)
        copy_to_own(spec, print)
        assert [part.read_bytes() for part in split_parts(local_path(spec))] == data
        assert local_state(spec).origin == ""


def test_a_model_of_ollama_has_a_name(home: Path) -> None:
    registry = load_registry()
    with pytest.raises(ModelNotFoundError, match="none on this machine"):
        registry.model("ollama:qwen2.5:0.5b")
    store = home / ".ollama" / "models"
    blob = put(store / "blobs" / f"sha256-{SHA}")
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{SHA}"}
    ollama(store, "library/qwen2.5/latest", [layer])
    assert local_path(registry.model("ollama:qwen2.5")) == blob
    blob.write_bytes(PAYLOAD)
    assert ensure_model(registry.model("ollama:qwen2.5:latest")) == blob
    with pytest.raises(ModelNotFoundError, match=r"Did you mean: qwen2\.5:latest") as error:
        registry.model("ollama:qwen2.5:7b")
    assert error.value.next_step == "Run: ollama pull qwen2.5:7b"
    spec = registry.model("ollama:qwen2.5")
    blob.unlink()
    with pytest.raises(ModelNotFoundError, match="not there"):
        ensure_model(spec)
