"""Tracking servers that fail: one line, at once, without a secret."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording.record import Record, RecordPlace

SECRET = "Zq7vXw2Kt9"


@contextmanager
def server(answer: Callable[[str], tuple[int, bytes]]) -> Iterator[str]:
    """A server on this machine; the address, with a password in it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://bob:{SECRET}@127.0.0.1:{running.server_port}"
    finally:
        running.shutdown()
        running.server_close()


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (404, b"<html>\nnothing\n</html>", "no working MLflow tracking server (status 404)"),
        (500, b"", "no working MLflow tracking server (status 500)"),
        (503, b"", "no working MLflow tracking server (status 503)"),
        (401, b"who?", "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"),
        (403, b"no", "MLFLOW_TRACKING_USERNAME"),
        (200, b"OK", "cannot open the record"),
    ],
)
def test_a_server_that_answers_for_its_health_only(status: int, content: bytes, words: str, tmp_path: Path) -> None:
    began = time.monotonic()
    healthy = server(lambda path: (200, b"OK") if path == "/health" else (status, content))
    with healthy as address, pytest.raises(UserError) as error:
        Record.open(RecordPlace(tmp_path, address))
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert SECRET not in str(error.value)
    assert time.monotonic() - began < 60


def test_a_server_that_dies_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with server(lambda _: (200, b'{"experiments": []}')) as address:
        record = Record.open(RecordPlace(tmp_path, address))
    with pytest.raises(UserError, match="the tracking server no longer answers") as error:
        record.index("mini")
    assert SECRET not in str(error.value)
    assert "\n" not in str(error.value)
