"""Class names: each class has its own, and a card's names go to the folders that they name."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import list_cards, load_card
from promptarena.benchmark.data.class_names import check_class_names, repeated_note, spoken
from promptarena.benchmark.data.readers.class_folders import label_order
from promptarena.benchmark.data.readers.registry import list_split
from promptarena.benchmark.data.splits import load_split

CARD = """
name = "birds"
title = "Birds"
reader = "folder"
template = "a photo of a {}."
licence = ""
citation = ""
description = ""
NAMES
[options]
folder = "pictures"
"""
WORDS = st.text("abcdefé ", min_size=1, max_size=8).filter(str.strip)
FORMS = st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"])
SPELLINGS = st.tuples(FORMS, st.sampled_from([str.upper, str.title, str.swapcase, str.lower]), st.integers(0, 3))


def spelled(name: str, spelling: tuple[str, object, int]) -> str:
    """The same name with another case, Unicode form and spaces."""
    form, case, spaces = spelling
    assert callable(case)
    blank = (" ", "_", "  ", "\u00a0")[spaces]
    return blank + unicodedata.normalize(form, case(name)).replace(" ", blank) + blank


@given(name=WORDS, spelling=SPELLINGS, others=st.lists(WORDS, max_size=3))
def test_names_that_make_one_prompt_are_refused(
    name: str, spelling: tuple[str, object, int], others: list[str]
) -> None:
    again = spelled(name, spelling)
    assert spoken(again) == spoken(name)
    with pytest.raises(ValueError, match="have the same name in a prompt"):
        check_class_names([name, *others, again])


@given(names=st.lists(WORDS, min_size=2, unique_by=spoken))
def test_names_that_differ_are_taken(names: list[str]) -> None:
    check_class_names(names)


@given(blank=st.text(" _\u00a0\u2003\u200d\u3000", max_size=4))
def test_a_blank_name_is_refused(blank: str) -> None:
    with pytest.raises(ValueError, match=r"the name of class 1 is blank"):
        check_class_names(["jay", blank])


@given(
    letter=st.characters(categories=("Cc", "Cf", "Zl", "Zp"), exclude_characters="\u200c\u200d"),
    place=st.integers(0, 3),
)
def test_invisible_characters_are_refused(letter: str, place: int) -> None:
    with pytest.raises(ValueError, match=f"holds the invisible character U\\+{ord(letter):04X}"):
        check_class_names(["wren", "jay"[:place] + letter + "jay"[place:]])


@pytest.mark.parametrize("name", ["crane", "maillot", "Maillot", "missile", "sunglasses"])
def test_imagenets_repeated_names_are_noted_among_its_1000_classes(name: str) -> None:
    others = [f"class {number}" for number in range(998)]
    check_class_names([name, *others, name.lower()])
    assert name.lower() in (repeated_note([name, *others, name.lower()]) or "")
    with pytest.raises(ValueError, match="same name"):
        check_class_names([name, *others[:98], name])
    with pytest.raises(ValueError, match="same name"):
        check_class_names([name, name, name, *others[:997]])


def test_the_built_in_cards() -> None:
    noted = {name for name in list_cards() if repeated_note(load_card(name).class_names)}
    assert noted == {"imagenet", "imagenet-sketch", "imagenetv2"}


def write(folder: Path, folders: list[str], names: list[str] | None = None) -> Path:
    for split in ("train", "test"):
        for number, name in enumerate(folders):
            (folder / "pictures" / split / name).mkdir(parents=True, exist_ok=True)
            (folder / "pictures" / split / name / f"{number}.png").write_bytes(b"")
    given = f"class_names = {names}".replace("'", '"') if names else ""
    (folder / "birds.toml").write_text(CARD.replace("NAMES", given))
    return folder / "birds.toml"


@given(order=st.permutations(["grey_heron", "Jay", "wren", "owl"]), data=st.data())
def test_names_of_folders_go_to_their_folders(
    tmp_path_factory: pytest.TempPathFactory, order: list[str], data: st.DataObject
) -> None:
    names = [spelled(name, data.draw(SPELLINGS)).strip() for name in order]
    path = write(tmp_path_factory.mktemp("birds"), ["grey_heron", "Jay", "wren", "owl"], names)
    listing = list_split(load_card(path), "train", None)
    folder_of = {label: key.split("/")[1] for key, label in zip(listing.keys, listing.labels, strict=True)}
    assert [folder_of[label] for label in range(4)] == order
    assert [spoken(name) for name in listing.class_names] == [spoken(name) for name in order]


@pytest.mark.parametrize("own_split", [False, True])
def test_an_own_split_does_not_depend_on_the_order_of_names(tmp_path: Path, own_split: bool) -> None:
    listed = {}
    for names in (["jay", "wren"], ["wren", "jay"]):
        path = write(tmp_path, ["jay", "wren"], names)
        if own_split:
            for name in names:
                for number in range(9):
                    (tmp_path / "pictures" / "train" / name / f"{number}.png").write_bytes(b"")
            path.write_text(path.read_text().replace('"pictures"', '"pictures/train"\nown_split = true'))
        found = list_split(load_card(path), "train", None)
        listed[tuple(names)] = {
            key: found.class_names[label] for key, label in zip(found.keys, found.labels, strict=True)
        }
    assert listed["jay", "wren"] == listed["wren", "jay"]


@pytest.mark.parametrize(
    ("folders", "names", "expected"),
    [
        (["cat", "dog"], ["dog", "kitten"], "class 0 is called 'dog', but the folder of that place is 'cat'"),
        (["cat", "dog", "owl"], ["kitten", "owl", "puppy"], "class 1 is called 'owl', but the folder of that"),
        (["1", "2", "10"], ["one", "two", "ten"], "class 1 is folder '10', not '2'"),
        (["apple", "Banana", "cherry"], ["red", "yellow", "dark"], "class 0 is folder 'Banana', not 'apple'"),
    ],
)
def test_names_whose_folders_are_not_certain_are_refused(
    tmp_path: Path, folders: list[str], names: list[str], expected: str
) -> None:
    with pytest.raises(UserError) as error:
        list_split(load_card(write(tmp_path, folders, names)), "train", None)
    assert expected in str(error.value)
    assert "class_file" in str(error.value)


def test_a_class_file_says_which_folder_each_name_belongs_to(tmp_path: Path) -> None:
    path = write(tmp_path, ["1", "2", "10"])
    path.write_text(path.read_text().replace("reader =", 'class_file = "c.txt"\nreader ='))
    (tmp_path / "c.txt").write_bytes("\ufeff1\tjay\r\n2\t1\r\n10\tten\r\n".encode())
    card = load_card(path)
    assert (card.class_names, card.class_folders) == (("jay", "1", "ten"), ("1", "2", "10"))
    assert label_order(card, card.class_folders) == [0, 1, 2]


@pytest.mark.parametrize("folders", [["grey_heron", "grey heron"], ["Jay", "jay"], ["jay", "jay "], ["é", "e\u0301"]])
def test_folders_that_become_one_name_are_refused(tmp_path: Path, folders: list[str]) -> None:
    card = load_card(write(tmp_path, folders))
    with pytest.raises(UserError, match=r"dataset 'birds': classes 0 and 1, .* have the same name in a prompt"):
        load_split(card, "train")


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31m", "_", " ", "hero\u200bn"])
def test_folders_with_names_that_are_none_are_refused(tmp_path: Path, name: str) -> None:
    card = load_card(write(tmp_path, ["jay", name]))
    with pytest.raises(UserError, match=r"is blank|invisible character"):
        load_split(card, "train")
