"""A hub on 127.0.0.1 that can misbehave, for the download tests."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class LocalHub:
    """Serves one payload under every path; attributes say how it misbehaves."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.etag = hashlib.sha256(payload).hexdigest()
        self.size: int | None = len(payload)
        self.served = payload
        self.drop_after: list[int] = []
        self.delay_s = 0.0
        self.piece = 8192
        self.ignore_range = False
        self.refuse_range = False
        self.shift_range = 0
        self.content_length: int | None = None
        self.announce_length = True
        self.status: int | None = None
        self.redirect_to = ""
        self.requests: list[tuple[str, str | None]] = []
        self.tokens: list[tuple[str, str | None]] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                hub._head(self)

            def do_GET(self) -> None:
                hub._get(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def ranges(self) -> list[str | None]:
        """The Range header of every GET, in order."""
        return [span for method, span in self.requests if method == "GET"]

    def _head(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append(("HEAD", None))
        if self.status is not None:
            request.send_error(self.status)
            return
        request.send_response(200)
        request.send_header("X-Repo-Commit", "0" * 40)
        request.send_header("ETag", f'"{self.etag}"')
        request.send_header("X-Linked-Etag", f'"{self.etag}"')
        if self.size is not None:
            request.send_header("X-Linked-Size", str(self.size))
            request.send_header("Content-Length", str(self.size))
        request.end_headers()

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        # The hub's library asks about itself now and then.
        if request.path.startswith("/api/"):
            request.send_error(404)
            return
        span = request.headers.get("Range")
        self.requests.append(("GET", span))
        self.tokens.append((request.path, request.headers.get("Authorization")))
        if self.redirect_to and not request.path.startswith("/cdn"):
            request.send_response(302)
            request.send_header("Location", self.redirect_to)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        self._serve(request, self.served)

    def _serve(self, request: BaseHTTPRequestHandler, served: bytes) -> None:
        """A file's bytes, from where they are asked for."""
        span = request.headers.get("Range")
        offset = 0
        if span is not None and self.refuse_range:
            request.send_error(416)
            return
        if span is not None and not self.ignore_range:
            offset = int(span.removeprefix("bytes=").rstrip("-"))
            request.send_response(206)
            start, total = offset + self.shift_range, len(served)
            request.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            request.send_response(200)
        length = len(served) - offset if self.content_length is None else self.content_length
        if self.announce_length:
            request.send_header("Content-Length", str(length))
        request.end_headers()
        self._send(request, served[offset:])

    def _send(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        limit = self.drop_after.pop(0) if self.drop_after else len(body)
        for start in range(0, min(limit, len(body)), self.piece):
            request.wfile.write(body[start : min(start + self.piece, limit)])
            time.sleep(self.delay_s)
        request.close_connection = True


@dataclass
class Repo:
    """A repository: its files, and what its card and its owner say."""

    files: dict[str, bytes]
    card: dict[str, Any] = field(default_factory=lambda: {"license": "apache-2.0"})
    gated: bool = False
    lfs: bool = True
    revision: str = "a" * 40


class RepoHub(LocalHub):
    """Speaks the hub's own API: model_info, links to a CDN on another host, gated repositories.

    ``allowed`` is the token whose owner accepted the licences. The CDN refuses any token, as a
    signed link does.
    """

    def __init__(self, **repos: Repo) -> None:
        super().__init__(b"")
        self.repos = {name.replace("__", "/"): repo for name, repo in repos.items()}
        self.renamed: dict[str, str] = {}
        self.allowed = "hf_allowed"
        self.asked: list[str] = []

    def _head(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append(("HEAD", None))
        self._resolve(request)

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(request.path).path)
        if path.startswith("/api/models/"):
            self._info(request, path.removeprefix("/api/models/"))
        elif path.startswith("/cdn/"):
            self.requests.append(("GET", request.headers.get("Range")))
            self.tokens.append((path, request.headers.get("Authorization")))
            if request.headers.get("Authorization"):
                request.send_error(400)
                return
            files = [file for repo in self.repos.values() for file in repo.files.values()]
            self._serve(request, next(file for file in files if path.endswith(_sha256(file))))
        else:
            self._resolve(request)

    def _info(self, request: BaseHTTPRequestHandler, name: str) -> None:
        self.asked.append(name)
        if name in self.renamed:
            self._answer(request, 307, Location=f"{self.url}/api/models/{self.renamed[name]}")
            return
        repo = self.repos.get(name)
        if repo is None:
            logged_in = request.headers.get("Authorization") is not None
            self._answer(request, 404 if logged_in else 401, X_Error_Code="RepoNotFound")
            return
        siblings = [self._sibling(repo, path, data) for path, data in repo.files.items()]
        body = {
            "id": name,
            "sha": repo.revision,
            "gated": "manual" if repo.gated else False,
            "cardData": repo.card,
            "tags": [],
            "siblings": siblings,
        }
        self._answer(request, 200, json.dumps(body).encode(), Content_Type="application/json")

    def _sibling(self, repo: Repo, path: str, data: bytes) -> dict[str, Any]:
        known = {"rfilename": path, "size": len(data), "blobId": "b" * 40}
        lfs = {"sha256": _sha256(data), "size": len(data), "pointerSize": 134}
        return {**known, "lfs": lfs} if repo.lfs else known

    def _resolve(self, request: BaseHTTPRequestHandler) -> None:
        user, name, _, revision, file = request.path.strip("/").split("/", 4)
        repo = self.repos[f"{user}/{name}"]
        data = repo.files.get(urllib.parse.unquote(file))
        token = request.headers.get("Authorization")
        if repo.gated and token != f"Bearer {self.allowed}":
            self._answer(request, 403 if token else 401, X_Error_Code="GatedRepo")
        elif revision != repo.revision or data is None:
            self._answer(request, 404, X_Error_Code="EntryNotFound")
        else:
            self._answer(
                request,
                302,
                Location=f"http://localhost:{self.port}/cdn/{_sha256(data)}",
                X_Repo_Commit=repo.revision,
                X_Linked_Size=str(len(data)),
                X_Linked_Etag=f'"{_sha256(data) if repo.lfs else "b" * 40}"',
            )

    def _answer(
        self, request: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str
    ) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
