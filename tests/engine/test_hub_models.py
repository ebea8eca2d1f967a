"""From a reference to an answer: a split model that a hub has, on a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ssr_local import Solver
from ssr_local.core import folders
from ssr_local.engine.packages import is_installed
from tests.engine.kits import CHAINS
from tests.tiny_gguf import write_tiny_model
from tests.unit.models.download.local_hub import Repo, RepoHub


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RepoHub]:
    write_tiny_model(tmp_path / "tiny-Q8_0.gguf", chains=CHAINS, split_tensors=10)
    server = RepoHub(some__Tiny=Repo({path.name: path.read_bytes() for path in tmp_path.iterdir()}))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    yield server
    server.close()


@pytest.mark.skipif(not (is_installed("ik") or is_installed("llama")), reason="needs an engine")
def test_a_reference_is_fetched_runs_and_needs_no_hub_again(server: RepoHub) -> None:
    notices: list[str] = []
    problem = {"method": "target", "paths": 1, "max_tokens": 40}
    with Solver(target="hf.co/some/Tiny", on_notice=notices.append) as solver:
        assert server.asked == []
        events = list(solver.stream("Two?", **problem))
    assert any("some/Tiny:Q8_0 is tiny-Q8_0-00001-of-00003.gguf" in text for text in notices)
    result = events[-1].result
    assert result.models.target.name == "some/Tiny:Q8_0"
    assert result.models.target.file.endswith("some--Tiny/tiny-Q8_0-00001-of-00003.gguf")
    assert result.models.target.sha256
    assert result.paths[0].steps
    server.close()
    with Solver(target="some/Tiny") as solver:
        assert solver.solve("Two?", **problem).paths[0].steps
    assert len(server.asked) == 1
    assert sorted(path.name for path in folders.models_dir().rglob("*.gguf")) == [
        f"tiny-Q8_0-0000{n}-of-00003.gguf" for n in (1, 2, 3)
    ]
