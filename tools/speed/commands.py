"""CPU seconds of commands beyond those of a bare interpreter, on a record of the miniature's whole comparison.

    python -m tools.speed.commands [--results FOLDER] [--out FILE.md]

The record is made of invented counts: only its size matters. It is kept in FOLDER if one is given, because making it
takes minutes. Each command runs twice, and the faster time counts.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from tabulate import tabulate

from promptarena.benchmark.core.runs import Cost, PlannedRun, RunResult, Score
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.data.few_shot import restrict
from promptarena.benchmark.inputs.array_cache import default_cache_folder
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.planning.suites import Suite
from promptarena.benchmark.recording.record import ParentRuns, Record, RecordPlace
from promptarena.benchmark.running.comparison import plan_comparison, record_comparison
from promptarena.benchmark.running.execution import ExecutionConfig

COMMANDS = (
    "--version",
    "compar",
    "methods list",
    "methods show coop",
    "datasets list",
    "published list",
    "leaderboard",
    "compare --plan",
    "compare",
    "report",
    "export --out export",
    "import export --results imported",
)


def invented(run: PlannedRun, suite: Suite, data: Data) -> RunResult:
    """A result with invented counts of the right shape."""
    random = np.random.default_rng(int(run.key[:8], 16))
    scores = []
    for target in run.spec.targets:
        test = data.split(suite.card(target.dataset), "test")
        kept = restrict(test.labels, target.subset, len(test.class_names))
        totals = np.bincount(kept.labels)
        scores.append(Score(target, tuple(random.binomial(totals, 0.8).tolist()), tuple(totals.tolist())))
    return RunResult(tuple(scores), Cost(1000, 1.0, 1000, 1.0, 1000, 100.0), environment={"python": "3"})


def make_record(results: Path) -> int:
    """Record the miniature's comparison with invented counts; returns the number of runs."""
    execution = ExecutionConfig(suite="mini", results=results, cache=default_cache_folder())
    record = Record.open(RecordPlace(results))
    comparison = plan_comparison(Request(), execution, record)
    data = Data(None)
    parent = record_comparison(comparison, record)
    for run in comparison.missing():
        parents = ParentRuns(parent, record.method_run(parent, run.spec.label))
        record.finish(record.begin(run, parents, "mini", True), invented(run, comparison.suite, data))
    return len(comparison.runs)


def cpu_seconds(command: list[str], folder: Path) -> float:
    """User and system time of a command and its children: the smaller of two runs."""
    found = []
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=folder, capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def main() -> None:
    """Measure the commands and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, help="where the record is kept")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    parser.add_argument("--only", nargs="+", default=COMMANDS, help="only these commands")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = (chosen.results or folder / "results").absolute()
        count = make_record(kept)
        if kept != folder / "results":
            os.symlink(kept, folder / "results")
        bare = cpu_seconds([sys.executable, "-c", "pass"], folder)
        rows = []
        for command in chosen.only:
            words = [sys.executable, "-m", "promptarena.benchmark.cli.main", *command.split()]
            rows.append((f"promptarena {command}", f"{cpu_seconds(words, folder) - bare:.2f}"))
        table = tabulate(rows, ["command", "CPU seconds"], "pipe", colalign=("left", "right"))
        text = f"Beyond a bare interpreter ({bare:.2f} s), on a record of {count} runs.\n\n{table}\n"
    print(text)
    if chosen.out:
        chosen.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
