"""Shows the progress of a comparison: live bars with an ETA on a terminal, otherwise a plain line per run."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.core.runs import PlannedRun, RunResult
from promptarena.benchmark.running.comparison import Comparison
from promptarena.benchmark.running.launcher import RunFailedError


class ProgressReporter:
    """A context manager that reports the runs of one comparison to a console."""

    def __init__(self, console: Console, comparison: Comparison, workers: int) -> None:
        self._console = console
        self._comparison = comparison
        self._workers = workers
        self._open = {run.key: run for run in comparison.missing()}
        self._trained: dict[str, float] = {}
        self._total = len(self._open)
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._overall = self._progress.add_task("all runs", total=self._total, note="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, run: PlannedRun) -> None:
        """Show a bar for the run's epochs."""
        epochs = int(run.recipe["epochs"])
        self._tasks[run.key] = self._progress.add_task(name_of(run), total=max(epochs, 1), note="")

    def epoch(self, run: PlannedRun, curve: Mapping[str, float]) -> None:
        """Advance the run's bar."""
        note = f"loss {curve['loss']:.3f}" if "loss" in curve else ""
        self._progress.update(self._tasks[run.key], completed=int(curve["epoch"]), note=note)
        self._trained[run.key] = curve["epoch"] / int(run.recipe["epochs"])
        self._progress.update(self._overall, note=self._left())

    def finished(self, run: PlannedRun, result: RunResult) -> None:
        """Print the run's line: its accuracies and seconds, and the time left for the whole comparison."""
        own = [score for score in result.scores if not score.reading]
        accuracies = ", ".join(
            f"{_target_name(run, score.target.dataset, score.target.subset)} "
            f"{100 * sum(score.correct) / sum(score.total):.1f}"
            for score in own[:3]
        )
        more = f" and {len(own) - 3} more" if len(own) > 3 else ""
        seconds = result.cost.train_seconds + result.cost.eval_seconds
        self._end(run, f"{accuracies or 'nothing to score'}{more} ({seconds:.1f} s)")

    def failed(self, run: PlannedRun, error: RunFailedError) -> None:
        """Print the run's line: why it failed."""
        self._end(run, Text.assemble(("failed", "red"), f": {error}"))

    def taken(self, run: PlannedRun) -> None:
        """Print the run's line: another process has it."""
        self._end(run, "run by another process")

    def trained_again(self, run: PlannedRun, reason: str) -> None:
        """Print a line: why a finished training is repeated."""
        self._console.print(f"{name_of(run)} is trained again: {reason}", markup=False)

    def _end(self, run: PlannedRun, outcome: str | Text) -> None:
        del self._open[run.key]
        if run.key in self._tasks:
            self._progress.remove_task(self._tasks.pop(run.key))
        done = self._total - len(self._open)
        left = self._left()
        self._progress.update(self._overall, completed=done, note=left)
        line = Text.assemble(f"[{done}/{self._total}] {name_of(run)}: ", outcome, f", {left}" if left else "")
        self._console.print(line)

    def _left(self) -> str:
        """The expected time left, where a run's progress is that of its training; empty while nothing is known."""
        rest = [self._comparison.seconds(run) * (1 - self._trained.get(run.key, 0.0)) for run in self._open.values()]
        seconds = sum(rest) / max(1, min(self._workers, len(rest)))
        return f"about {duration(seconds)} left" if seconds else ""


def name_of(run: PlannedRun) -> str:
    """A run's short name: `coop base-to-novel food, seed 1`."""
    spec = run.spec
    shots = f" {spec.shots} shots" if protocol_info(spec.protocol).by_shots else ""
    seed = "" if spec.seed is None else f", seed {spec.seed}"
    return f"{spec.label} {spec.protocol} {spec.dataset}{shots}{seed}"


def _target_name(run: PlannedRun, dataset: str, subset: str) -> str:
    return subset if dataset == run.spec.dataset and subset != "all" else dataset


def duration(seconds: float) -> str:
    """Seconds in words: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
