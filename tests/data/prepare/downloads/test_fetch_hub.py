"""Fetching from the Hub."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faulty_server import FaultyServer
from fetching import CHILD, CONTENT, OTHER, file, md5

from promptarena.benchmark.data.prepare.downloads import Downloads, FetchError
from promptarena.benchmark.data.prepare.progress import unheard
from promptarena.benchmark.data.prepare.transfers import RetryPolicy


class TestHub:
    """Against pages that answer as the Hub does: a redirection that carries the file's SHA-256."""

    URL = "hf:datasets/owner/repo@0123abc/data/a.zip"
    PATH = "/datasets/owner/repo/resolve/0123abc/data/a.zip"

    @pytest.fixture(autouse=True)
    def _hub(self, server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        self.serve(server, CONTENT)

    def serve(self, server: FaultyServer, content: bytes, announced: bytes | None = None, **faults: Any) -> None:
        sha256 = hashlib.sha256(content if announced is None else announced).hexdigest()
        location = server.add("/cdn/blob", content, **faults)
        headers = {"Location": location, "X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
        server.add(self.PATH, status=302, headers=headers)

    def test_a_file_comes_through_the_redirection_with_the_users_token(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        assert downloads.fetch(file(self.URL)).read_bytes() == CONTENT
        assert server.seen(self.PATH)[0].headers["authorization"] == "Bearer hf_secret"

    def test_the_hubs_own_sha256_decides_where_the_card_has_no_checksum(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        self.serve(server, OTHER, announced=CONTENT)
        with pytest.raises(FetchError, match="wrong checksum"):
            downloads.fetch(file(self.URL, content=None))
        self.serve(server, CONTENT)
        assert downloads.fetch(file(self.URL, content=None)).read_bytes() == CONTENT

    def test_it_resumes_between_two_calls(self, server: FaultyServer, downloads: Downloads) -> None:
        self.serve(server, CONTENT, drops=1000, drop_after=1_000_000)
        with pytest.raises(FetchError):
            Downloads(downloads.folder, RetryPolicy(attempts=0), unheard).fetch(file(self.URL, content=None))
        server.pages["/cdn/blob"].drops = 0
        assert downloads.fetch(file(self.URL, content=None)).read_bytes() == CONTENT
        assert [request.range for request in server.seen("/cdn/blob")] == [None, "bytes=1000000-"]

    @pytest.mark.parametrize(("status", "reason"), [(404, "HTTP 404 Not Found"), (401, "HTTP 401 Unauthorized")])
    def test_a_missing_or_private_file(
        self, server: FaultyServer, downloads: Downloads, status: int, reason: str
    ) -> None:
        server.add(self.PATH, status=status)
        with pytest.raises(FetchError, match=f"huggingface.co: {reason}"):
            downloads.fetch(file(self.URL))

    def test_offline_it_asks_nobody_but_uses_the_hubs_cache(
        self, server: FaultyServer, downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(FetchError, match=r"huggingface\.co: HF_HUB_OFFLINE is set"):
            downloads.fetch(file(self.URL))
        cached = tmp_path / "hub" / "datasets--owner--repo" / "snapshots" / "0123abc" / "data" / "a.zip"
        cached.parent.mkdir(parents=True)
        cached.write_bytes(CONTENT)
        needed = file(self.URL)
        assert downloads.fetch(needed).read_bytes() == CONTENT
        assert not downloads.discard(needed)
        assert cached.exists()
        assert server.requests == []

    def test_the_endpoint_of_the_environment_is_asked(self, server: FaultyServer, tmp_path: Path) -> None:
        environment = os.environ | {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home")}
        command = [sys.executable, "-c", CHILD, str(tmp_path / "downloads"), self.URL, md5(CONTENT)]
        subprocess.run(command, env=environment, check=True, timeout=60)
        assert (tmp_path / "downloads" / "a.zip").read_bytes() == CONTENT
