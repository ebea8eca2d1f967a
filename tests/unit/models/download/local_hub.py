"""A hub on 127.0.0.1 that can misbehave, for the download tests."""

from __future__ import annotations

import hashlib
import threading
import time
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
        offset = 0
        if span is not None and self.refuse_range:
            request.send_error(416)
            return
        if span is not None and not self.ignore_range:
            offset = int(span.removeprefix("bytes=").rstrip("-"))
            request.send_response(206)
            start, total = offset + self.shift_range, len(self.served)
            request.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            request.send_response(200)
        length = len(self.served) - offset if self.content_length is None else self.content_length
        if self.announce_length:
            request.send_header("Content-Length", str(length))
        request.end_headers()
        self._send(request, self.served[offset:])

    def _send(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        limit = self.drop_after.pop(0) if self.drop_after else len(body)
        for start in range(0, min(limit, len(body)), self.piece):
            request.wfile.write(body[start : min(start + self.piece, limit)])
            time.sleep(self.delay_s)
        request.close_connection = True
