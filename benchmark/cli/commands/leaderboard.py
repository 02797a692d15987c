"""What the command leaderboard does and prints. For exports it needs neither torch nor MLflow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promptarena.benchmark.analysis.names import check_boards
from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.cli.commands.board_output import check_protocols, format_of, print_boards
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.leaderboard.formats.render import Format
from promptarena.benchmark.recording.place import RecordPlace
from promptarena.loading import exported_results, recorded_results
from promptarena.outcomes import Results


@dataclass(frozen=True)
class LeaderboardRequest:
    """Which leaderboards to show, and how.

    out: a file to write instead of printing; its ending sets the format unless `format` is given. statistics: show them
    in full, not in brief, on a terminal. reference: the method that statistics compare the others with, if any. The
    rest is as in `sections.Selection`."""

    suite: str = "mini"
    protocols: Sequence[str] = ()
    methods: Sequence[str] = ()
    datasets: Sequence[str] = ()
    published: bool = False
    statistics: bool = False
    reference: str = ""
    boards: Sequence[str] = ()
    format: Format | None = None
    out: Path | None = None


def leaderboard_of_record(request: LeaderboardRequest, place: RecordPlace) -> None:
    """Print, or write, the leaderboards of the record. Raises UserError when there is nothing to show."""
    check_protocols(request.protocols)
    check_boards(request.boards)
    _show(request, recorded_results(place, request.suite), "; run: promptarena compare")


def leaderboard_of_exports(request: LeaderboardRequest, folders: Sequence[Path]) -> None:
    """Print, or write, the leaderboards of all the exports together; they equal those of a record with the same runs.

    Raises UserError if the exports are damaged or have nothing to show.
    """
    check_protocols(request.protocols)
    check_boards(request.boards)
    _show(request, exported_results(folders, request.suite), "")


def _show(request: LeaderboardRequest, found: Results, advice: str) -> None:
    sections = found.sections(
        protocols=request.protocols,
        methods=request.methods,
        datasets=request.datasets,
        published=request.published,
        reference=request.reference,
        boards=request.boards,
    )
    for line in found.left_out(request.protocols, request.methods):
        terminal.console(stderr=True).print(f"promptarena: {line}")
    if not sections:
        under = f" under {' or '.join(request.protocols)}" if request.protocols else ""
        raise UserError(f"{found.nothing}{under} in {found.where}{advice}")
    boards = [board for section in sections for board in section.boards if board.tables[0].rows]
    print_boards(boards, request.format or format_of(request.out), request.out, in_full=request.statistics)
