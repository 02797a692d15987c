"""A web server on this machine that fails as requested: dropped connections, errors, refused ranges, changed files."""

import hashlib
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

SHORT = 1_100_000


@dataclass
class Page:
    """What one path answers.

    `drops` requests break off after `drop_after` bytes of the body; `failures` answers are `failure_status` first.
    `ranges`: "honoured", "unconditional" (also when the file has changed), "refused" (whole file instead),
    "unsatisfiable" (416), "wrong" (another part than asked for) or "short" (at most SHORT bytes of it). `validators` =
    False sends neither ETag nor Last-Modified, `weak` makes the ETag a weak one, `sized` = False sends no
    Content-Length. A body takes `seconds`. `before` is called with the page before each answer, and may change it.
    """

    content: bytes = b""
    status: int = 200
    drops: int = 0
    drop_after: int = 0
    failures: int = 0
    failure_status: int = 503
    ranges: str = "honoured"
    validators: bool = True
    weak: bool = False
    sized: bool = True
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    before: Callable[["Page"], None] | None = None

    @property
    def etag(self) -> str:
        tag = f'"{hashlib.md5(self.content).hexdigest()}"'
        return f"W/{tag}" if self.weak else tag


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


class FaultyServer:
    """Pages by path, and the requests seen so far. A path without a page answers 404."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: dict[str, Page] = {}
        self.requests: list[Request] = []
        self.sent: Counter[str] = Counter()

    def add(self, path: str, content: bytes = b"", **faults: Any) -> str:
        """Puts a page there; its address."""
        self.pages[path] = Page(content, **faults)
        return f"{self.url}{path}"

    def seen(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]


@contextmanager
def faulty_server() -> Iterator[FaultyServer]:
    """A server on a free port, until the end of the block."""

    class Handler(_Handler):
        pages: FaultyServer

    server = _Server(("127.0.0.1", 0), Handler)
    Handler.pages = FaultyServer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield Handler.pages
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pages: FaultyServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.pages.requests.append(Request(path, {key.lower(): value for key, value in self.headers.items()}))
        page = self.pages.pages.get(path)
        if page is None:
            self._answer(404, {"Content-Length": "0"})
            return
        if page.before is not None:
            page.before(page)
        if page.failures > 0:
            page.failures -= 1
            self._answer(page.failure_status, {"Content-Length": "0"})
            return
        if page.status != 200:
            self._answer(page.status, {"Content-Length": "0", **page.headers})
            return
        self._file(path, page)

    def _file(self, path: str, page: Page) -> None:
        headers = dict(page.headers)
        if page.validators:
            headers |= {"ETag": page.etag, "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
        start = self._start(page)
        if start is not None and (page.ranges == "unsatisfiable" or start >= len(page.content)):
            self._answer(416, {"Content-Length": "0", "Content-Range": f"bytes */{len(page.content)}"})
            return
        if start is not None and page.ranges == "wrong":
            start = 0
        body = page.content[start or 0 :]
        if start is not None and page.ranges == "short":
            body = body[:SHORT]
        if page.sized:
            headers["Content-Length"] = str(len(body))
        else:
            headers["Connection"] = "close"
            self.close_connection = True
        if start is not None:
            headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{len(page.content)}"
        self._answer(200 if start is None else 206, headers)
        if page.drops > 0:
            page.drops -= 1
            body = body[: page.drop_after]
            self.close_connection = True
        pieces = 20 if page.seconds else 1
        size = max(1, -(-len(body) // pieces))
        for offset in range(0, len(body), size):
            try:
                self.wfile.write(body[offset : offset + size])
            except OSError:
                self.close_connection = True
                return
            self.pages.sent[path] += len(body[offset : offset + size])
            time.sleep(page.seconds / pieces)

    def _start(self, page: Page) -> int | None:
        """The first byte asked for; None for the whole file."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if found is None or page.ranges == "refused":
            return None
        condition = None if page.ranges == "unconditional" else self.headers.get("If-Range")
        known = {page.etag, "Mon, 01 Jan 2024 00:00:00 GMT"}
        return int(found[1]) if condition is None or condition in known else None

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
