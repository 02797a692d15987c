"""Keep boards and plots in the record."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from promptarena.benchmark.analysis.boards import answered_of, boards_from
from promptarena.benchmark.analysis.curves import curves_of
from promptarena.benchmark.analysis.names import BOARDS
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.formats.registry import file_endings
from promptarena.benchmark.leaderboard.formats.render import render
from promptarena.benchmark.plots.style import Format
from promptarena.benchmark.recording.kept_predictions import KeptPredictions
from promptarena.benchmark.recording.record import Record
from promptarena.benchmark.report.sections import OF_PREDICTIONS, Section

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
    """Make all boards and plots from predictions and keep them with a comparison's, in all file formats.

    Args:
        record: The record.
        comparison_id: The comparison's id in the record.
        sections: The sections.
        predictions: Gives the predictions of their runs.

    Raises:
        UserError: Predictions are damaged, or the store fails.
    """
    tables: dict[str, bytes | Path] = {}
    figures: dict[str, bytes | Path] = {}
    for section in sections:
        answered = answered_of(section.query, predictions)
        if not answered.by_place:
            continue
        for board in boards_from(answered, BOARDS, section.reference):
            name = f"{board.protocol}-{board.part}"
            tables |= {f"{name}.{ending}": render(board, format).encode() for format, ending in file_endings().items()}
        drawn = replace(section, curves=curves_of(answered)).figures(*FIGURE_FORMATS, stems=OF_PREDICTIONS)
        figures |= {f"{section.protocol}/{name}": content for name, content in drawn.items()}
    with record.access.explained("record the boards"):
        record.access.log_files(comparison_id, tables, "tables")
        record.access.log_files(comparison_id, figures, "figures")
