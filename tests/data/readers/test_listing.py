"""Where the files of a dataset are looked for."""

from pathlib import Path

import pytest
from reader_folders import touch, write_card

from promptarena.benchmark.data.readers.listing import DATA_VARIABLE, MissingDataError
from promptarena.benchmark.data.readers.registry import list_split


class TestWhereTheFilesAre:
    def test_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(MissingDataError, match=r"folder .*pictures does not exist; put the images there"):
            list_split(write_card(tmp_path), "train", None)

    def test_an_absolute_folder(self, tmp_path: Path) -> None:
        touch(tmp_path / "elsewhere", "test/a/1.jpg", "test/b/1.jpg")
        (tmp_path / "cards").mkdir()
        card = write_card(tmp_path / "cards", options=f'folder = "{tmp_path / "elsewhere"}"')
        assert len(list_split(card, "test", None).keys) == 2

    def test_a_built_in_card_looks_under_the_data_root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "cards").mkdir()
        monkeypatch.setattr("promptarena.benchmark.data.cards._CARDS", tmp_path / "cards")
        monkeypatch.delenv(DATA_VARIABLE, raising=False)
        card = write_card(tmp_path / "cards")
        touch(tmp_path / "given" / "pictures", "test/a/1.jpg")
        touch(tmp_path / "set" / "pictures", "test/a/2.jpg")
        with pytest.raises(MissingDataError, match="with --root or the environment variable PROMPTARENA_DATA"):
            list_split(card, "test", None)
        monkeypatch.setenv(DATA_VARIABLE, str(tmp_path / "set"))
        assert list_split(card, "test", None).keys == ("test/a/2.jpg",)
        assert list_split(card, "test", tmp_path / "given").keys == ("test/a/1.jpg",)
