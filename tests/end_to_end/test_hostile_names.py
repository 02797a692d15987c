"""Names and files that the file system or a parser chokes on: one line and exit code 2, and nothing is written."""

import json
import os
from pathlib import Path

import pytest
from e2e_inside import call, complaint
from e2e_world import make_world

NAMES = {"300 letters": "n" * 300, "5,000 letters": "n" * 5000, "nobody's folder": "~nobodyhere/x"}
COMMANDS = [
    ("compare", "{}.toml", "--plan"),
    ("compare", "{}", "--plan"),
    ("compare", "{suite}", "--plan", "--methods", "{}"),
    ("compare", "{suite}", "--plan", "--datasets", "{}"),
    ("compare", "{suite}", "--plan", "--plugin", "{}.py"),
    ("compare", "{suite}", "--plan", "--set", "{}.x=1"),
    ("compare", "{suite}", "--plan", "--set", "coop.{}=1"),
    ("datasets", "verify", "{}"),
    ("datasets", "verify", "{}.toml"),
    ("datasets", "verify", "--suite", "{}.toml"),
    ("compare", "{suite}", "--plan", "--seeds", "1" + "0" * 30),
    ("compare", "{suite}", "--plan", "--shots", "1" + "0" * 30),
    ("leaderboard", "{}.toml"),
    ("leaderboard", "{suite}", "--from", "{}"),
    ("report", "{}.toml"),
    ("import", "{}"),
    ("methods", "show", "{}"),
    ("methods", "check", "{}"),
    ("heads", "retrieve", "--suite", "{suite}", "--pool", "{}"),
    ("heads", "retrieve", "--suite", "{suite}", "--images", "{}"),
]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_name_that_nothing_can_have(words: tuple[str, ...], name: str, suite: Path, here: Path) -> None:
    assert complaint(*(word.format(name, suite=suite) for word in words))
    assert not [path for path in here.iterdir() if path.name != "results"]


CONTENTS = {
    "nested lists": "x = " + "[" * 5000 + "]" * 5000,
    "nested tables": "x = " + "{a=" * 3000 + "1" + "}" * 3000,
    "a long integer": "shots = " + "9" * 5000,
    "a long hexadecimal integer": "shots = 0x" + "f" * 5000,
    "a NUL": 'title = "a\\u0000b"',
    "another NUL": 'datasets = ["a\\u0000.toml"]',
    "a NUL in a key": '"a\\u0000b" = 1',
    "a zero byte": "\0",
    "a long card": f'datasets = ["{"n" * 5000}"]',
    "a long card's path": f'datasets = ["{"n" * 5000}.toml"]',
    "nobody's card": 'datasets = ["~nobodyhere/food.toml"]',
    "nobody's architecture": '[backbone]\nconfig = "~nobodyhere/c.json"',
    "nobody's weights": '[backbone]\nweights = "~nobodyhere/w.safetensors"',
    "long weights": f'[backbone]\nweights = "{"w" * 5000}"',
    "a long architecture": f'[backbone]\nconfig = "{"c" * 5000}"',
    "weights with a NUL": '[backbone]\nweights = "w\\u0000"',
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_suite_that_a_parser_chokes_on(content: str, tmp_path: Path, here: Path) -> None:
    """The content replaces the line of the same field, if there is one, so that nothing else is wrong."""
    suite = make_world(tmp_path / "world")
    table, _, assignment = content.rpartition("\n")
    field = assignment.partition(" ")[0]
    kept = [line for line in suite.read_text().splitlines() if not line.startswith(f"{field} =")]
    place = kept.index(table) + 1 if table else 0
    suite.write_text("\n".join([*kept[:place], assignment, *kept[place:]]))
    assert complaint("compare", suite, "--plan")


CARDS = {
    "a long folder": ("[options]", f'[options]\nfolder = "{"f" * 5000}"'),
    "nobody's folder": ("[options]", '[options]\nfolder = "~nobodyhere/x"'),
    "a long split folder": ("[options]", f'[options]\nfolder = "."\nsplits = {{ train = "{"f" * 300}", test = "t" }}'),
    "a long class file": ("title =", f'class_file = "{"c" * 300}"\ntitle ='),
    "nobody's class file": ("title =", 'class_file = "~nobodyhere/c.txt"\ntitle ='),
    "deep options": ("[options]", "[options]\nfolder = " + "[" * 200 + "]" * 200),
}


@pytest.mark.parametrize(("old", "new"), CARDS.values(), ids=CARDS)
def test_a_card_that_a_parser_or_the_file_system_chokes_on(old: str, new: str, tmp_path: Path, here: Path) -> None:
    suite = make_world(tmp_path / "world")
    card = suite.parent / "plain.toml"
    kept = "\n".join(line for line in card.read_text().splitlines() if not line.startswith("folder ="))
    card.write_text(kept.replace(old, new))
    assert complaint("compare", suite, "--plan", "--datasets", "noisy", "--protocols", "cross-dataset")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_data_root_that_nothing_can_have(name: str, here: Path) -> None:
    ended = call("datasets", "verify", "dtd", "--suite", "clip-15", "--root", name)
    assert (ended.code, ended.out.count("cannot read") + ended.err.count("cannot read")) == (2, 1)


def test_a_split_file_that_a_parser_chokes_on(tmp_path: Path, here: Path) -> None:
    suite = make_world(tmp_path / "world")
    card = suite.parent / "noisy.toml"
    card.write_text(card.read_text().replace('"folder"', '"split_json"') + 'split_file = "split.json"\n')
    for content in (
        "[" * 10**5,
        '{"train":' * 10**4,
        json.dumps({"train": [["a\0.png", 0, "a"], ["b", 10**400, "b"]]}),
    ):
        (suite.parent / "split.json").write_text(content)
        assert "split.json" in complaint("compare", suite, "--plan", "--protocols", "base-to-novel")


def test_pipes_and_devices_in_place_of_files(tmp_path: Path, here: Path) -> None:
    suite = make_world(tmp_path / "world")
    for path in (suite, suite.parent / "plain.toml", suite.parent / "pictures" / "plain" / "train" / "red" / "0.png"):
        content = path.read_bytes()
        for make in (os.mkfifo, lambda place: place.symlink_to("/dev/zero")):
            path.unlink()
            make(path)
            line = complaint("compare", suite, "--plan", "--protocols", "cross-dataset")
            assert path.name in line
        path.unlink()
        path.write_bytes(content)
