"""Wide tables are cut and lose nothing."""

from latex_runs import board_of

from promptarena.benchmark.leaderboard.formats.render import render_all


def test_no_row_is_lost_where_a_table_is_cut() -> None:
    labels = tuple(f"m{number:03d}" for number in range(95))
    board = board_of(labels, "base-to-novel", 1, (1,))
    source = render_all([board], "latex")
    for label in labels:
        assert source.count(f"\n{label} & ") == len(board.tables)
