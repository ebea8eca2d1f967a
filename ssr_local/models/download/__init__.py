"""Models on this machine, and how they get there: the hub, package wheels, local files."""

from __future__ import annotations

from ssr_local.models.download.fetching import (
    ToFetch,
    check_room,
    copy_to_own,
    ensure_model,
    remove_model,
    to_fetch,
)
from ssr_local.models.download.local import (
    LocalModel,
    file_sha256,
    known_sha256,
    local_path,
    local_state,
    verified_path,
)
from ssr_local.models.download.resolving import resolved
from ssr_local.models.download.sources import Progress

__all__ = [
    "LocalModel",
    "Progress",
    "ToFetch",
    "check_room",
    "copy_to_own",
    "ensure_model",
    "file_sha256",
    "known_sha256",
    "local_path",
    "local_state",
    "remove_model",
    "resolved",
    "to_fetch",
    "verified_path",
]
