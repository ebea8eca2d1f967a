"""Tiny models, each written once a session and loaded by the real llama.cpp."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ssr_local.engine.native import NativeEngine
from ssr_local.models.gguf.header import read_header
from tests.engine.harness import Watch, watched
from tests.tiny_gguf import write_tiny_model

Tiny = Callable[..., Path]
Load = Callable[..., tuple[NativeEngine, Watch]]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Writes a tiny model with these options, or finds it written already."""
    folder = tmp_path_factory.mktemp("tiny")
    written: dict[str, Path] = {}

    def model(**options: Any) -> Path:
        key = repr(sorted(options.items()))
        if key not in written:
            written[key] = write_tiny_model(folder / f"tiny-{len(written)}.gguf", **options)
        return written[key]

    return model


@pytest.fixture
def library() -> str:
    """The native library that ``load`` uses; a module overrides it to run on several."""
    return "llama"


@pytest.fixture
def load(library: str) -> Iterator[Load]:
    """Loads a model behind a watched binding; closed when the test is over."""
    engines: list[NativeEngine] = []

    def load_one(
        path: Path, should_stop: Callable[[], bool] = lambda: False, **options: Any
    ) -> tuple[NativeEngine, Watch]:
        if library == "ik" and read_header(path).architecture == "mamba":
            pytest.skip("ik_llama.cpp crashes with recurrent models; its self-check says so")
        engine, binding = watched(path, should_stop, library, **options)
        engines.append(engine)
        return engine, binding

    yield load_one
    for engine in engines:
        engine.close()
