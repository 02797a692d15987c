"""A leaderboard of Python says in each form what its tables say."""

import pytest

import promptarena as pa
from promptarena.benchmark.leaderboard.formats.render import render


def test_each_form_is_that_of_the_tables(results: pa.Results) -> None:
    board = results.leaderboard()
    assert board.to_latex() == render(board.board, "latex")
    assert board.to_markdown() == render(board.board, "md")
    assert board._repr_html_() == render(board.board, "html")
    assert repr(board) == render(board.board, "rich")


def test_each_table_is_a_frame_and_another_one_is_named(results: pa.Results) -> None:
    board = results.leaderboard()
    for table in board.board.tables:
        assert len(board.to_frame(table.key)) == len(table.rows)
    with pytest.raises(pa.UserError, match="averag"):
        board.to_frame("averag")
