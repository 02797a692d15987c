"""Keep boards and plots in the record."""

from collections.abc import Callable, Collection, Mapping, Sequence

from promptarena.benchmark.leaderboard.formats.registry import file_endings
from promptarena.benchmark.leaderboard.formats.render import render
from promptarena.benchmark.leaderboard.frame import names_reading
from promptarena.benchmark.leaderboard.model import Board
from promptarena.benchmark.recording.record import Record


def keep_boards(
    record: Record,
    comparison_id: str,
    boards: Sequence[Board],
    labels: Collection[str],
    draw: Callable[[], Mapping[str, bytes]],
) -> None:
    """Keep boards as tables of a comparison, in all file formats, together with their headline figures.

    Args:
        record: The record.
        comparison_id: The comparison's id in the record.
        boards: The boards.
        labels: The labels of the methods; further readings of these have no headline figures in the record.
        draw: Makes the plots to keep, by name. It is called only if the record has other tables, or none: drawing is
            slow.
    """
    tables: dict[str, str | bytes] = {}
    headline: dict[str, dict[str, float]] = {}
    for board in boards:
        name = f"{board.protocol}-{board.part}" if board.part else board.protocol
        tables |= {f"{name}.{ending}": render(board, format) for format, ending in file_endings().items()}
        for label, means in board.headline().items():
            if not names_reading(label, labels):
                headline.setdefault(label, {}).update(means)
    record.log_tables(comparison_id, tables, headline, draw)
