"""What the command `compare` does and prints."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.cli.commands.progress import ProgressReporter, duration, name_of
from promptarena.benchmark.core.protocol_table import PROTOCOLS, protocol_info
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.leaderboard.formats.render import print_rich
from promptarena.benchmark.leaderboard.model import in_brief
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.planning.suites import layout_of
from promptarena.benchmark.recording.address import redact
from promptarena.benchmark.recording.kept_predictions import of_record
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.report.keep import keep_boards, keep_sections
from promptarena.benchmark.report.sections import sections_of
from promptarena.benchmark.running.comparison import (
    Comparison,
    comparison_of,
    kept_plan,
    made_plan,
    record_comparison,
    run_comparison,
)
from promptarena.benchmark.running.execution import ExecutionConfig, default_workers
from promptarena.benchmark.running.launcher import RunFailedError


def run_compare(
    request: Request, execution: ExecutionConfig, place: RecordPlace, given_workers: int | None, *, plan_only: bool
) -> int:
    """Run a comparison and print its leaderboards. Returns the exit code: 0, or 2 (bad input) or 1 if a run failed."""
    console = terminal.console()
    planned = kept_plan(request, execution)
    if planned is None:
        from promptarena.benchmark.cli.commands.preview import lacking, print_preview
        from promptarena.benchmark.planning.enumeration import enumerate_request

        requested = enumerate_request(request, execution.suite, execution.plugins)
        if plan_only and (missing := lacking(requested, execution.data_root)):
            return _print_failures([], print_preview(console, requested, missing))
        planned = made_plan(request, execution, requested)
    record = Record.open(place)
    comparison = comparison_of(planned, execution, record)
    workers = given_workers or (default_workers() if comparison.missing() else 1)
    _print_plan(console, comparison, workers)
    if plan_only or not comparison.runs:
        return _print_failures([], comparison.failed)
    failures: list[tuple[PlannedRun, RunFailedError]] = []
    if comparison.missing():
        from promptarena.benchmark.running.local import LocalPool

        try:
            with ProgressReporter(console, comparison, workers) as reporter:
                failures = run_comparison(
                    comparison, LocalPool(execution, workers), record, execution.results, reporter
                )
        except SystemExit:
            terminal.console(stderr=True).print("promptarena: stopped; the same command goes on from here")
            raise
    _print_and_keep_tables(console, comparison, record, request, ran=bool(comparison.missing()))
    _print_running(console, comparison, record)
    console.print(f"Recorded in {record.shown}; look at it with: {_ui_command(place)}")
    return _print_failures(failures, comparison.failed)


def _print_plan(console: Console, comparison: Comparison, workers: int) -> None:
    missing, done, elsewhere = comparison.missing(), comparison.done(), comparison.elsewhere()
    resumed = sum(run.key in comparison.recorded for run in missing)
    parts = [f"{len(comparison.runs)} runs", f"{len(done)} already done", f"{len(missing)} to run"]
    parts += [f"{resumed} of them interrupted or failed before"] if resumed else []
    only_scored = len(comparison.only_scored())
    parts += [f"{only_scored} of them only scored, as their learners are kept"] if only_scored else []
    parts += [f"{len(elsewhere)} run by another process"] if elsewhere else []
    console.print(f"{comparison.suite.title}: {', '.join(parts)}.")
    for note in comparison.notes:
        console.print(note)
    if missing:
        console.print(_plan_table(comparison), soft_wrap=False)
        console.print(_expectation(comparison, workers))


def _plan_table(comparison: Comparison) -> Table:
    """The number of missing runs by method and protocol."""
    missing = comparison.missing()
    protocols = list(dict.fromkeys(run.spec.protocol for run in missing))
    table = terminal.table("to run", *protocols, "expected")
    for column in table.columns[1:]:
        column.justify = "right"
    for label in dict.fromkeys(run.spec.label for run in missing):
        runs = [run for run in missing if run.spec.label == label]
        counts = [sum(run.spec.protocol == protocol for run in runs) for protocol in protocols]
        known = comparison.estimator.knows(label)
        expected = duration(sum(map(comparison.seconds, runs))) if known else "unknown"
        terminal.add(table, label, *map(str, counts), expected)
    return table


def _expectation(comparison: Comparison, workers: int) -> str:
    missing = comparison.missing()
    unmeasured = sum(not comparison.estimator.knows(run.spec.label) for run in missing)
    if unmeasured == len(missing):
        return "How long it takes is known once the first runs have ended."
    seconds = sum(map(comparison.seconds, missing)) / min(workers, len(missing))
    basis = "a guess: not all methods are measured yet" if unmeasured else "from measured throughput"
    return f"Expected in all: {duration(seconds)} with {workers} worker{'s' * (workers > 1)} ({basis})."


def _print_and_keep_tables(
    console: Console, comparison: Comparison, record: Record, request: Request, *, ran: bool
) -> None:
    """Print the leaderboards and keep them; boards from predictions are made only if something `ran`, as they take
    seconds."""
    labels = list(dict.fromkeys(run.spec.name for run in comparison.runs))
    seeds = sorted({run.spec.seed for run in comparison.runs if run.spec.seed is not None})
    protocols = [protocol for protocol in PROTOCOLS if any(run.spec.protocol == protocol for run in comparison.runs)]
    layout = layout_of(comparison.suite)
    results = record.results(comparison.suite.name, comparison.keys)
    sections = sections_of(
        layout,
        results,
        protocols=protocols,
        labels=labels,
        seeds=seeds,
        datasets=list(dict.fromkeys(target.dataset for run in comparison.runs for target in run.spec.targets)),
        shots=sorted({run.spec.shots for run in comparison.runs if protocol_info(run.spec.protocol).by_shots}),
    )
    for board in (board for section in sections for board in section.boards):
        console.print()
        print_rich(Console(), in_brief(board))
    console.print()
    comparison_id = record_comparison(comparison, record)
    keep_sections(record, comparison_id, sections)
    if ran:
        keep_boards(record, comparison_id, sections, of_record(record, results))


def _print_running(console: Console, comparison: Comparison, record: Record) -> None:
    """A line on the runs that other processes have not finished, if there are any."""
    recorded = record.index(comparison.suite.name)
    count = sum(run.owner_alive for key, run in recorded.items() if key in comparison.keys)
    if count:
        console.print(f"{count} runs are still run by another process; give the same command again once it has ended.")


def _print_failures(failures: Sequence[tuple[PlannedRun, RunFailedError]], not_planned: Sequence[str]) -> int:
    """Print a line on standard error for each reason. Returns the exit code."""
    for reason in not_planned:
        terminal.console(stderr=True).print(f"promptarena: {reason}")
    by_reason: dict[str, list[str]] = {}
    for run, error in failures:
        by_reason.setdefault(str(error), []).append(name_of(run))
    for reason, names in by_reason.items():
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        terminal.console(stderr=True).print(f"promptarena: {names[0]}{others} failed: {reason}")
    if not (failures or not_planned):
        return 0
    return 2 if all(error.users_fault for _, error in failures) else 1


def _ui_command(place: RecordPlace) -> str:
    if place.tracking_uri:
        return f"promptarena ui --tracking-uri {redact(place.tracking_uri)}"
    default = place.results == Path("results").absolute()
    return "promptarena ui" if default else f"promptarena ui --results {place.results}"
