"""A comparison knows its launcher by the protocol only: another one gives the same figures."""

from pathlib import Path
from typing import Any

import e2e_record
from e2e_world import make_world
from in_process import InProcess, Silent

from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.running.comparison import plan_comparison, run_comparison
from promptarena.benchmark.running.devices import CPU
from promptarena.benchmark.running.execution import ExecutionConfig
from promptarena.benchmark.running.launcher import Launcher
from promptarena.benchmark.running.local_pool import LocalPool


def figures_by(launcher: type, suite: Path, folder: Path, **arguments: Any) -> dict[str, Any]:
    place = ExecutionConfig(str(suite), results=folder / "results", cache=folder / "cache", device="cpu")
    record = Record.open(RecordPlace(place.results))
    requested = Request(methods=("zeroshot", "coop"), protocols=("base-to-novel",))
    comparison = plan_comparison(requested, place, record)
    chosen: Launcher = launcher(place, **arguments)
    reporter = Silent()
    assert run_comparison(comparison, chosen, record, place.results, reporter) == []
    assert sorted(reporter.ended) == sorted(run.key for run in comparison.runs)
    assert plan_comparison(requested, place, record).missing() == []
    return e2e_record.figures(place.results)


def test_another_launcher_gives_the_same_figures(tmp_path: Path) -> None:
    suite = make_world(tmp_path / "world", seeds=(1, 2))
    here = figures_by(InProcess, suite, tmp_path / "here")
    pool = figures_by(LocalPool, suite, tmp_path / "pool", devices=(CPU, CPU))
    assert here == pool
    assert len(here) == 3
