"""The commands that show what is recorded."""

from pathlib import Path
from typing import Annotated

import typer

from promptarena.benchmark.analysis.names import BOARDS
from promptarena.benchmark.cli.options import (
    Datasets,
    FormatName,
    Protocols,
    Results,
    SuiteArgument,
    TrackingUri,
)
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording.place import RecordPlace


def leaderboard(
    suite: SuiteArgument = "mini",
    protocols: Protocols = None,
    methods: Annotated[list[str] | None, typer.Option(help="Only these methods.", show_default=False)] = None,
    datasets: Datasets = None,
    published: Annotated[
        bool, typer.Option("--published", help="Also show the distances to published figures.")
    ] = False,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="Show ranks and comparisons in full, not in a few lines.")
    ] = False,
    reference: Annotated[str, typer.Option(help="The method that statistics compare the others with.")] = "",
    boards: Annotated[
        list[str] | None,
        typer.Option(help="Further boards from predictions: " + ", ".join(BOARDS) + ".", show_default=False),
    ] = None,
    format: Annotated[
        FormatName | None,
        typer.Option(help="Format of the tables (default: by the ending of --out).", show_default=False),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead.", show_default=False)] = None,
    exports: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Exported runs to show instead of the record's.", show_default=False),
    ] = None,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Print the leaderboards of everything recorded for a suite."""
    from promptarena.benchmark.cli.commands.leaderboard import (
        LeaderboardRequest,
        leaderboard_of_exports,
        leaderboard_of_record,
    )

    request = LeaderboardRequest(
        suite=suite,
        protocols=protocols or (),
        methods=methods or (),
        datasets=datasets or (),
        published=published,
        statistics=statistics,
        reference=reference,
        boards=boards or (),
        format=format,
        out=out,
    )
    if exports:
        leaderboard_of_exports(request, exports)
    else:
        leaderboard_of_record(request, RecordPlace(results.absolute(), tracking_uri))


def report(
    suite: SuiteArgument = "mini",
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="The report's file.")] = Path("report.html"),
    protocols: Protocols = None,
    methods: Annotated[list[str] | None, typer.Option(help="Only these methods.", show_default=False)] = None,
    datasets: Datasets = None,
    reference: Annotated[str, typer.Option(help="The method that statistics compare the others with.")] = "",
    publish: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Add the report to a static site instead, with its data and figures."),
    ] = None,
    cards: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write a model card of each method for the Hugging Face Hub instead."),
    ] = None,
    benchmark: Annotated[
        str,
        typer.Option(
            metavar="OWNER/NAME",
            help="With --cards: also write .eval_results for this benchmark of the Hub.",
            show_default=False,
        ),
    ] = "",
    exports: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Exported runs to show instead of the record's.", show_default=False),
    ] = None,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Write everything recorded for a suite as one HTML file: tables, statistics, figures, provenance, commands."""
    from promptarena.benchmark.cli.commands import report as command

    if benchmark and not cards:
        raise UserError("--benchmark goes with --cards")
    if publish and cards:
        raise UserError("give --publish or --cards, not both")
    found = command.results_of(suite, exports or (), RecordPlace(results.absolute(), tracking_uri))
    shown = command.Shown(protocols=protocols or (), methods=methods or (), datasets=datasets or ())
    if cards:
        command.write_model_cards(found, cards, shown, benchmark)
    elif publish:
        command.publish_report(found, publish, shown, reference)
    else:
        command.write_report(found, out, shown, reference)
