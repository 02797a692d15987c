"""What `compare --plan` prints: what is recorded, what would run, and how long it takes."""

import json
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.running.comparison import Comparison, comparison_of, kept_plan, launch_preview, made_plan
from promptarena.benchmark.running.events import described
from promptarena.benchmark.running.execution import ExecutionConfig
from promptarena.benchmark.running.launcher import Launcher
from promptarena.benchmark.running.progress import duration


def show_plan(
    request: Request, execution: ExecutionConfig, place: RecordPlace, launch: Callable[[], Launcher], *, as_json: bool
) -> tuple[str, ...]:
    """Print the plan of a comparison, and run nothing.

    Args:
        request: What the user requests.
        execution: Where and how runs would be carried out.
        place: Where the record is.
        launch: Makes the launcher; called only if runs are missing.
        as_json: Whether the plan is printed as one JSON document.

    Returns:
        One line for each reason why a method's runs cannot be planned.

    Raises:
        UserError: Bad input.
    """
    console = terminal.console()
    planned = kept_plan(request, execution)
    if planned is None:
        from promptarena.benchmark.cli.commands.preview import lacking, preview, print_preview
        from promptarena.benchmark.planning.enumeration import enumerate_request
        from promptarena.benchmark.running.devices import visible_gpus

        requested = enumerate_request(request, execution.suite, execution.plugins)
        if missing := lacking(requested, execution.data_root):
            if not as_json:
                gpus, graphs = len(visible_gpus()), execution.cuda_graphs
                return print_preview(console, requested, missing, gpus, cuda_graphs=graphs)
            document, failed = preview(requested, missing, cuda_graphs=execution.cuda_graphs)
            _print_json(document)
            return failed
        planned = made_plan(request, execution, requested)
    comparison = comparison_of(planned, execution, Record.open(place))
    if as_json:
        _print_json(_document(comparison))
    else:
        launcher = launch() if comparison.missing() else None
        print_plan(console, comparison, launcher.workers if launcher else 1)
        for line in launch_preview(comparison, launcher) if launcher else ():
            console.print(line)
    return comparison.failed


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=1, ensure_ascii=False))


def _document(comparison: Comparison) -> dict[str, Any]:
    status = {run.key: "missing" for run in comparison.missing()}
    status |= {run.key: "only scored" for run in comparison.only_scored()}
    status |= {run.key: "running" for run in comparison.elsewhere()} | {run.key: "done" for run in comparison.done()}
    return {
        "suite": comparison.suite.name,
        "notes": comparison.notes,
        "failed": comparison.failed,
        "missing_weights": None,
        "missing_data": {},
        "runs": [
            {
                **described(run),
                "status": status[run.key],
                "expected_seconds": comparison.seconds(run) if _known(comparison, run) else None,
            }
            for run in comparison.runs
        ],
    }


def print_plan(console: Console, comparison: Comparison, workers: int) -> None:
    """Print what is recorded and what runs, and for how long.

    Args:
        console: Where it is printed.
        comparison: The comparison.
        workers: Runs at the same time.
    """
    missing, done, elsewhere = comparison.missing(), comparison.done(), comparison.elsewhere()
    resumed = sum(run.key in comparison.recorded for run in missing)
    parts = [f"{len(comparison.runs)} runs", f"{len(done)} already done", f"{len(missing)} to run"]
    parts += [f"{resumed} of them interrupted or failed before"] if resumed else []
    only_scored = len(comparison.only_scored())
    parts += [f"{only_scored} of them only scored, as their learners are kept"] if only_scored else []
    parts += [f"{len(elsewhere)} run by another process"] if elsewhere else []
    for line in (f"{comparison.suite.title}: {', '.join(parts)}.", *comparison.notes):
        console.print(line, soft_wrap=not console.is_terminal)  # between words at a terminal, not at all in a pipe
    if missing:
        console.print(_plan_table(comparison), soft_wrap=False)
        console.print(_expectation(comparison, workers))


def _known(comparison: Comparison, run: PlannedRun) -> bool:
    return comparison.estimator.knows(run.spec.label, comparison.workloads[run.key])


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
        known = all(_known(comparison, run) for run in runs)
        expected = duration(sum(map(comparison.seconds, runs))) if known else "unknown"
        terminal.add(table, label, *map(str, counts), expected)
    return table


def _expectation(comparison: Comparison, workers: int) -> str:
    missing = comparison.missing()
    unmeasured = sum(not _known(comparison, run) for run in missing)
    if unmeasured == len(missing):
        return "How long it takes is known once the first runs have ended."
    seconds = sum(map(comparison.seconds, missing)) / min(workers, len(missing))
    basis = "a guess: not all methods are measured yet" if unmeasured else "from measured throughput"
    return f"Expected in all: {duration(seconds)} with {workers} worker{'s' * (workers > 1)} ({basis})."
