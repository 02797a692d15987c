"""The cells of a leaderboard by method, as plots need them."""

from collections.abc import Sequence

from promptarena.benchmark.core.protocol_table import Metric
from promptarena.benchmark.leaderboard.model import Board, Cell, Column, Table
from promptarena.benchmark.statistics.scores import NoScoresError


def accuracies(board: Board, metric: Metric, dataset: str = "", shots: int | None = None) -> dict[str, Cell]:
    """The complete figures of a metric by method, in the board's order.

    Args:
        board: A leaderboard.
        metric: The metric.
        dataset: The card name of the scored dataset; empty: the average.
        shots: Training images per class, in the few-shot protocol.
    """
    (found,) = [
        (table, column)
        for table in board.tables
        for column in table.columns
        if (column.metric, column.dataset or table.dataset, column.shots) == (metric, dataset, shots)
    ]
    return complete(*found)


def complete(table: Table, column: Column) -> dict[str, Cell]:
    """The complete figures of a column by method, in the table's order."""
    cells = zip(table.rows, table.column(column), strict=True)
    return {row.label: cell for row, cell in cells if cell.full}


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
