"""The time of a store is that of its server or database, whatever this machine's clock says."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from promptarena.benchmark.recording.address import StoreAddress
from promptarena.benchmark.recording.servers import clock
from promptarena.benchmark.recording.servers.clock import ASKED_AGAIN_SECONDS, StoreClock, clock_of


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server whose answers have the date of the test's parameter; none if it is empty."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response_only(200)
            if request.param:
                self.send_header("Date", request.param)
            self.end_headers()

    serving = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()


@pytest.mark.parametrize("server", ["Sun, 06 Nov 1994 08:49:37 GMT"], indirect=True)
def test_a_server_says_its_own_time(server: str) -> None:
    assert clock_of(StoreAddress(server)).now() == pytest.approx(784111777, abs=60)


@pytest.mark.parametrize("server", ["", "yesterday"], indirect=True)
def test_a_server_without_a_date_leaves_this_machines(server: str) -> None:
    assert clock_of(StoreAddress(server)).now() == pytest.approx(time.time(), abs=60)


def test_a_file_has_the_time_of_this_machine() -> None:
    assert clock_of(StoreAddress("sqlite:////tmp/x.db")).now() == pytest.approx(time.time(), abs=60)


def test_it_goes_on_by_itself_and_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    passed, answer = 0.0, 5000.0
    monkeypatch.setattr(clock.time, "monotonic", lambda: passed)
    asked = StoreClock(lambda: answer)
    assert asked.now() == 5000
    passed, answer = 10.0, 9000.0
    assert asked.now() == 5010
    passed += ASKED_AGAIN_SECONDS
    assert asked.now() == 9000
