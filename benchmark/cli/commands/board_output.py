"""Where leaderboards go: to the terminal, into a file, into the record."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from promptarena.benchmark.core.errors import unknown
from promptarena.benchmark.core.files import write_whole
from promptarena.benchmark.core.runs import PROTOCOLS
from promptarena.benchmark.leaderboard.formats.render import Format, print_rich, render, render_all
from promptarena.benchmark.leaderboard.frame import names_reading
from promptarena.benchmark.leaderboard.model import Board, in_brief
from promptarena.benchmark.recording.record import Record

FILE_ENDINGS: dict[Format, str] = {"md": "md", "latex": "tex", "html": "html", "csv": "csv", "json": "json"}


def format_of(out: Path | None) -> Format:
    """The format that a file's name asks for; "rich" for other endings and for the terminal."""
    by_ending = {f".{ending}": format for format, ending in FILE_ENDINGS.items()}
    return by_ending.get(out.suffix.lower(), "rich") if out else "rich"


def check_protocols(names: Sequence[str]) -> None:
    """Raise UserError for a name that is no protocol's."""
    for name in names:
        if name not in PROTOCOLS:
            raise unknown("protocol", name, PROTOCOLS)


def print_boards(boards: Sequence[Board], format: Format, out: Path | None, *, in_full: bool = False) -> None:
    """Print the boards, or write them to a file; "rich" has statistics in brief unless `in_full`.

    Raises UserError when the file cannot be written.
    """
    if format == "rich" and not in_full:
        boards = [in_brief(board) for board in boards]
    if format == "rich" and out is None:
        for board in boards:
            print_rich(Console(), board)
            print()
        return
    text = render_all(boards, format)
    if out is None:
        print(text)
        return
    write_whole(out, text)


def keep_boards(
    record: Record,
    comparison_id: str,
    boards: Sequence[Board],
    labels: Collection[str],
    draw: Callable[[], Mapping[str, bytes]],
) -> None:
    """Keep the boards as tables of a comparison, in all formats, and their headlines with the methods named.

    `draw` makes the figures to keep beside them, by name; it is asked only when the record has other tables, or none.
    """
    tables: dict[str, str | bytes] = {}
    headline: dict[str, dict[str, float]] = {}
    for board in boards:
        name = f"{board.protocol}-{board.part}" if board.part else board.protocol
        tables |= {f"{name}.{ending}": render(board, format) for format, ending in FILE_ENDINGS.items()}
        for label, means in board.headline().items():
            if not names_reading(label, labels):
                headline.setdefault(label, {}).update(means)
    record.log_tables(comparison_id, tables, headline, draw)
