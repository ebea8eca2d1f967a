from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from ssr_local.core.errors import ConfigError
from ssr_local.models.models_file import FileSource, HubSource, ModelSpec, PartSpec
from ssr_local.models.references import Remembered, adopt, parse_reference, remembered


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
    with pytest.raises(ConfigError, match=r"hub-models\.json"):
        adopt(stick)
    assert remembered().models == {SPEC.name: SPEC}
