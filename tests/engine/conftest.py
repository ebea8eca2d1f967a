"""Tiny models, each written once a session and loaded by the real llama.cpp."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ssr_local.engine.native import NativeEngine
from tests.engine.harness import WatchedBinding, watched
from tests.tiny_gguf import write_tiny_mamba, write_tiny_model

Tiny = Callable[..., Path]
Load = Callable[..., tuple[NativeEngine, WatchedBinding]]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Writes a tiny model with these options, or finds it written already."""
    folder = tmp_path_factory.mktemp("tiny")
    written: dict[str, Path] = {}

    def model(writer: Callable[..., Path] = write_tiny_model, **options: Any) -> Path:
        key = f"{writer.__name__} {sorted(options.items())!r}"
        if key not in written:
            written[key] = writer(folder / f"tiny-{len(written)}.gguf", **options)
        return written[key]

    return model


@pytest.fixture(scope="session")
def tiny_mamba(tiny: Tiny) -> Tiny:
    """The same for the recurrent model."""
    return lambda **options: tiny(write_tiny_mamba, **options)


@pytest.fixture
def load() -> Iterator[Load]:
    """Loads a model behind a watched binding; closed when the test is over."""
    engines: list[NativeEngine] = []

    def load_one(
        path: Path, should_stop: Callable[[], bool] = lambda: False, **options: Any
    ) -> tuple[NativeEngine, WatchedBinding]:
        engine, binding = watched(path, should_stop, threads=1, **options)
        engines.append(engine)
        return engine, binding

    yield load_one
    for engine in engines:
        engine.close()
