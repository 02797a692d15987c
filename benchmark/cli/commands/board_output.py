"""Where leaderboards go: to the terminal, into a file, into the record."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.leaderboard.formats.registry import file_endings
from promptarena.benchmark.leaderboard.formats.render import Format, print_rich, render_all
from promptarena.benchmark.leaderboard.model import Board, in_brief


def format_of(out: Path | None) -> Format:
    """The format given by a file's ending; "rich" for other endings and for the terminal."""
    by_ending = {f".{ending}": format for format, ending in file_endings().items()}
    return by_ending.get(out.suffix.lower(), "rich") if out else "rich"


def check_protocols(names: Sequence[str]) -> None:
    """Raise UserError for a name that is not a protocol."""
    for name in names:
        protocol_info(name)


def print_boards(boards: Sequence[Board], format: Format, out: Path | None, *, in_full: bool = False) -> None:
    """Print the boards, or write them to a file; "rich" shows short statistics unless `in_full`.

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
    write_atomically(out, text)
