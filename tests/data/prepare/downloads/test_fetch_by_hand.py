"""Files that the user put there."""

import pytest
from faulty_server import FaultyServer
from fetching import CONTENT, OTHER, file

from promptarena.benchmark.data.prepare.downloads import Downloads, FetchError


class TestByHand:
    def test_a_right_file_is_used_without_asking_and_never_deleted(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        downloads.folder.mkdir()
        (downloads.folder / "a.zip").write_bytes(CONTENT)
        needed = file(server.add("/a.zip", OTHER))
        assert downloads.fetch(needed).read_bytes() == CONTENT
        assert server.requests == []
        assert not downloads.discard(needed)
        assert (downloads.folder / "a.zip").read_bytes() == CONTENT

    def test_a_wrong_file_is_named_kept_and_not_used(self, server: FaultyServer, downloads: Downloads) -> None:
        downloads.folder.mkdir()
        (downloads.folder / "a.zip").write_bytes(OTHER)
        with pytest.raises(FetchError, match=r"downloads/a\.zip has the wrong checksum .*it is kept but not used"):
            downloads.fetch(file(server.add("/a.zip", CONTENT)))
        assert (downloads.folder / "a.zip").read_bytes() == OTHER
        assert server.requests == []

    def test_a_folder_of_that_name_is_refused(self, downloads: Downloads) -> None:
        (downloads.folder / "a.zip").mkdir(parents=True)
        with pytest.raises(FetchError, match=r"a\.zip is not a file"):
            downloads.fetch(file())

    def test_a_file_that_replaced_a_fetched_one_is_the_users(self, server: FaultyServer, downloads: Downloads) -> None:
        needed = file(server.add("/a.zip", CONTENT), content=None)
        downloads.fetch(needed)
        (downloads.folder / "a.zip").write_bytes(OTHER)
        assert not downloads.discard(needed)
        assert (downloads.folder / "a.zip").read_bytes() == OTHER

    def test_a_fetched_file_is_deleted_when_asked_and_fetched_anew_when_the_checksum_is_another(
        self, server: FaultyServer, downloads: Downloads
    ) -> None:
        url = server.add("/a.zip", CONTENT)
        downloads.fetch(file(url))
        server.pages["/a.zip"].content = OTHER
        needed = file(url, content=OTHER)
        assert downloads.fetch(needed).read_bytes() == OTHER
        assert downloads.discard(needed)
        assert list(downloads.folder.iterdir()) == []

    def test_a_file_without_an_address_has_to_be_put_there(self, downloads: Downloads) -> None:
        with pytest.raises(FetchError, match="no address serves it, it has to be put there by hand"):
            downloads.fetch(file())
