"""What the command `compare` does and prints."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console

from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.cli.commands.planned import print_plan
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.leaderboard.captions import NEVER_COMPARED
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.recording.address import redact
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.running.comparison import Comparison
from promptarena.benchmark.running.events import JsonEvents, Silent
from promptarena.benchmark.running.execution import ExecutionConfig
from promptarena.benchmark.running.launcher import Launcher, RunFailedError
from promptarena.benchmark.running.progress import ProgressReporter, name_of
from promptarena.comparing import Carried, Watcher, carry_out

Shown = Literal["progress", "nothing", "json"]


class _Terminal(ProgressReporter):
    """Also prints the plan."""

    def planned(self, comparison: Comparison, workers: int) -> None:
        super().planned(comparison, workers)
        print_plan(self.console, comparison, workers)


def run_compare(
    request: Request,
    execution: ExecutionConfig,
    place: RecordPlace,
    launch: Callable[[], Launcher],
    shown: Shown = "progress",
) -> int:
    """Run a comparison and say what came out.

    Args:
        request: What the user requests.
        execution: Where and how runs are carried out.
        place: Where the record is.
        launch: Makes the launcher; called only if runs are missing.
        shown: What is printed: progress and a summary, nothing but errors, or events as JSON lines.

    Returns:
        The exit code: 0, or 2 (bad input) or 1 if a run failed.
    """
    console = terminal.console()
    watchers: dict[Shown, Watcher] = {
        "progress": _Terminal(console),
        "nothing": Silent(),
        "json": JsonEvents(sys.stdout),
    }
    try:
        carried = carry_out(request, execution, place, watchers[shown], launch)
    except SystemExit:
        terminal.console(stderr=True).print("promptarena: stopped; the same command goes on from here")
        raise
    if shown == "progress" and carried.comparison.runs:
        _print_result(console, carried, execution.suite, place)
    elif shown == "json":
        figures = {section.protocol: _figures(section.board.headline()) for section in carried.sections}
        JsonEvents(sys.stdout).write("result", record=carried.record.shown, figures=figures)
    return print_failures(carried.failures, carried.comparison.failed)


def _figures(headline: Mapping[Label, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """The headline figures by method and column."""
    return {
        str(method): {name.partition("/")[2]: value for name, value in means.items()}
        for method, means in headline.items()
    }


def _print_result(console: Console, carried: Carried, suite: str, place: RecordPlace) -> None:
    from promptarena.benchmark.report.summary import summary

    console.print()
    for line in summary(carried.sections):
        console.print(line, soft_wrap=False)
    if carried.comparison.suite.miniature:
        console.print(NEVER_COMPARED, soft_wrap=False)
    _print_running(console, carried.comparison, carried.record)
    options = _options(place)
    console.print(f"All tables: promptarena leaderboard{'' if suite == 'mini' else f' {shlex.quote(suite)}'}{options}")
    console.print(f"Recorded in {carried.record.shown}; look at it with: promptarena ui{options}")


def _print_running(console: Console, comparison: Comparison, record: Record) -> None:
    """A line on the runs that other processes have not finished, if there are any."""
    recorded = record.index(comparison.suite.name)
    count = sum(run.owner_alive for key, run in recorded.items() if key in comparison.keys)
    if count:
        console.print(f"{count} runs are still run by another process; give the same command again once it has ended.")


def print_failures(failures: Sequence[tuple[PlannedRun, RunFailedError]], not_planned: Sequence[str]) -> int:
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


def _options(place: RecordPlace) -> str:
    """The options that name this record in another command."""
    if place.tracking_uri:
        return f" --tracking-uri {shlex.quote(redact(place.tracking_uri))}"
    return "" if place.results == Path("results").absolute() else f" --results {shlex.quote(str(place.results))}"
