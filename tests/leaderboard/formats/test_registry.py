"""The registry of formats: a format is one file, and everything that lists formats has it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from promptarena.benchmark.cli.commands.board_output import format_of
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard import formats
from promptarena.benchmark.leaderboard.formats.registry import all_formats, file_endings, find_format, format_names
from promptarena.benchmark.leaderboard.formats.render import render, render_all
from promptarena.benchmark.leaderboard.model import Board, Row, Table

BOARD = Board(
    suite="mini",
    protocol="base-to-novel",
    title="Base-to-novel generalization",
    caption="",
    backbone="mini-clip",
    miniature=True,
    seeds=(1,),
    tables=(Table("average", "Average", (), (Row(Label("coop"), ()),)),),
)

YAML = '''
"""Leaderboards as YAML."""

from promptarena.benchmark.leaderboard.formats.registry import TableFormat


def yaml(boards):
    return "".join(f"- title: {board.title}\\n" for board in boards)


FORMAT = TableFormat(name="yaml", ending="yaml", render=yaml)
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A further folder of the package, with the format YAML in one file."""
    (tmp_path / "yaml_text.py").write_text(YAML, encoding="utf-8")
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"{formats.__name__}.yaml_text", raising=False)
    return tmp_path


def test_the_order_of_help_and_listings() -> None:
    assert format_names() == ("rich", "md", "latex", "html", "csv", "json")
    assert list(file_endings().items()) == [
        ("md", "md"),
        ("latex", "tex"),
        ("html", "html"),
        ("csv", "csv"),
        ("json", "json"),
    ]


def test_every_format_has_a_name_an_ending_and_a_place_of_its_own() -> None:
    for field in ("name", "ending", "place"):
        values = [getattr(each, field) for each in all_formats()]
        assert len(set(values)) == len(values), field


def test_an_unknown_format_brings_near_ones() -> None:
    with pytest.raises(UserError, match=r"unknown format 'jsn'; did you mean json\?"):
        find_format("jsn")


@pytest.mark.usefixtures("folder")
def test_a_new_file_is_a_new_format() -> None:
    assert format_names()[-2:] == ("json", "yaml")
    assert file_endings()["yaml"] == "yaml"
    assert format_of(Path("board.yaml")) == "yaml"
    assert render(BOARD, "yaml") == "- title: Base-to-novel generalization\n"
    assert render_all([BOARD, replace(BOARD, title="Again")], "yaml").endswith("- title: Again\n")


def test_a_new_file_is_a_choice_of_the_command(folder: Path) -> None:
    code = (
        "import sys\n"
        "from promptarena.benchmark.leaderboard import formats\n"
        f"formats.__path__.append({str(folder)!r})\n"
        "from promptarena.benchmark.cli.main import main\n"
        "sys.argv[1:] = ['leaderboard', '--format', 'yml']\n"
        "main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "'rich', 'md', 'latex', 'html', 'csv', 'json', 'yaml'" in ended.stderr


def test_listing_the_choices_needs_no_heavy_library() -> None:
    code = (
        "import sys\n"
        "import promptarena.benchmark.cli.main\n"
        "print(sorted({'torch', 'pandas', 'mlflow', 'tabulate', 'numpy'} & set(sys.modules)))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
