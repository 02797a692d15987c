"""The cells of a leaderboard by method, as plots need them."""

from collections.abc import Sequence

from promptarena.benchmark.leaderboard.model import Board, Cell
from promptarena.benchmark.statistics.scores import NoScoresError


def column(board: Board, table: str, key: str) -> dict[str, Cell]:
    """The complete figures of a column by method, in the board's order."""
    (found,) = [each for each in board.tables if each.key == table]
    place = [each.key for each in found.columns].index(key)
    return {row.label: row.cells[place] for row in found.rows if row.cells[place].full}


def half_width(cell: Cell) -> float:
    """Half the width of the 95 % Student t interval, in the cell's unit; 0 without an interval."""
    return 0.0 if cell.high is None or cell.value is None else cell.high - cell.value


def value(cell: Cell) -> float:
    """The value of a complete cell, in its column's unit."""
    assert cell.value is not None
    return cell.value


def absent(board: Board, shown: Sequence[str]) -> list[str]:
    """A note on the methods that are not drawn, if there are any.

    Further readings are not in the table of costs and so are not named.
    """
    missing = [row.label for row in board.tables[-1].rows if row.label not in shown]
    named = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
    return [f"Not drawn, figures incomplete: {named}."] if missing else []


def something(board: Board, shown: Sequence[str]) -> None:
    """Raise NoScoresError if no method can be drawn."""
    if not shown:
        raise NoScoresError(
            f"nothing to draw for {board.protocol}: no method has complete figures; run the missing ones"
        )
