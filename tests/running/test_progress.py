"""Progress: one line per run, each of which counts once, and one live line at a terminal."""

import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_runs import plan, result
from rich.cells import cell_len
from rich.console import Console

from promptarena.benchmark.core.runs import PlannedRun, Score, Target
from promptarena.benchmark.running.launcher import RunFailedError
from promptarena.benchmark.running.progress import ProgressReporter, duration, name_of

RUNS = [replace(plan("small", seed=seed), recipe={"epochs": 2}) for seed in (1, 2, 3)]


def reported(report: Callable[[ProgressReporter], None], seconds: float = 0.0, **console: Any) -> str:
    out = io.StringIO()
    comparison: Any = SimpleNamespace(missing=lambda: RUNS, seconds=lambda run: seconds)
    with ProgressReporter(Console(file=out, **{"width": 80, **console})) as reporter:
        reporter.planned(comparison, 2)
        report(reporter)
    return out.getvalue()


def test_every_end_of_a_run_is_one_line() -> None:
    def report(reporter: ProgressReporter) -> None:
        for run in RUNS:
            reporter.started(run)
        reporter.epoch(RUNS[0], {"epoch": 1, "loss": 0.5})
        reporter.finished(RUNS[0], result())
        reporter.failed(RUNS[1], RunFailedError("no [data]", "", users_fault=True))
        reporter.taken(RUNS[2])

    assert reported(report).splitlines() == [
        "[1/3] coop base-to-novel dtd, seed 1: base 50.0, novel 25.0 (15.0 s)",
        "[2/3] coop base-to-novel dtd, seed 2: failed: no [data]",
        "[3/3] coop base-to-novel dtd, seed 3: run by another process",
    ]


def test_a_transfer_has_the_mean_of_the_targets() -> None:
    scores = [Score(Target(name, "all"), (right,), (10,)) for name, right in (("dtd", 8), ("a", 1), ("b", 2), ("c", 3))]
    for count, words in ((2, "target 10.0"), (4, "targets 20.0")):
        outcome = result(scores=tuple(scores[:count]))
        seen = reported(partial(ProgressReporter.finished, run=RUNS[0], result=outcome))
        assert seen.splitlines() == [f"[1/3] coop base-to-novel dtd, seed 1: {words} (15.0 s)"]


@given(label=st.text("abc(=,) 中", min_size=1, max_size=30), reason=st.text("ab \nc中", max_size=300))
def test_a_line_fits_eighty_columns(label: str, reason: str) -> None:
    run = replace(RUNS[0], spec=replace(RUNS[0].spec, method=label))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "RUNS", [run])
        error = RunFailedError(reason, "", users_fault=True)
        (line,) = reported(lambda reporter: reporter.failed(run, error)).splitlines()
    assert cell_len(line) < 80


@given(label=st.text("abc(=,)", min_size=1, max_size=60))
def test_figures_are_shown_in_full_whatever_the_label(label: str) -> None:
    run = replace(RUNS[0], spec=replace(RUNS[0].spec, method=label))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "RUNS", [run])
        (line,) = reported(lambda reporter: reporter.finished(run, result())).splitlines()
    assert " base-to-novel dtd, seed 1: base 50.0, novel 25.0" in line
    assert line.endswith(" (15.0 s)" if len(label) <= 15 else "25.0")
    assert len(line) < 80


def test_a_terminal_has_one_live_line_that_says_what_is_done() -> None:
    def report(reporter: ProgressReporter) -> None:
        for change in (
            lambda: reporter.started(RUNS[0]),
            lambda: reporter.epoch(RUNS[0], {"epoch": 1, "loss": 0.5}),
            lambda: reporter.taken(RUNS[0]),
        ):
            change()
            reporter._progress.refresh()

    seen = reported(report, 60, width=120, force_terminal=True)
    for words in ("planning", "starting 2 workers", "coop: reading images of dtd", "seed 1: epoch 1 of 2", "1/3"):
        assert words in seen
    assert "/?" not in seen
    assert "about 90 s left" in seen.replace("2 min", "90 s")
    assert seen.count("run by another process") == 1


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
