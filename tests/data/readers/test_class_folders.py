"""Class folders that a list names."""

from pathlib import Path

import pytest
from reader_folders import rows, touch, write_card

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import Card
from promptarena.benchmark.data.readers.registry import list_split


class TestClassFolders:
    """A card's list of class folders decides labels, where sorted names would not."""

    def card(self, folder: Path, content: str = "1\tjay\n0\theron\n10\tgrey_heron\n") -> Card:
        (folder / "classes.txt").write_text(content)
        return write_card(folder, names='class_file = "classes.txt"', options='folder = "pictures"')

    def test_labels_follow_the_list(self, tmp_path: Path) -> None:
        touch(tmp_path / "pictures", "test/0/a.jpg", "test/1/b.jpg", "test/10/c.jpg")
        listing = list_split(self.card(tmp_path), "test", None)
        assert rows(listing) == [("test/1/b.jpg", 0), ("test/0/a.jpg", 1), ("test/10/c.jpg", 2)]
        assert listing.class_names == ("jay", "heron", "grey heron")

    def test_a_folder_that_is_no_class_is_refused(self, tmp_path: Path) -> None:
        touch(tmp_path / "pictures", "test/0/a.jpg", "test/1/b.jpg", "test/10/c.jpg", "test/n01440764/d.jpg")
        with pytest.raises(UserError, match="holds the folder 'n01440764', which is no class of"):
            list_split(self.card(tmp_path), "test", None)

    def test_a_class_without_a_folder_is_named(self, tmp_path: Path) -> None:
        touch(tmp_path / "pictures", "test/0/a.jpg", "test/1/b.jpg")
        with pytest.raises(UserError, match="lacks the class folder '10'"):
            list_split(self.card(tmp_path), "test", None)

    def test_a_file_beside_the_class_folders_is_no_class(self, tmp_path: Path) -> None:
        touch(tmp_path / "pictures", "test/0/a.jpg", "test/1/b.jpg", "test/10/c.jpg", "test/README.txt")
        assert len(list_split(self.card(tmp_path), "test", None).keys) == 3

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("a\tjay\nheron\n", "classes.txt: line 2 must be FOLDER<tab>NAME"),
            ("jay\n\nheron\n", "classes.txt: line 2 must be a name"),
            ("a\tjay\na\theron\n", "name a folder twice"),
        ],
    )
    def test_a_wrong_list_is_reported_by_its_line(self, tmp_path: Path, content: str, message: str) -> None:
        with pytest.raises(UserError, match=message):
            self.card(tmp_path, content)
