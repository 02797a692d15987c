"""Readers: what is listed from folders and split files in the real formats, and what is said when they are wrong."""

import sys
from pathlib import Path

import pytest
from reader_folders import rows, write_card

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data import readers
from promptarena.benchmark.data.readers import registry
from promptarena.benchmark.data.readers.registry import all_readers, list_split

LINES = '''
"""The reader of one text file: a line for each picture, FILE and class name."""

from functools import partial

from promptarena.benchmark.data.images import FileImages
from promptarena.benchmark.data.readers.listing import Listing, Reader


def read_lines(card, split, root):
    folder = card.path.parent / card.options["folder"]
    lines = [line.split() for line in (folder / f"{split}.txt").read_text().splitlines()]
    names = sorted({name for _, name in lines})
    keys = tuple(key for key, _ in lines)
    labels = tuple(names.index(name) for _, name in lines)
    return Listing(keys, labels, tuple(names), partial(FileImages, folder, keys))


READER = Reader(name="lines", read=read_lines)
'''


class TestRegistry:
    def test_the_order_of_listings(self) -> None:
        assert list(all_readers()) == ["miniature", "folder", "split_json", "variant_lists"]

    def test_every_reader_has_a_name_and_a_place_of_its_own(self) -> None:
        declared = list(Path(registry.__file__).parent.glob("*.py"))
        found = [path for path in declared if "\nREADER = " in path.read_text(encoding="utf-8")]
        assert len(found) == len(all_readers())
        assert len({each.place for each in all_readers().values()}) == len(found)

    def test_a_new_file_is_a_new_layout(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(UserError, match="input should be 'miniature', 'folder', 'split_json' or 'variant_lists'"):
            write_card(tmp_path, "lines")
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "line_files.py").write_text(LINES, encoding="utf-8")
        monkeypatch.setattr(readers, "__path__", [*readers.__path__, str(tmp_path / "code")])
        monkeypatch.delitem(sys.modules, f"{readers.__name__}.line_files", raising=False)
        card = write_card(tmp_path, "lines")
        (tmp_path / "pictures").mkdir()
        (tmp_path / "pictures" / "test.txt").write_text("a.jpg jay\nb.jpg heron\n", encoding="utf-8")
        listing = list_split(card, "test", None)
        assert rows(listing) == [("a.jpg", 1), ("b.jpg", 0)]
        assert listing.class_names == ("heron", "jay")
        with pytest.raises(UserError, match="'variant_lists' or 'lines'"):
            write_card(tmp_path, "line")
