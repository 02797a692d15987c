"""Fetching from Google Drive."""

from typing import Any

import pytest
import requests
from faulty_server import FaultyServer
from fetching import CONTENT, OTHER, Usage, file

from promptarena.benchmark.data.prepare.disk_space import DiskFullError
from promptarena.benchmark.data.prepare.downloads import Downloads, FetchError
from promptarena.benchmark.data.prepare.progress import unheard
from promptarena.benchmark.data.prepare.transfers import RetryPolicy


class TestDrive:
    """gdown itself, with every request to Google Drive sent to the server of the test."""

    URL = "gdrive:1AbC-d_E"

    @pytest.fixture(autouse=True)
    def _drive(self, server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
        send = requests.adapters.HTTPAdapter.send

        def redirected(adapter: Any, request: Any, *arguments: Any, **options: Any) -> Any:
            request.url = request.url.replace("https://drive.google.com", server.url)
            return send(adapter, request, *arguments, **options)

        monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", redirected)

    def serve(self, server: FaultyServer, content: bytes = CONTENT, **faults: Any) -> None:
        headers = {"Content-Type": "application/zip", "Content-Disposition": 'attachment; filename="x.zip"'}
        server.add("/uc", content, headers=headers, **faults)

    def test_a_file_comes_under_the_name_of_the_card(self, server: FaultyServer, downloads: Downloads) -> None:
        self.serve(server)
        assert downloads.fetch(file(self.URL)).read_bytes() == CONTENT
        assert sorted(path.name for path in downloads.folder.iterdir()) == [".a.zip", "a.zip"]

    def test_it_resumes_between_two_calls(self, server: FaultyServer, downloads: Downloads) -> None:
        self.serve(server, drops=1000, drop_after=1_000_000)
        with pytest.raises(FetchError, match=r"drive\.google\.com: Download is incomplete"):
            Downloads(downloads.folder, RetryPolicy(attempts=0), unheard).fetch(file(self.URL))
        server.pages["/uc"].drops = 0
        server.requests.clear()
        assert downloads.fetch(file(self.URL)).read_bytes() == CONTENT
        assert 0 < int((server.requests[-1].range or "bytes=0-")[6:-1]) <= 1_000_000

    def test_a_part_that_cannot_go_on_is_fetched_anew(self, server: FaultyServer, downloads: Downloads) -> None:
        self.serve(server, drops=1000, drop_after=1_000_000)
        with pytest.raises(FetchError):
            Downloads(downloads.folder, RetryPolicy(attempts=0), unheard).fetch(file(self.URL))
        self.serve(server, OTHER, ranges="refused")
        assert downloads.fetch(file(self.URL, content=OTHER)).read_bytes() == OTHER

    def test_a_refusal_is_reported_in_a_few_words(self, server: FaultyServer, downloads: Downloads) -> None:
        page = b'<html><p class="uc-error-subcaption">Too many users have viewed this file.</p></html>'
        server.add("/uc", page, headers={"Content-Type": "text/html; charset=utf-8"})
        with pytest.raises(FetchError) as error:
            downloads.fetch(file(self.URL))
        assert str(error.value).startswith("drive.google.com: Google Drive does not give it out")
        assert "\n" not in str(error.value)

    def test_too_little_room_stops_it(
        self, server: FaultyServer, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.serve(server)
        monkeypatch.setattr("shutil.disk_usage", lambda path: Usage(free=1000))
        with pytest.raises(DiskFullError, match=r"downloads is full: 2\.6 MB are needed, 1\.0 kB are free"):
            downloads.fetch(file(self.URL))
