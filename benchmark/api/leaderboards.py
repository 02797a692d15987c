"""A leaderboard as a notebook shows it, and in the forms one computes with or pastes."""

from typing import TYPE_CHECKING

from promptarena.benchmark.core.errors import unknown
from promptarena.benchmark.leaderboard.formats.render import render
from promptarena.benchmark.leaderboard.model import Board

if TYPE_CHECKING:
    import pandas as pd


class Leaderboard:
    """The tables of one protocol. In a notebook it shows itself.

    Args:
        board: The tables as values.

    >>> import promptarena as pa
    >>> found = pa.compare("mini", ["zeroshot"], datasets=["digits"], protocols=["base-to-novel"], quiet=True)
    >>> found.leaderboard().to_frame("digits").index.tolist()
    ['zeroshot']
    """

    def __init__(self, board: Board) -> None:
        self.board = board

    def __repr__(self) -> str:
        return render(self.board, "rich")

    def _repr_html_(self) -> str:
        return render(self.board, "html")

    def to_frame(self, table: str | None = None) -> "pd.DataFrame":
        """One table as a DataFrame.

        Args:
            table: The table's key, such as a dataset's name, "average" or "cost"; None: the first one.

        Returns:
            A row per method, a column per figure, unrounded: accuracies in percent. Missing figures are NaN.

        Raises:
            UserError: There is no such table.
        """
        import pandas as pd

        tables = {each.key: each for each in self.board.tables}
        if table is not None and table not in tables:
            raise unknown("table", table, tables)
        chosen = tables[table] if table is not None else self.board.tables[0]
        columns = {
            column.key: [cell.value for cell in chosen.column(column)] for column in chosen.columns if column.shown
        }
        index = pd.Index([row.label for row in chosen.rows], name="method")
        return pd.DataFrame(columns, index=index, dtype="float64")

    def to_markdown(self) -> str:
        """All tables in Markdown, rounded to two decimals."""
        return render(self.board, "md")

    def to_latex(self) -> str:
        """All tables as LaTeX floats, rounded to two decimals."""
        return render(self.board, "latex")

    def to_csv(self) -> str:
        """All figures as CSV, one per line, unrounded."""
        return render(self.board, "csv")
