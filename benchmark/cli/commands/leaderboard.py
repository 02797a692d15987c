"""What the command leaderboard does and prints. For exports it needs neither torch nor MLflow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promptarena.benchmark.analysis.names import check_boards
from promptarena.benchmark.cli.commands.board_output import check_protocols, format_of, print_boards
from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.core.suite_layout import SuiteLayout
from promptarena.benchmark.leaderboard.formats.render import Format
from promptarena.benchmark.planning.suites import layout_of, list_suites, load_suite, without_limit
from promptarena.benchmark.published.load import load_published
from promptarena.benchmark.recording.exports.folder import Export, merged, read_export
from promptarena.benchmark.recording.kept_predictions import KeptPredictions, of_exports, of_record
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.report.sections import sections_of


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
    suite = load_suite(request.suite)
    record = Record.open_existing(place)
    under = f" under {' or '.join(request.protocols)}" if request.protocols else ""
    nothing = f"nothing is recorded for suite {suite.name}{under} in {record.shown}; run: promptarena compare"
    results = record.results(suite.name)
    _show(request, layout_of(suite), results, nothing, of_record(record, results))


def leaderboard_of_exports(request: LeaderboardRequest, folders: Sequence[Path]) -> None:
    """Print, or write, the leaderboards of all the exports together; they equal those of a record with the same runs.

    Raises UserError if the exports are damaged or have nothing to show.
    """
    check_protocols(request.protocols)
    check_boards(request.boards)
    exports = [read_export(folder) for folder in folders]
    layout = _layout(request.suite, exports)
    ours = [export for export in exports if export.manifest.suite.name == layout.name]
    under = f" under {' or '.join(request.protocols)}" if request.protocols else ""
    nothing = f"nothing is exported for suite {layout.name}{under} in {', '.join(map(str, folders))}"
    _show(request, layout, [run.stored() for run in merged(ours)], nothing, of_exports(ours))


def _show(
    request: LeaderboardRequest,
    layout: SuiteLayout,
    results: Sequence[StoredResult],
    nothing: str,
    predictions: KeptPredictions,
) -> None:
    for dataset in request.datasets:
        if dataset not in layout.titles:
            raise unknown("dataset", dataset, layout.titles)
    sections = sections_of(
        layout,
        results,
        protocols=request.protocols,
        methods=request.methods,
        datasets=request.datasets,
        published=load_published() if request.published else None,
        reference=request.reference,
        boards=request.boards,
        predictions=predictions,
    )
    labels = {label for section in sections for label in section.query.frame["label"]}
    if request.reference and request.reference not in labels:
        raise unknown("recorded method to compare with", request.reference, labels)
    made = [board for section in sections for board in section.boards if board.tables[0].rows]
    if not made:
        raise UserError(nothing)
    if empty := [name for name in request.boards if name not in {board.part for board in made}]:
        raise UserError(
            f"no predictions for the board{'s' * (len(empty) > 1)} {', '.join(empty)} are kept; see "
            "docs/predictions.md for "
            "what each needs"
        )
    print_boards(made, request.format or format_of(request.out), request.out, in_full=request.statistics)


def _layout(name: str, exports: Sequence[Export]) -> SuiteLayout:
    """The layout of a suite's tables: from the suite on this machine, else from the exports, which must then agree."""
    there = {export.manifest.suite.name: export.manifest.suite for export in exports}
    if without_limit(name) in list_suites() or without_limit(name).endswith(".toml"):
        layout = layout_of(load_suite(name))
        if layout.name not in there:
            raise UserError(f"no export is of suite {layout.name}; name one of: {', '.join(sorted(there))}")
        return layout
    if name not in there:
        raise unknown("exported suite", name, there)
    for export in exports:
        if export.manifest.suite.name == name and export.manifest.suite != there[name]:
            raise UserError(
                f"the exports lay suite {name} out differently ({export.folder}); name the suite's TOML file instead"
            )
    return there[name]
