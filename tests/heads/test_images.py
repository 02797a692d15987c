"""The images of a diagnosis: from the suite, a dataset, a card or a folder."""

from pathlib import Path

import numpy as np
import pytest
import tiny
from e2e_world import make_world

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.heads.images import Folder, Together, balanced, find_images, shared_out, spaced
from promptarena.benchmark.planning.suites import load_suite


def test_stores_give_equally_much_until_they_are_empty() -> None:
    assert shared_out([100, 3, 50], 30) == [13, 3, 14] or shared_out([100, 3, 50], 30) == [14, 3, 13]
    assert shared_out([2, 3], 100) == [2, 3]
    assert shared_out([10, 10, 10], 30) == [10, 10, 10]
    assert sum(shared_out([7, 900, 41, 13], 100)) == 100


def test_balanced_rows_take_from_every_class_in_turn() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 0])
    rows = balanced(labels, 5)
    assert rows.tolist() == [0, 1, 4, 5, 6]
    assert balanced(labels, 99).tolist() == list(range(8))


def test_spaced_rows_are_distinct_and_reach_over_all() -> None:
    assert spaced(10, 4) == [0, 2, 5, 7]
    assert spaced(3, 9) == [0, 1, 2]


def test_lists_after_each_other_keep_their_pictures() -> None:
    lists = [tiny.Drawings(["a", "b"]), tiny.Drawings(["c"]), tiny.Drawings(["d", "e"])]
    together = Together(lists)  # type: ignore[arg-type]
    assert [together.key(row) for row in range(len(together))] == ["a", "b", "c", "d", "e"]
    for row, (images, place) in enumerate([(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)]):
        assert together.image(row).tobytes() == lists[images].image(place).tobytes()
    assert together.digest != Together(lists[::-1]).digest  # type: ignore[arg-type]


def test_images_come_from_the_suite_a_dataset_a_card_or_a_folder(tmp_path: Path) -> None:
    suite = load_suite(make_world(tmp_path))
    everything = find_images(None, suite, None, 5000)
    assert len(everything.images) == 2 * 4 * 4
    keys = [everything.images.key(row) for row in range(32)]
    assert sum(key.startswith("noisy/") for key in keys) == 16
    some = find_images(None, suite, None, 10).images
    assert {some.key(row).split("/")[0] for row in range(10)} == {"plain", "noisy"}
    assert len(some) == 10
    one = find_images("noisy", suite, None, 8)
    assert (one.name, len(one.images)) == ("noisy", 8)
    card = find_images(str(tmp_path / "faded.toml"), suite, None, 5000)
    assert (card.name, len(card.images)) == ("faded", 16)
    folder = find_images(str(tmp_path / "pictures"), suite, None, 20)
    assert (folder.name, len(folder.images)) == ("pictures", 20)
    assert folder.images.image(3).mode == "RGB"
    with pytest.raises(UserError, match=r"--images nosy: .*folder of images"):
        find_images("nosy", suite, None, 8)


def test_a_folders_digest_is_of_its_files_content(tmp_path: Path) -> None:
    make_world(tmp_path)
    folder = tmp_path / "pictures"
    before = Folder(folder, 100).digest
    assert Folder(folder, 100).digest == before != Folder(folder, 99).digest
    path = next(folder.rglob("*.png"))
    path.write_bytes(next(p for p in folder.rglob("*.png") if p.read_bytes() != path.read_bytes()).read_bytes())
    assert Folder(folder, 100).digest != before


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no images"):
        Folder(tmp_path, 10)
