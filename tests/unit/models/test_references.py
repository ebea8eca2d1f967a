from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from ssr_local.core import folders
from ssr_local.core.errors import ConfigError, DownloadError
from ssr_local.models.models_file import FileSource, HubSource, ModelSpec, PartSpec
from ssr_local.models.references import Remembered, adopt, parse_reference, remember, remembered


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("user/repo", "user/repo"),
        ("user/Repo-1.5_GGUF:q4_k_m", "user/Repo-1.5_GGUF:Q4_K_M"),
        ("user/repo:latest", "user/repo"),
        ("user/repo:Some-q4_k_m.gguf", "user/repo:Some-q4_k_m.gguf"),
        ("user/repo:Q8_0/x-00001-of-00002.gguf", "user/repo:Q8_0/x-00001-of-00002.gguf"),
        ("hf.co/user/repo:Q8_0", "user/repo:Q8_0"),
        ("huggingface.co/user/repo", "user/repo"),
        ("https://huggingface.co/user/repo/", "user/repo"),
        ("https://hf.co/user/repo:Q8_0", "user/repo:Q8_0"),
        ("user/repo:my model.gguf", "user/repo:my model.gguf"),
        ("https://huggingface.co/user/repo/blob/main/x.gguf", "user/repo:x.gguf"),
        ("https://hf.co/user/repo/resolve/main/a/x.gguf?download=true", "user/repo:a/x.gguf"),
        ("https://hf.co/user/repo/resolve/v2/x.gguf", None),
        *((text, None) for text in ("user", "a/b/c", "folder/file.gguf", "/a/b", "./a", "~/a/b")),
        *((text, None) for text in ("a/b:", "a/b:c:d", "a/b:..\\c", "-a/b", "a/b:c d", "ä/b", "")),
        *((text, None) for text in ("C:/a.gguf", "C:\\a\\b.gguf", "ollama:user/model:tag")),
        *(
            (text, None)
            for text in ("https://example.org/user/repo", "a/b\n", "a/../b", "a/b--c", "a/b..c")
        ),
    ],
)
def test_what_is_a_reference(text: str, name: str | None) -> None:
    reference = parse_reference(text)
    assert (reference and reference.name) == name


SPEC = ModelSpec(
    name="a/b:Q8_0",
    file="a--b/x-Q8_0.gguf",
    sources=(HubSource(repo="a/b", file="x-Q8_0.gguf"),),
)


@pytest.mark.parametrize(
    "change",
    [
        {"file": "../x-Q8_0.gguf"},
        {"file": "/etc/passwd"},
        {"file": "a--b/x-Q8_0-00001-of-00002.gguf"},
        {"sources": ()},
        {"sources": (FileSource(path="/etc/passwd", in_place=True),)},
        {"parts": (PartSpec(), PartSpec())},
        {"name": "qwen2.5-coder-0.5b"},
        {"licence": "\x1b[2J"},
        {"sources": (HubSource(repo="evil/x", file="x-Q8_0.gguf"),)},
        {"sources": SPEC.sources * 2},
        {"file": "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"},
        {"checked": {"ik 0.1.5": ("avx2",)}},
        {"perplexity": (1.0, 1.0)},
    ],
)
def test_what_the_hub_cannot_have_said_is_not_taken_from_a_stick(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    for spec in (SPEC, replace(SPEC, **change)):
        memory = Remembered(models={spec.name: spec})
        (stick / "hub-models.json").write_bytes(msgspec.json.encode(memory))
        if spec == SPEC:
            adopt(stick)
    adopt(stick)
    assert remembered().models == {SPEC.name: SPEC}, "the rest is kept, and nothing fails"


def test_what_cannot_be_trusted_is_not_written_down() -> None:
    reference = parse_reference("a/b:Q8_0")
    assert reference is not None
    remember(reference, SPEC)
    with pytest.raises(DownloadError, match="cannot be taken"):
        remember(reference, replace(SPEC, file="../x-Q8_0.gguf"))
    assert remembered().models == {SPEC.name: SPEC}


def test_a_damaged_memory_is_said() -> None:
    (folders.data_dir()).mkdir(parents=True, exist_ok=True)
    (folders.data_dir() / "hub-models.json").write_text("{")
    with pytest.raises(ConfigError, match=r"hub-models\.json cannot be read"):
        remembered()
