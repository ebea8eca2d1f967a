"""Fetch a model from a Hugging Face hub, resumable across restarts.

huggingface-hub finds the file, its size and its LFS SHA-256 (it honours ``HF_ENDPOINT``,
``HF_TOKEN`` and ``HF_HUB_OFFLINE``). The bytes come through urllib: since version 1.18
the hub's own download neither resumes after a restart nor checks the hash, and the
HTTP client below it has changed its name twice.
"""

from __future__ import annotations

import http.client
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from msgspec import Struct

from ssr_local.core.display import one_line
from ssr_local.models.download.partfile import Origin, PartFile
from ssr_local.models.download.sources import Job, SourceError
from ssr_local.models.models_file import HubSource, ModelSpec

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
MAX_FAILURES = 5
RETRY_WAIT_S = 1.0
CHUNK_BYTES = 256 * 1024

_STATUS_HINTS = {
    401: "no such repository, or it needs a login (HF_TOKEN)",
    403: "it is gated; accept its licence at {page} and set HF_TOKEN",
    404: "no such repository, revision or file",
}


class Remote(Struct, frozen=True):
    """A file the hub offers: its address, size in bytes, version mark and LFS SHA-256."""

    url: str
    size: int
    etag: str
    sha256: str | None


class _RetryError(Exception):
    """The connection failed; what was received stays."""


class _RestartError(Exception):
    """The server cannot continue where we are."""


def fetch_from_hub(source: HubSource, job: Job) -> str:
    """Fetch the file into its place; returns its SHA-256.

    Raises ``SourceError`` when the hub does not deliver, ``ModelDamagedError`` when it
    delivers something else.
    """
    remote = find_remote(source)
    _check_offer(job.spec, remote)
    origin = Origin(
        source=source.label,
        total=remote.size,
        sha256=job.spec.sha256 or remote.sha256,
        etag=remote.etag,
    )
    job.check_space(remote.size)
    job.begin(origin)
    _stream(remote, job)
    return job.part.finish()


def find_remote(source: HubSource, repo_type: str = "model") -> Remote:
    """Ask the hub where the file is and what it is. Raises ``SourceError``."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    endpoint = hub_endpoint()
    with hub_errors(source.repo if repo_type == "model" else f"{repo_type}s/{source.repo}"):
        url = hf_hub_url(
            source.repo,
            source.file,
            repo_type=repo_type,
            revision=source.revision,
            endpoint=endpoint,
        )
        found = get_hf_file_metadata(url, timeout=CONNECT_TIMEOUT_S, endpoint=endpoint)
    if found.size is None and repo_type == "model":
        raise SourceError("the hub does not say how large the file is")
    etag = found.etag or ""
    lfs = etag if re.fullmatch(r"[0-9a-f]{64}", etag) else None
    return Remote(url=url, size=found.size or 0, etag=etag, sha256=lfs)


def hub_endpoint() -> str | None:
    """``HF_ENDPOINT`` as it is now; None for the hub's own. huggingface-hub reads it once."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def hub_page(repo: str) -> str:
    """The address of a repository's page."""
    return f"{hub_endpoint() or 'https://huggingface.co'}/{repo}"


