"""Lists of the images of an ImageNet variant."""

from pathlib import Path

import pytest
from reader_folders import rows, touch, write_card

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import Card
from promptarena.benchmark.data.readers.registry import list_split


class TestVariantLists:
    OPTIONS = (
        'folder = "aircraft"\nimage_dir = "images"\nclasses = "variants.txt"\n'
        'splits = { train = "images_variant_train.txt", test = "images_variant_test.txt" }'
    )

    def write(self, folder: Path, test: str = "0034309 F-16A/B\n0000007 707-320\n") -> Card:
        (folder / "aircraft" / "images").mkdir(parents=True)
        (folder / "aircraft" / "variants.txt").write_text("707-320\nF-16A/B\nModel B200 King\n")
        (folder / "aircraft" / "images_variant_train.txt").write_text("1025794 Model B200 King\n")
        (folder / "aircraft" / "images_variant_test.txt").write_text(test)
        touch(folder / "aircraft" / "images", "0034309.jpg", "0000007.jpg", "1025794.jpg")
        return write_card(folder, reader="variant_lists", options=self.OPTIONS)

    def test_labels_are_the_lines_of_the_class_list_and_names_may_hold_spaces(self, tmp_path: Path) -> None:
        card = self.write(tmp_path)
        assert rows(list_split(card, "test", None)) == [("0034309.jpg", 1), ("0000007.jpg", 0)]
        assert rows(list_split(card, "train", None)) == [("1025794.jpg", 2)]
        assert rows(list_split(card, "val", None)) == []
        assert list_split(card, "test", None).class_names[2] == "Model B200 King"

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("0034309 F-16", "images_variant_test.txt: line 1 is not ID and class name: '0034309 F-16'"),
            ("../x 707-320", "line 1 is not ID and class name"),
            ("0000001 707-320", "1 of 1 images are not in .*images, '0000001.jpg' first"),
        ],
    )
    def test_a_wrong_line_is_reported(self, tmp_path: Path, line: str, message: str) -> None:
        with pytest.raises(UserError, match=message):
            list_split(self.write(tmp_path, f"{line}\n"), "test", None)
