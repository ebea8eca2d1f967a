"""What models.toml says of the default pair's files, against the files."""

from __future__ import annotations

import pytest

from ssr_local.models.download import verified_path
from ssr_local.models.gguf.header import estimate_kv_bytes, read_header
from ssr_local.models.registry import load_registry

pytestmark = pytest.mark.model


@pytest.mark.parametrize("role", ["draft", "target"])
def test_sizes_are_those_of_the_file(default_pair: None, role: str) -> None:
    registry = load_registry()
    spec = registry.model(getattr(registry.pair("default"), role))
    header = read_header(verified_path(spec))
    assert header.file_bytes == spec.bytes
    assert header.context_length == spec.context
    assert estimate_kv_bytes(header, 1) == spec.kv_bytes_per_token