@contextmanager
def hub_errors(repo: str = "") -> Iterator[None]:
    """What goes wrong in huggingface-hub becomes a ``SourceError``."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled

    # The hub's HTTP client differs between versions; this class derives from its base error.
    unreachable: tuple[type[BaseException], ...] = (
        *cast("tuple[type[BaseException], ...]", HfHubHTTPError.__bases__),
        OSError,
        ValueError,
    )
    try:
        yield
    except HfHubHTTPError as error:
        status = getattr(getattr(error, "response", None), "status_code", 0)
        hint = 403 if isinstance(error, GatedRepoError) else status
        raise SourceError(_answered(status, repo, hint)) from error
    except OfflineModeIsEnabled as error:
        raise SourceError("HF_HUB_OFFLINE is set") from error
    except UnicodeEncodeError as error:  # of a header, whose text names neither it nor why
        raise SourceError("the token (HF_TOKEN) has a character that no token has") from error
    except unreachable as error:
        raise SourceError(f"the hub cannot be reached ({_reason(error)})") from error


def _check_offer(spec: ModelSpec, remote: Remote) -> None:
    if spec.bytes is not None and remote.size != spec.bytes:
        raise SourceError(f"the hub's file has {remote.size} bytes, expected {spec.bytes}")
    if spec.sha256 is None and remote.sha256 is None:
        raise SourceError("the hub publishes no SHA-256 to check the file against")
    if spec.sha256 and remote.sha256 and spec.sha256 != remote.sha256:
        raise SourceError("the hub's file has another SHA-256 than expected")


def _stream(remote: Remote, job: Job) -> None:
    """Receive all bytes, through lost connections, as long as there is headway."""
    part = job.part
    furthest, failures, reason = part.offset, 0, ""
    while part.offset < remote.size:
        if failures >= MAX_FAILURES:
            raise SourceError(f"{reason} (tried {failures} times)")
        if reason:
            time.sleep(RETRY_WAIT_S * failures)
        reason = _receive(remote, job, part)
        failures = 0 if part.offset > furthest else failures + 1
        furthest = max(furthest, part.offset)


def _receive(remote: Remote, job: Job, part: PartFile) -> str:
    """One request; returns why it ended, which matters when bytes are still missing."""
    try:
        for data in _body(remote, part.offset):
            if part.offset + len(data) > remote.size:
                raise SourceError(f"the server sent more than the {remote.size} bytes it announced")
            part.write(data)
            job.meter.at(part.offset)
    except _RestartError as error:
        job.notice(f"{job.spec.name}: {error}, starting afresh.")
        part.restart()
        job.meter.back_to(0)
        return str(error)
    except _RetryError as error:
        return str(error)
    return "the connection ended early"


def _body(remote: Remote, offset: int) -> Iterator[bytes]:
    """The bytes from ``offset`` on. Only here do network errors arise."""
    request = urllib.request.Request(  # noqa: S310  the scheme is checked
        _checked_url(remote.url), headers=_headers(offset)
    )
    try:
        opener = urllib.request.build_opener(_Redirects)
        with opener.open(request, timeout=READ_TIMEOUT_S) as response:
            _check_response(response, remote, offset)
            while data := response.read1(CHUNK_BYTES):
                yield data
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and offset:
            raise _RestartError("the server refused to continue the file") from error
        if error.code in (408, 425, 429) or error.code >= 500:
            raise _RetryError(_answered(error.code)) from error
        raise SourceError(_answered(error.code)) from error
    except (http.client.HTTPException, OSError) as error:
        raise _RetryError(f"the connection was lost ({_reason(error)})") from error


def _check_response(response: http.client.HTTPResponse, remote: Remote, offset: int) -> None:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise SourceError("the server compressed the file, which was not asked for")
    total = response.headers.get("Content-Length")
    if response.status == http.client.PARTIAL_CONTENT:
        span = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip()
        )
        if span is None or int(span[1]) != offset:
            raise _RestartError("the server sent another range than asked for")
        total = None if span[2] == "*" else span[2]
    elif offset:
        raise _RestartError("the server cannot continue a file")
    if total is not None and (not total.isdecimal() or int(total) != remote.size):
        raise SourceError(f"the server sends {total} bytes, the hub said {remote.size}")


def _headers(offset: int) -> dict[str, str]:
    from huggingface_hub import constants, get_token

    headers = {"Accept-Encoding": "identity", "User-Agent": "ssr-local"}
    if not constants.HF_HUB_DISABLE_IMPLICIT_TOKEN and (token := get_token()):
        headers["Authorization"] = f"Bearer {token}"
    if offset:
        headers["Range"] = f"bytes={offset}-"
    return headers


class _Redirects(urllib.request.HTTPRedirectHandler):
    """The user's token is for the hub, not for the storage it redirects to."""

    def redirect_request(
        self, req: urllib.request.Request, *args: Any, **kwargs: Any
    ) -> urllib.request.Request | None:
        new = super().redirect_request(req, *args, **kwargs)
        if new is not None:
            _checked_url(new.full_url)
            if (new.type, new.host) != (req.type, req.host):
                new.remove_header("Authorization")
        return new


def _checked_url(url: str) -> str:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise SourceError("the address is neither http nor https")
    return url


def _answered(status: int, repo: str = "", hint_of: int = 0) -> str:
    hint = _STATUS_HINTS.get(hint_of or status, "")
    page = hub_page(repo) if repo else "its page"
    return f"the hub answered {status}" + (f": {hint.format(page=page)}" if hint else "")


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return one_line(str(reason), 160) or type(error).__name__
