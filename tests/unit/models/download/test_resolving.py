from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssr_local.core import folders
from ssr_local.core.errors import ConfigError, DownloadError, ModelError, ModelNotFoundError
from ssr_local.models.download import (
    Progress,
    ensure_model,
    file_sha256,
    hub,
    known_sha256,
    local_state,
    remove_model,
    resolved,
    to_fetch,
    verified_path,
)
from ssr_local.models.models_file import ModelSpec
from ssr_local.models.references import remembered
from ssr_local.models.registry import load_registry
from tests.unit.models.download.local_hub import Repo, RepoHub


def gguf(text: str, size: int = 40_000) -> bytes:
    return b"GGUF" + text.encode() * (size // len(text))


SPLIT = {f"Q8_0/big-q8_0-{n:05}-of-00003.gguf": gguf(f"part {n}") for n in (1, 2, 3)}
TOTAL = sum(map(len, SPLIT.values()))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RepoHub]:
    server = RepoHub(
        some__Tiny_GGUF=Repo(
            {
                "README.md": b"tiny",
                "Tiny-Q4_K_M.gguf": gguf("four"),
                "Tiny-Q8_0.gguf": gguf("eight"),
                "Tiny-UD-Q3_K_XL.gguf": gguf("three"),
                "Tiny-FP16.gguf": gguf("sixteen"),
                "mmproj-Tiny-Q4_K_M.gguf": gguf("pictures"),
            }
        ),
        some__Big=Repo(
            {**SPLIT, "Q6_K/big-00001-of-00002.gguf": gguf("six")},
            {"license": "other", "license_name": "big-licence"},
        ),
        some__Two=Repo({"a-Q4_K_M.gguf": gguf("a"), "b-Q4_K_M.gguf": gguf("b")}),
        some__Names=Repo(
            {
                f"{name}.gguf": gguf(name)
                for name in (
                    "llama-2-7b.Q4_K_M",
                    "llama-2-7b-IQ4_XS",
                    "llama-2-7b-bf16",
                    "Q2_K/llama-2-7b",
                    "llama-2-7b-Q3_K_L-imatrix-00001-of-00001",
                    "llama-2-7b.imatrix",
                )
            }
        ),
        some__One=Repo({"only.gguf": gguf("one")}, card={}),
        some__Space=Repo({"my model.gguf": gguf("mine")}),
        some__Suffix=Repo({"x-Q4_K_M_imat.gguf": gguf("x"), "x-Q6_K_imat.gguf": gguf("y")}),
        some__Odd=Repo({"odd-q5_0.gguf": gguf("five"), "odd-q2_k.gguf": gguf("two")}),
        some__Weights=Repo({"model.safetensors": b"x"}),
        some__Gated=Repo({"g-Q4_K_M.gguf": gguf("gated")}, gated=True),
        some__Small=Repo({"s-Q4_K_M.gguf": gguf("small")}, lfs=False),
    )
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "0")
    for name in ("HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hub, "RETRY_WAIT_S", 0.0)
    yield server
    server.close()


def model(name: str) -> ModelSpec:
    return load_registry().model(name)


@pytest.mark.parametrize(
    ("asked", "name", "file"),
    [
        ("some/Tiny_GGUF", "some/Tiny_GGUF:Q4_K_M", "Tiny-Q4_K_M.gguf"),
        ("hf.co/some/Tiny_GGUF:q8_0", "some/Tiny_GGUF:Q8_0", "Tiny-Q8_0.gguf"),
        ("https://huggingface.co/some/Tiny_GGUF:F16", "some/Tiny_GGUF:F16", "Tiny-FP16.gguf"),
        ("some/Tiny_GGUF:Q3_K_XL", "some/Tiny_GGUF:UD-Q3_K_XL", "Tiny-UD-Q3_K_XL.gguf"),
        ("some/Two:b-Q4_K_M.gguf", "some/Two:b-Q4_K_M.gguf", "b-Q4_K_M.gguf"),
        ("some/One", "some/One:only.gguf", "only.gguf"),
        ("some/Names", "some/Names:Q4_K_M", "llama-2-7b.Q4_K_M.gguf"),
        ("some/Names:iq4_xs", "some/Names:IQ4_XS", "llama-2-7b-IQ4_XS.gguf"),
        ("some/Names:BF16", "some/Names:BF16", "llama-2-7b-bf16.gguf"),
        ("some/Names:Q2_K", "some/Names:Q2_K", "Q2_K/llama-2-7b.gguf"),
        (
            "some/Names:Q3_K_L",
            "some/Names:Q3_K_L",
            "llama-2-7b-Q3_K_L-imatrix-00001-of-00001.gguf",
        ),
        ("some/Space", "some/Space:my model.gguf", "my model.gguf"),
        ("some/Suffix:Q4_K_M", "some/Suffix:Q4_K_M_IMAT", "x-Q4_K_M_imat.gguf"),
        ("some/Odd", "some/Odd:Q5_0", "odd-q5_0.gguf"),
        ("some/Big", "some/Big:Q8_0", "Q8_0/big-q8_0-00001-of-00003.gguf"),
        (
            "some/Big:big-q8_0-00001-of-00003.gguf",
            "some/Big:Q8_0/big-q8_0-00001-of-00003.gguf",
            "Q8_0/big-q8_0-00001-of-00003.gguf",
        ),
    ],
)
def test_what_a_reference_stands_for(server: RepoHub, asked: str, name: str, file: str) -> None:
    assert not model(asked).sources
    assert server.asked == [], "naming a model needs no network"
    spec = resolved(model(asked))
    repo = name.partition(":")[0].replace("/", "--")
    assert (spec.name, spec.file) == (name, f"{repo}/{file}")
    assert model(asked) == model(name) == spec
    assert len(server.asked) == 1
    assert resolved(model(asked)) == spec
    assert len(server.asked) == 1, "what was asked once is remembered"


def test_file_size_and_licence_are_said_before_anything_is_fetched(server: RepoHub) -> None:
    missing = to_fetch([model("some/Big")], ask_hub=True)
    assert missing.num_bytes == TOTAL
    for said in ("big-q8_0-00001-of-00003.gguf and 2 more", "big-licence", "has no Q4_K_M"):
        assert said in str(missing)
    assert str(to_fetch([model("some/Big")])) == str(missing)
    assert server.ranges == []


@pytest.mark.parametrize(
    ("asked", "reasons"),
    [
        (
            "some/Tiny_GGUF:Q5_K_M",
            ["has no Q5_K_M", ": UD-Q3_K_XL, Q4_K_M, Q8_0, F16", "GGUF:Q4_K_M"],
        ),
        ("some/Tiny_GGUF:x.gguf", ["has no x.gguf", "Tiny-Q8_0.gguf"]),
        ("some/Two", ["stands for 2 models", "a-Q4_K_M.gguf, b-Q4_K_M.gguf", ":a-Q4_K_M.gguf"]),
        ("some/Weights", ["some/Weights has no GGUF file"]),
        ("some/Names:Q8_0", [": Q2_K, Q3_K_L, IQ4_XS, Q4_K_M, BF16."]),
        ("some/Nothing", ["some/Nothing", "no such repository", "/some/Nothing"]),
        ("some/Gated", ["gated", "/some/Gated", "HF_TOKEN"]),
    ],
)
def test_what_cannot_be_had_says_why(server: RepoHub, asked: str, reasons: list[str]) -> None:
    with pytest.raises(ModelError) as caught:
        to_fetch([model(asked)], ask_hub=True)
    assert all(reason in str(caught.value) for reason in reasons), str(caught.value)
    assert len(str(caught.value).splitlines()) == 3
    assert not remembered().models
    assert server.ranges == []


def test_a_token_opens_a_gated_repository_and_is_never_shown(
    server: RepoHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(DownloadError, match="403: it is gated") as caught:
        resolved(model("some/Gated"))
    assert "hf_other" not in str(caught.value)
    monkeypatch.setenv("HF_TOKEN", server.allowed)
    assert ensure_model(model("some/Gated")).read_bytes() == gguf("gated")
    assert [token for _, token in server.tokens] == [None], "the CDN sees no token"
    remove_model(model("some/Gated"))
    spec = resolved(model("some/Gated"))
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(DownloadError, match=r"/some/Gated and set HF_TOKEN") as caught:
        ensure_model(spec)
    assert "hf_other" not in str(caught.value)


def test_a_token_with_odd_characters_is_not_shown_either(
    server: RepoHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_sécret")
    with pytest.raises(DownloadError) as caught:
        ensure_model(model("some/One"))
    assert "HF_TOKEN" in str(caught.value)
    assert "cret" not in str(caught.value)


def test_a_renamed_repository_goes_by_both_names(server: RepoHub) -> None:
    server.renamed["old/Name"] = "some/One"
    spec = resolved(model("old/Name"))
    assert spec.name == "some/One:only.gguf"
    assert model("old/Name") == spec


def test_a_repository_without_hashes_is_refused(server: RepoHub) -> None:
    spec = resolved(model("some/Small"))
    assert spec.sha256 is None
    with pytest.raises(DownloadError, match="publishes no SHA-256"):
        ensure_model(spec)


def test_a_split_model_is_fetched_checked_and_removed_as_one(server: RepoHub) -> None:
    seen: list[Progress] = []
    spec = resolved(model("some/Big"))
    first = ensure_model(spec, on_progress=seen.append)
    parts = sorted(first.parent.iterdir())
    parts = [part for part in parts if part.suffix == ".gguf"]
    assert [part.read_bytes() for part in parts] == list(SPLIT.values())
    assert first == parts[0]
    done = [progress.done_bytes for progress in seen]
    assert done == sorted(done)
    assert {progress.total_bytes for progress in seen} == {TOTAL}
    assert done[-1] == TOTAL
    here = local_state(spec)
    assert (here.state, here.present_bytes, here.total_bytes, here.checked) == (
        ("present", TOTAL, TOTAL, True)
    )
    assert known_sha256(spec) == file_sha256(spec) is not None
    parts[2].write_bytes(gguf("wrong!"))
    with pytest.raises(ModelError, match="00003-of-00003"):
        verified_path(spec)
    server.requests.clear()
    assert ensure_model(spec, repair=True) == first
    assert server.ranges == [None], "only the damaged file is fetched again"
    assert remove_model(spec) == TOTAL
    assert not any(part.exists() for part in parts)
    assert not model("some/Big").sources, "and what the reference stood for is forgotten"


def test_a_split_download_goes_on_where_it_stopped(server: RepoHub) -> None:
    spec = resolved(model("some/Big"))
    server.drop_after = [100_000, 10_000] + [0] * 10
    with pytest.raises(DownloadError, match="pull some/Big:Q8_0"):
        ensure_model(spec)
    server.drop_after.clear()
    server.requests.clear()
    here = local_state(spec)
    kept = len(SPLIT["Q8_0/big-q8_0-00001-of-00003.gguf"]) + 10_000
    assert (here.state, here.present_bytes, here.total_bytes) == ("partial", kept, TOTAL)
    assert to_fetch([spec]).num_bytes == TOTAL - kept
    with pytest.raises(ModelNotFoundError, match=f"{kept} of {TOTAL}"):
        verified_path(spec)
    ensure_model(spec)
    assert server.ranges == ["bytes=10000-", None]


def test_a_changed_file_is_refused_for_its_hash(server: RepoHub) -> None:
    spec = resolved(model("some/One"))
    server.repos["some/One"].files["only.gguf"] = gguf("two")
    with pytest.raises(DownloadError, match=r"SHA-256|bytes, expected"):
        ensure_model(spec)


def test_a_damaged_memory_says_what_to_do(server: RepoHub) -> None:
    resolved(model("some/One"))
    file = folders.data_dir() / "hub-models.json"
    file.write_text("{")
    with pytest.raises(ConfigError, match=str(file)):
        load_registry()


OFFLINE = """
from ssr_local.core.errors import SSRError
from ssr_local.models.download import ensure_model
from ssr_local.models.registry import load_registry
for name in ("some/One", "some/Two:Q4_K_M"):
    try:
        print(ensure_model(load_registry().model(name)))
    except SSRError as error:
        print(error)
"""


def test_without_a_network_what_is_here_works(server: RepoHub) -> None:
    path = ensure_model(model("some/One"))
    server.close()
    run = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=True,
    )
    there, *error = run.stdout.splitlines()
    assert there == str(path)
    assert "HF_HUB_OFFLINE is set" in error[1]
    assert "models pull some/Two:Q4_K_M" in error[2]


def test_an_unreachable_hub_is_named(server: RepoHub) -> None:
    server.close()
    with pytest.raises(DownloadError, match="cannot be reached"):
        resolved(model("some/One"))
