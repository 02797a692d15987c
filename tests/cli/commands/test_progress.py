"""Progress where there is no terminal: one line per run, each of which counts once."""

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from record_runs import plan, result
from rich.console import Console

from promptarena.benchmark.cli.commands.progress import ProgressReporter, duration, name_of
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.running.launcher import RunFailedError

RUNS = [replace(plan("small", seed=seed), recipe={"epochs": 2}) for seed in (1, 2, 3)]


def lines(report: Any, seconds: float = 0.0) -> list[str]:
    out = io.StringIO()
    comparison: Any = SimpleNamespace(missing=lambda: RUNS, seconds=lambda run: seconds)
    with ProgressReporter(Console(file=out, width=200), comparison, 2) as reporter:
        report(reporter)
    return out.getvalue().splitlines()


def test_every_end_of_a_run_is_one_line() -> None:
    def report(reporter: ProgressReporter) -> None:
        for run in RUNS:
            reporter.started(run)
        reporter.epoch(RUNS[0], {"epoch": 1, "loss": 0.5})
        reporter.finished(RUNS[0], result())
        reporter.failed(RUNS[1], RunFailedError("no [data]", "", users_fault=True))
        reporter.taken(RUNS[2])

    assert lines(report) == [
        "[1/3] coop base-to-novel dtd, seed 1: base 50.0, novel 25.0 (15.0 s)",
        "[2/3] coop base-to-novel dtd, seed 2: failed: no [data]",
        "[3/3] coop base-to-novel dtd, seed 3: run by another process",
    ]


def test_the_time_left_is_shared_by_the_workers() -> None:
    (line,) = lines(lambda reporter: reporter.taken(RUNS[0]), seconds=60)
    assert line.endswith("about 60 s left")


@pytest.mark.parametrize(
    ("run", "name"),
    [
        (RUNS[0], "coop base-to-novel dtd, seed 1"),
        (plan("small", seed=None), "coop base-to-novel dtd"),
        (plan("small", protocol="few-shot"), "coop few-shot dtd 16 shots, seed 1"),
    ],
)
def test_a_run_is_named_by_what_distinguishes_it(run: PlannedRun, name: str) -> None:
    assert name_of(run) == name


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (89.4, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")],
)
def test_durations_are_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text
