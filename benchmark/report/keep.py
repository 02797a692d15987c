"""Keep boards and plots in the record."""

from collections.abc import Sequence
from pathlib import Path

from promptarena.benchmark.analysis.boards import boards_of
from promptarena.benchmark.analysis.names import BOARDS
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.formats.registry import file_endings
from promptarena.benchmark.leaderboard.formats.render import render
from promptarena.benchmark.plots.style import Format
from promptarena.benchmark.recording.kept_predictions import KeptPredictions
from promptarena.benchmark.recording.record import Record
from promptarena.benchmark.report.sections import Section

FIGURE_FORMATS: tuple[Format, ...] = ("png", "svg")
"""The formats of the plots that are kept in the record."""


def keep_sections(record: Record, comparison_id: str, sections: Sequence[Section]) -> None:
    """Keep boards as tables of a comparison, in all file formats, together with their plots and headline figures.

    Further readings of a method have no headline figures in the record.

    Args:
        record: The record.
        comparison_id: The comparison's id in the record.
        sections: The sections.
    """
    tables: dict[str, str | bytes] = {}
    headline: dict[Label, dict[str, float]] = {}
    for section in sections:
        for board in section.boards:
            name = f"{board.protocol}-{board.part}" if board.part else board.protocol
            tables |= {f"{name}.{ending}": render(board, format) for format, ending in file_endings().items()}
            for method, means in board.headline().items():
                if not method.reading:
                    headline.setdefault(method, {}).update(means)

    def draw() -> dict[str, bytes]:
        return {
            f"{section.protocol}/{name}": content
            for section in sections
            for name, content in section.figures(*FIGURE_FORMATS).items()
        }

    # The record draws only if it has other tables, or none: drawing is slow.
    datasets = dict.fromkeys(name for section in sections for name in section.board.datasets)
    record.log_tables(comparison_id, tables, headline, list(datasets), draw)


def keep_boards(record: Record, comparison_id: str, sections: Sequence[Section], predictions: KeptPredictions) -> None:
    """Make all boards from predictions and keep them as tables of a comparison, in all file formats.

    Args:
        record: The record.
        comparison_id: The comparison's id in the record.
        sections: The sections.
        predictions: Gives the predictions of their runs.

    Raises:
        UserError: Predictions are damaged, or the store fails.
    """
    tables: dict[str, bytes | Path] = {
        f"{board.protocol}-{board.part}.{ending}": render(board, format).encode()
        for section in sections
        for board in boards_of(section.query, predictions, BOARDS, section.reference)
        for format, ending in file_endings().items()
    }
    with record.access.explained("record the boards"):
        record.access.log_files(comparison_id, tables, "tables")
