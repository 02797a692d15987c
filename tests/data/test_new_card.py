"""Cards for folders of one's own images: the layout is seen, the data checked, nothing asked."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import load_card
from promptarena.benchmark.data.new_card import NewCard, new_card, slug, toml_value


def images(folder: Path, *names: str, count: int = 4) -> Path:
    """`count` small images in each of the folders `names`."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (8, 8), (number, len(name), 0)).save(folder / name / f"{number}.png")
    return folder


def written(new: NewCard) -> dict[str, int]:
    """The card written and read again: the images of each split."""
    new.path.write_text(new.text, encoding="utf-8")
    assert load_card(new.path) == new.card
    return {split.name: len(split) for split in new.splits}


def test_class_folders_are_divided(tmp_path: Path) -> None:
    new = new_card(images(tmp_path / "Mes Étés", "chat noir", "chien"), tmp_path)
    assert (new.path.name, new.card.title) == ("mes-etes.toml", "Mes Étés")
    assert new.card.options == {"folder": "Mes Étés", "own_split": True}
    assert written(new) == {"train": 4, "val": 2, "test": 2}
    assert new.splits[0].class_names == ("chat noir", "chien")


def test_folders_of_splits_are_used_as_they_are(tmp_path: Path) -> None:
    folder = images(tmp_path / "birds", *(f"{split}/{name}" for split in ("train", "val", "test") for name in "ab"))
    new = new_card(folder, tmp_path / "elsewhere")
    assert new.card.options == {"folder": folder.as_posix()}
    new.path.parent.mkdir()
    assert written(new) == {"train": 8, "val": 8, "test": 8}


def test_other_spellings_and_a_folder_around_everything(tmp_path: Path) -> None:
    folder = images(
        tmp_path / "birds", *(f"birds-v2/{split}/{name}" for split in ("Training", "Valid") for name in "ab")
    )
    new = new_card(folder, folder)
    assert new.card.options == {"folder": "birds-v2", "splits": {"train": "Training", "test": "Valid"}}
    assert written(new) == {"train": 8, "test": 8}
    assert new.notes == ("There is no test folder: the images in Valid are the test images.",)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    new = new_card(images(tmp_path / "vehicles", "bus", "train", "test"), tmp_path)
    assert new.splits[0].class_names == ("bus", "test", "train")


def test_what_is_not_used_is_said(tmp_path: Path) -> None:
    folder = images(tmp_path / "birds", *(f"{split}/{name}" for split in ("train", "test") for name in "ab"), "drafts")
    assert new_card(folder, tmp_path).notes == ("Not used: drafts.",)


@pytest.mark.parametrize(
    ("folders", "complaint"),
    [
        ((), "has no folders; sort the images into one folder per class"),
        (("train", "test"), "has no class folders; sort its images"),
        (("train/a", "train/b"), "has no test images: add a folder test"),
        (("train/a", "train/b", "Training/a", "test/a"), "both Training and train may be the train images"),
        (("train/a", "train/b", "test/a"), "lacks the class folder 'b'"),
    ],
)
def test_a_folder_that_cannot_be_used(folders: tuple[str, ...], complaint: str, tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    with pytest.raises(UserError, match=complaint):
        new_card(images(tmp_path / "birds", *folders), tmp_path)


def test_too_few_images_to_divide(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="own_split needs at least 4"):
        new_card(images(tmp_path / "birds", "a", "b", count=3), tmp_path)


def test_a_missing_folder_and_an_impossible_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        new_card(tmp_path / "nothing", tmp_path)
    with pytest.raises(UserError, match="field 'name'"):
        new_card(images(tmp_path / "birds", "a", "b"), tmp_path, "My Birds")


@given(st.text(max_size=20))
def test_every_folder_gives_a_name_that_a_card_may_have(name: str) -> None:
    made = slug(name)
    assert made
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.booleans())
def test_values_are_read_back_from_toml(value: str | bool) -> None:
    assert tomllib.loads(f"value = {toml_value(value)}") == {"value": value}
    assert tomllib.loads(f"value = {toml_value({'a': value})}") == {"value": {"a": value}}
