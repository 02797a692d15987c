"""Cards: what a right one holds, and how a wrong one is refused."""

from pathlib import Path

import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.paths import DATASETS
from promptarena.benchmark.data.cards import Card, list_cards, load_card

GOOD = """
name = "birds"
title = "Birds"
reader = "folder"
template = "a photo of a {}, a type of bird."
class_names = ["blue_jay", "grey heron"]
licence = "CC0-1.0"
citation = "none"
description = "Two birds."
[counts]
train = 4
test = 2
[options]
folder = "pictures"
"""
RECORDED = "a6b5c4df9fa660d1dd9f8bed30f42a1637af66553476b5bee8781d31276fafe7"
"""The digest of GOOD in keys of runs recorded before cards had `exif_rotation`."""


def write(folder: Path, text: str, name: str = "birds") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_users_card_is_read_by_its_path(tmp_path: Path) -> None:
    card = load_card(write(tmp_path, GOOD))
    assert (card.name, card.title, card.reader) == ("birds", "Birds", "folder")
    assert card.class_names == ("blue jay", "grey heron")
    assert card.counts == {"train": 4, "test": 2}
    assert card.path == tmp_path / "birds.toml"
    assert not card.built_in
    assert [card.has_split(split) for split in ("train", "val", "test")] == [True, False, True]
    assert load_card(str(tmp_path / "birds.toml")) == card


def test_names_and_counts_may_be_left_to_the_data(tmp_path: Path) -> None:
    text = GOOD.replace('class_names = ["blue_jay", "grey heron"]\n', "").replace("[counts]\ntrain = 4\ntest = 2\n", "")
    card = load_card(write(tmp_path, text))
    assert (card.class_names, card.counts) == ((), {})
    assert card.has_split("val")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Birds"\n', "", "field 'title' is missing"),
        ("title =", "tittle =", "did you mean 'title'?"),
        (
            '"folder"\nt',
            '"folders"\nt',
            "field 'reader' is \"folders\": input should be 'miniature', 'folder', 'split_json' or",
        ),
        (
            'reader = "folder"',
            "reader = 3",
            "field 'reader' is 3: input should be 'miniature', 'folder', 'split_json' or 'variant_lists'",
        ),
        (
            "a {}, a",
            "a bird, a",
            "field 'template' is \"a photo of a bird, a type of bird.\": must hold exactly one {}",
        ),
        ("a {}, a", "a {} {}, a", "must hold exactly one {}"),
        ("a {}, a", "a {} {name}, a", "must hold exactly one {}"),
        ('["blue_jay", "grey heron"]', '["blue_jay"]', "at least two classes"),
        ('["blue_jay", "grey heron"]', '["blue_jay", ""]', "field 'class_names.1' is \"\""),
        ("train = 4", "train = 0", "field 'counts.train' is 0"),
        ("train = 4", "train = 4.5", "field 'counts.train' is 4.5"),
        (
            "train = 4",
            "training = 4",
            "field 'counts.training' is \"training\": input should be 'train', 'val' or 'test'",
        ),
        ('name = "birds"', 'name = "Birds!"', "field 'name' is \"Birds!\""),
        ('name = "birds"', 'name = "parrots"', "field 'name' is 'parrots', but the file is called 'birds'"),
        ('title = "Birds"', "title = Birds", "is not valid TOML: Invalid value (at line 3, column 9)"),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_the_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(UserError) as error:
        load_card(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_several_mistakes_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace('title = "Birds"\n', "").replace("train = 4", "train = 0"))
    with pytest.raises(UserError, match=r"field 'title' is missing \(and 1 more\)"):
        load_card(path)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*gone\.toml: No such file"):
        load_card(tmp_path / "gone.toml")
    (tmp_path / "birds.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(UserError, match="is not UTF-8 text"):
        load_card(tmp_path / "birds.toml")


def test_the_digest_covers_what_decides_figures_and_nothing_else(tmp_path: Path) -> None:
    digest = load_card(write(tmp_path, GOOD)).digest
    for old, new in (("Two birds", "Birds"), ("CC0-1.0", "MIT"), ('"none"', '"me"'), ('"Birds"', '"My birds"')):
        assert load_card(write(tmp_path, GOOD.replace(old, new))).digest == digest
    for old, new in (("a photo", "a picture"), ("grey heron", "heron"), ("= 4", "= 3"), ('"pictures"', '"elsewhere"')):
        assert load_card(write(tmp_path, GOOD.replace(old, new))).digest != digest


def test_an_unknown_name_brings_near_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("promptarena.benchmark.data.cards._CARDS", tmp_path)
    write(tmp_path, GOOD)
    assert list_cards() == ("birds",)
    assert load_card("birds").built_in
    with pytest.raises(UserError, match=r"unknown dataset 'bird'; did you mean birds\?"):
        load_card("bird")


@pytest.mark.parametrize("name", list_cards())
def test_the_built_in_cards_are_right(name: str) -> None:
    card = load_card(name)
    assert isinstance(card, Card)
    assert card.built_in
    assert card.citation
    assert card.licence


def test_the_data_folder_is_no_package() -> None:
    assert not list(DATASETS.rglob("__init__.py"))


def test_all_missing_fields_are_named_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, 'name = "birds"\n[counts]\ntrain = 0\n')
    with pytest.raises(UserError, match=r"fields 'title', 'reader' and 'template' are missing \(and 1 more\)"):
        load_card(path)


def test_what_is_for_readers_may_be_left_out(tmp_path: Path) -> None:
    full = load_card(write(tmp_path, GOOD))
    short = "".join(line + "\n" for line in GOOD.splitlines() if not line.startswith(("licence", "citation", "desc")))
    card = load_card(write(tmp_path, short))
    assert (card.licence, card.citation, card.description) == ("", "", "")
    assert card.digest == full.digest


def test_rotation_changes_the_digest_only_where_it_is_set(tmp_path: Path) -> None:
    card, said_no, said_yes = (
        load_card(write(tmp_path, GOOD.replace("[counts]", f"{line}\n[counts]")))
        for line in ("", "exif_rotation = false", "exif_rotation = true")
    )
    assert card.digest == said_no.digest == RECORDED
    assert card.digest != said_yes.digest
