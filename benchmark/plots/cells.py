"""The figures of a leaderboard by method, for drawing."""

from collections.abc import Sequence

from promptarena.benchmark.leaderboard.model import Board, Cell
from promptarena.benchmark.statistics.scores import NoScoresError


def column(board: Board, table: str, key: str) -> dict[str, Cell]:
    """A column's complete figures by method, in the board's order."""
    (found,) = [each for each in board.tables if each.key == table]
    place = [each.key for each in found.columns].index(key)
    return {row.label: row.cells[place] for row in found.rows if row.cells[place].full}


def half_width(cell: Cell) -> float:
    """How far the 95 % Student-t interval reaches to either side, 0 without one."""
    return 0.0 if cell.high is None or cell.value is None else cell.high - cell.value


def value(cell: Cell) -> float:
    """The figure of a complete cell."""
    assert cell.value is not None
    return cell.value


def absent(board: Board, shown: Sequence[str]) -> list[str]:
    """A note on the methods that are not drawn, if there are any; further readings, which cost nothing, aside."""
    missing = [row.label for row in board.tables[-1].rows if row.label not in shown]
    named = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
    return [f"Not drawn, figures incomplete: {named}."] if missing else []


def something(board: Board, shown: Sequence[str]) -> None:
    """Raises NoScoresError when there is nothing to draw."""
    if not shown:
        raise NoScoresError(
            f"nothing to draw for {board.protocol}: no method has complete figures; run the missing ones"
        )
