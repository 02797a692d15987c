"""Where leaderboards go."""

from dataclasses import replace
from pathlib import Path

import pytest
from boards import BOARD

from promptarena.benchmark.cli.commands.board_output import check_protocols, format_of, print_boards
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.leaderboard.formats.registry import file_endings
from promptarena.benchmark.leaderboard.formats.render import render_all


def test_the_ending_of_a_file_says_its_format() -> None:
    for format, ending in file_endings().items():
        assert format_of(Path(f"board.{ending}")) == format_of(Path(f"BOARD.{ending.upper()}")) == format
    assert format_of(Path("board.txt")) == format_of(None) == "rich"


def test_a_file_holds_what_is_otherwise_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_boards([BOARD], "csv", tmp_path / "board.csv")
    assert capsys.readouterr().out == ""
    print_boards([BOARD], "csv", None)
    assert capsys.readouterr().out.rstrip("\n") == (tmp_path / "board.csv").read_text().rstrip("\n")
    assert (tmp_path / "board.csv").read_text() == render_all([BOARD], "csv")


def test_a_terminal_shows_statistics_in_brief_unless_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    board = replace(BOARD, brief=("in one line",))
    print_boards([board], "rich", None)
    brief = capsys.readouterr().out
    print_boards([board], "rich", None, in_full=True)
    full = capsys.readouterr().out
    assert ("in one line" in brief, "80.47" in brief) == (True, False)
    assert ("in one line" in full, "80.47" in full) == (False, True)


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError):
        print_boards([BOARD], "csv", tmp_path / "file" / "board.csv")


def test_an_unknown_protocol_is_named() -> None:
    check_protocols(["few-shot"])
    with pytest.raises(UserError, match="few-short"):
        check_protocols(["few-shot", "few-short"])
