"""What the command leaderboard does and prints. For exports it needs neither torch nor MLflow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promptarena.benchmark.cli.commands.board_output import check_protocols, format_of, print_boards
from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.core.suite_layout import Outline
from promptarena.benchmark.leaderboard.formats.render import Format
from promptarena.benchmark.planning.suites import list_suites, load_suite, outline_of
from promptarena.benchmark.recording.exports.folder import Export, merged, read_export
from promptarena.benchmark.recording.record import Record
from promptarena.benchmark.recording.store import shown
from promptarena.benchmark.report.boards import boards_of


@dataclass(frozen=True)
class Wanted:
    """Which leaderboards to show, and how.

    out: a file to write instead of printing; its ending sets the format unless `format` is given. statistics: show them
    in full, not in brief, on a terminal. reference: the method that statistics compare the others with, if any. The
    rest is as in `boards.Selection`."""

    suite: str = "mini"
    protocols: Sequence[str] = ()
    methods: Sequence[str] = ()
    datasets: Sequence[str] = ()
    published: bool = False
    statistics: bool = False
    reference: str = ""
    format: Format | None = None
    out: Path | None = None


def leaderboard_of_record(wanted: Wanted, results: Path, tracking_uri: str | None) -> None:
    """Print, or write, the leaderboards of the record. Raises UserError when there is nothing to show."""
    check_protocols(wanted.protocols)
    suite = load_suite(wanted.suite)
    record = Record.open_existing(results, tracking_uri)
    under = f" under {' or '.join(wanted.protocols)}" if wanted.protocols else ""
    nothing = f"nothing is recorded for suite {suite.name}{under} in {shown(record.uri)}; run: promptarena compare"
    _show(wanted, outline_of(suite), record.results(suite.name), nothing)


def leaderboard_of_exports(wanted: Wanted, folders: Sequence[Path]) -> None:
    """Print, or write, the leaderboards of all the exports together; they equal those of a record with the same runs.

    Raises UserError if the exports are damaged or have nothing to show.
    """
    check_protocols(wanted.protocols)
    exports = [read_export(folder) for folder in folders]
    outline = _outline(wanted.suite, exports)
    ours = [export for export in exports if export.manifest.suite.name == outline.name]
    under = f" under {' or '.join(wanted.protocols)}" if wanted.protocols else ""
    nothing = f"nothing is exported for suite {outline.name}{under} in {', '.join(map(str, folders))}"
    _show(wanted, outline, [run.stored() for run in merged(ours)], nothing)


def _show(wanted: Wanted, outline: Outline, results: Sequence[StoredResult], nothing: str) -> None:
    for dataset in wanted.datasets:
        if dataset not in outline.titles:
            raise unknown("dataset", dataset, outline.titles)
    made = boards_of(
        outline,
        results,
        protocols=wanted.protocols,
        methods=wanted.methods,
        datasets=wanted.datasets,
        published=wanted.published,
        statistics=True,
        reference=wanted.reference,
    )
    made = [board for board in made if board.tables[0].rows]
    if not made:
        raise UserError(nothing)
    print_boards(made, wanted.format or format_of(wanted.out), wanted.out, in_full=wanted.statistics)


def _outline(name: str, exports: Sequence[Export]) -> Outline:
    """The layout of a suite's tables: from the suite on this machine, else from the exports, which must then agree."""
    there = {export.manifest.suite.name: export.manifest.suite for export in exports}
    if name in list_suites() or name.endswith(".toml"):
        outline = outline_of(load_suite(name))
        if outline.name not in there:
            raise UserError(f"no export is of suite {outline.name}; name one of: {', '.join(sorted(there))}")
        return outline
    if name not in there:
        raise unknown("exported suite", name, there)
    for export in exports:
        if export.manifest.suite.name == name and export.manifest.suite != there[name]:
            raise UserError(
                f"the exports lay suite {name} out differently ({export.folder}); name the suite's TOML file instead"
            )
    return there[name]
