from __future__ import annotations

import pytest

from ssr_local.models.references import parse_reference


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
