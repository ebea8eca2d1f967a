"""Models on this machine, and how they get there: the hub, package wheels, local files."""

from __future__ import annotations

from ssr_local.download.models import (
    LocalModel,
    check_again,
    ensure_model,
    is_present,
    known_sha256,
    local_path,
    local_state,
    missing_bytes,
    remove_model,
    verified_path,
)
from ssr_local.download.sources import Progress

__all__ = [
    "LocalModel",
    "Progress",
    "check_again",
    "ensure_model",
    "is_present",
    "known_sha256",
    "local_path",
    "local_state",
    "missing_bytes",
    "remove_model",
    "verified_path",
]
