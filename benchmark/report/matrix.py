"""A protocol's figures as matrices of methods by datasets, one for each view that the page can switch to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from promptarena.benchmark.core.protocol_table import METRICS, Metric, protocol_info
from promptarena.benchmark.leaderboard.formats.cell_text import figure_and_spread
from promptarena.benchmark.leaderboard.model import Board, Cell, Column, Mark, Table
from promptarena.benchmark.report.sections import Section
from promptarena.benchmark.report.tints import Tints
from promptarena.benchmark.report.verdict import headline, reference_label

Key = tuple[Metric, int | None]
"""A metric and the number of shots of its figures."""
Cells = Mapping[str, Mapping[str, Cell]]
"""The cells by dataset (empty: the average) and label."""


@dataclass(frozen=True)
class Square:
    """A printed figure of a matrix.

    Args:
        text: The figure.
        spread: The standard deviation over seeds; empty without one.
        tint: See `Tints`.
        mark: Whether it is the best or second best of its column.
    """

    text: str
    spread: str
    tint: str
    mark: Mark | None


@dataclass(frozen=True)
class MatrixRow:
    """The figures of a method, one for each column of the view."""

    label: str
    squares: tuple[Square, ...]


@dataclass(frozen=True)
class View:
    """A matrix.

    Args:
        key: Its name in addresses.
        title: Its printed name.
        columns: (card name, title) of each column; the card name is empty for the average.
        rows: The methods.
    """

    key: str
    title: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[MatrixRow, ...]


def views_of(section: Section) -> list[View]:
    """The views of a protocol, the headline first: a view for each metric or number of shots, the distances to the
    reference, and the distances to published figures where there are any.
    """
    board, reference = section.board, reference_label(section)
    figures = _figures(board)
    first = headline(section)
    main: Key = (first.metric or protocol_info(section.protocol).headline, first.shots)
    views = [
        _accuracies(section, key, figures[key], reference) for key in [main, *(key for key in figures if key != main)]
    ]
    if reference:
        distances = {
            dataset: {label: _above(cell, cells[reference]) for label, cell in cells.items()}
            for dataset, cells in figures[main].items()
        }
        views.append(_points(section, "delta", f"{_title(main)}, points above {reference}", distances))
    published = _published(section, main)
    if any(cell.value is not None for cells in published.values() for cell in cells.values()):
        views.append(_points(section, "published", f"{_title(main)}, distance to published", published))
    return views


def _figures(board: Board) -> dict[Key, dict[str, dict[str, Cell]]]:
    """The accuracies by metric and shots, dataset and label, the average first."""
    found: dict[Key, dict[str, dict[str, Cell]]] = {}
    for table in board.tables[:-1]:
        for column in sorted(table.columns, key=lambda column: not column.headline):
            if column.metric and column.shown:
                found.setdefault((column.metric, column.shots), {})[column.dataset or table.dataset] = _by_label(
                    table, column
                )
    return found


def _by_label(table: Table, column: Column) -> dict[str, Cell]:
    return {row.label: cell for row, cell in zip(table.rows, table.column(column), strict=True)}


def _published(section: Section, key: Key) -> dict[str, dict[str, Cell]]:
    metric, shots = key
    name = f"shots_{shots}" if shots else metric
    return {
        table.dataset: _by_label(table, column)
        for board in section.further
        if board.part == "published"
        for table in board.tables
        for column in table.columns
        if column.key == f"{name}_distance_points"
    }


def _above(cell: Cell, reference: Cell) -> Cell:
    if not (cell.full and reference.full) or cell.value is None or reference.value is None:
        return Cell(filled=cell.filled, expected=cell.expected, parts=cell.parts, note=cell.note, reason=cell.reason)
    return Cell(cell.value - reference.value, filled=1)


def _accuracies(section: Section, key: Key, cells: Cells, reference: str) -> View:
    distances = {
        (dataset, label): cell.value - base.value
        for dataset, column in cells.items()
        for label, cell in column.items()
        if (base := column.get(reference))
        and cell.full
        and base.full
        and cell.value is not None
        and base.value is not None
    }
    metric, shots = key
    name = f"shots-{shots}" if shots else metric
    return _view(section, name, _title(key), cells, distances, "percent")


def _points(section: Section, name: str, title: str, cells: Cells) -> View:
    distances = {
        (dataset, label): cell.value
        for dataset, column in cells.items()
        for label, cell in column.items()
        if cell.value is not None
    }
    return _view(section, name, title, cells, distances, "points")


def _view(
    section: Section,
    name: str,
    title: str,
    cells: Cells,
    distances: Mapping[tuple[str, str], float],
    unit: str,
) -> View:
    tints = Tints(distances.values())
    titles = dict(section.query.datasets)
    columns = [("", "Average"), *((each, titles[each]) for each in titles if each in cells)]
    rows = []
    for row in section.board.tables[0].rows:
        squares = []
        for dataset, _ in columns:
            cell = cells.get(dataset, {}).get(row.label, Cell())
            text, spread = figure_and_spread(cell, "points" if unit == "points" else "percent")
            squares.append(Square(text, spread, tints.of(distances.get((dataset, row.label))), cell.mark))
        rows.append(MatrixRow(row.label, tuple(squares)))
    return View(name, title, tuple(columns), tuple(rows))


def _title(key: Key) -> str:
    metric, shots = key
    return f"{shots} shot{'' if shots == 1 else 's'}" if shots else METRICS[metric].title


def without_average(views: Sequence[View]) -> list[str]:
    """The card names of the datasets of these views, each once."""
    return list(dict.fromkeys(name for view in views for name, _ in view.columns if name))
