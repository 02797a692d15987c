"""Shows the progress of a comparison: one live line on a terminal, and a plain line per run everywhere."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.core.runs import PlannedRun, RunResult, Score
from promptarena.benchmark.running.comparison import Comparison
from promptarena.benchmark.running.launcher import RunFailedError

LINE = 80
"""Columns that the line of a finished run fits into."""
FITTED_NAME = 40
"""Columns that a run's name has in its line even if the rest must be cut."""
FITTED_LABEL = 8
"""Columns that a method's label has in a name that must be cut."""


class _Count(MofNCompleteColumn):
    """How many of the runs are done; nothing before it is known how many there are."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.total is not None else Text()


class ProgressReporter:
    """A context manager that reports the runs of one comparison to a console.

    Its live line says what is done at the moment: planning, starting workers, reading images, epochs.

    Args:
        console: Where it is shown.
        workers: The number of runs at the same time.
    """

    def __init__(self, console: Console, workers: int | None = None) -> None:
        self.console = console
        self._workers = workers or 1
        self._comparison: Comparison | None = None
        self._open: dict[str, PlannedRun] = {}
        self._trained: dict[str, float] = {}
        self._total = 0
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=12),
            _Count(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[left]}", markup=False, table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
            disable=not console.is_terminal or console.quiet,
        )
        self._task = self._progress.add_task("planning", total=None, left="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def planned(self, comparison: Comparison, workers: int) -> None:
        """Say that the comparison is planned; its missing runs are started next."""
        self._comparison, self._workers = comparison, workers
        self._open = {run.key: run for run in comparison.missing()}
        self._total = len(self._open)
        starting = f"starting {workers} worker{'s' * (workers > 1)}" if self._open else "reading the record"
        self._progress.update(self._task, description=starting, total=self._total or None, left=self._left())
        self._progress.refresh()  # what comes next may hold the interpreter for a while

    def started(self, run: PlannedRun) -> None:
        """Show that a worker prepares the run."""
        self._progress.update(self._task, description=f"{run.spec.label}: reading images of {run.spec.dataset}")

    def epoch(self, run: PlannedRun, curve: Mapping[str, float]) -> None:
        """Show the run's epoch."""
        epochs = int(run.recipe["epochs"])
        self._trained[run.key] = curve["epoch"] / epochs
        now = f"{name_of(run)}: epoch {curve['epoch']:.0f} of {epochs}"
        self._progress.update(self._task, description=now, left=self._left())

    def finished(self, run: PlannedRun, result: RunResult) -> None:
        """Print the run's line: its accuracies and seconds."""
        seconds = result.cost.train_seconds + result.cost.eval_seconds
        own = [score for score in result.scores if not score.reading]
        self._end(run, _figures(run, own) or "nothing to score", f" ({seconds:.1f} s)")

    def failed(self, run: PlannedRun, error: RunFailedError) -> None:
        """Print the run's line: why it failed."""
        self._end(run, f"failed: {' '.join(str(error).split())}", style="red")

    def taken(self, run: PlannedRun) -> None:
        """Print the run's line: another process has it."""
        self._end(run, "run by another process")

    def trained_again(self, run: PlannedRun, reason: str) -> None:
        """Print a line: why a finished training is repeated."""
        self.console.print(f"{name_of(run)} is trained again: {reason}", markup=False)

    def _end(self, run: PlannedRun, outcome: str, after: str = "", style: str = "") -> None:
        del self._open[run.key]
        done = self._total - len(self._open)
        self._progress.update(self._task, completed=done, left=self._left())
        if not self._open:
            self._progress.update(self._task, description="making tables and plots")
        count = f"[{done}/{self._total}] "
        room = LINE - 1 - len(count) - len(": ")
        if cell_len(name_of(run) + outcome + after) > room:
            after = ""
        room -= cell_len(after)
        name = _fitted(run, max(room - cell_len(outcome), FITTED_NAME))
        self.console.print(Text.assemble(count, name, ": ", (_cut(outcome, room - cell_len(name)), style), after))

    def _left(self) -> str:
        """The expected time left, where a run's progress is that of its training; empty while nothing is known."""
        if self._comparison is None:
            return ""
        rest = [self._comparison.seconds(run) * (1 - self._trained.get(run.key, 0.0)) for run in self._open.values()]
        seconds = sum(rest) / max(1, min(self._workers, len(rest)))
        return f"about {duration(seconds)} left" if seconds else ""


def _fitted(run: PlannedRun, length: int) -> str:
    """The run's short name, in which a long label is cut before anything else."""
    name, label = name_of(run), run.spec.label
    over = cell_len(name) - length
    if over > 0:
        name = name.replace(label, _cut(label, max(cell_len(label) - over, FITTED_LABEL)), 1)
    return _cut(name, length)


def _cut(text: str, length: int) -> str:
    return text if cell_len(text) <= length else f"{set_cell_size(text, length - 3).rstrip()}..."


def _figures(run: PlannedRun, scores: list[Score]) -> str:
    """Up to three accuracies in percent; of a transfer, the mean of the targets."""
    percents = {score.target: 100 * sum(score.correct) / sum(score.total) for score in scores}
    own = {target: value for target, value in percents.items() if target.dataset == run.spec.dataset}
    others = [value for target, value in percents.items() if target not in own]
    if others:
        return f"{'targets' if len(others) > 1 else 'target'} {sum(others) / len(others):.1f}"
    names = {target: "accuracy" if target.subset == "all" else target.subset for target in own}
    return ", ".join(f"{names[target]} {value:.1f}" for target, value in list(own.items())[:3])


def plain_console() -> Console:
    """A console that prints text unchanged, without markup: names, paths and errors may contain any characters."""
    return Console(soft_wrap=True, markup=False, emoji=False, highlight=False)


def name_of(run: PlannedRun) -> str:
    """A run's short name: `coop base-to-novel food, seed 1`."""
    spec = run.spec
    shots = f" {spec.shots} shots" if protocol_info(spec.protocol).by_shots else ""
    seed = "" if spec.seed is None else f", seed {spec.seed}"
    return f"{spec.label} {spec.protocol} {spec.dataset}{shots}{seed}"


def duration(seconds: float) -> str:
    """Seconds in words: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
