"""What the `datasets` commands do and print."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.context import ContextError
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.cards import SPLITS, Card, load_card
from promptarena.benchmark.data.prepare.dataset import prepare
from promptarena.benchmark.data.prepare.progress import Step
from promptarena.benchmark.data.prepare.verify import Report, verify
from promptarena.benchmark.data.readers.listing import DATA_VARIABLE
from promptarena.benchmark.planning.suites import load_suite

DIGEST_SHOWN = 12


def print_datasets(suite_name: str) -> None:
    """A table of a suite's datasets."""
    suite = load_suite(suite_name)
    table = terminal.table("dataset", "mirrors", "classes", "train", "val", "test", "template")
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    for name in suite.dataset_names:
        card = suite.card(name)
        classes = str(len(card.class_names) or "–")
        counts = [str(card.counts.get(split, "–")) for split in SPLITS]
        terminal.add(table, name, card.mirrors or "", classes, *counts, card.template)
    terminal.console().print(table, soft_wrap=False)


def prepare_datasets(names: Sequence[str], suite_name: str, root: Path | None, *, own_split: bool) -> int:
    """Prepare datasets one after the other. Returns the exit code: 0 if all are ready, else 2."""
    place = root or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
    if place is None:
        raise UserError(f"name the folder of all datasets with --root or the environment variable {DATA_VARIABLE}")
    cards = _cards(names, suite_name)
    console, ready = terminal.console(), True
    for card in cards:
        with _StepBar(console) as bar:
            prepared = prepare(card, place, own_split=own_split, progress=bar.show)
        ready &= prepared.state != "incomplete"
        for line in prepared.lines:
            console.print(line)
    return 0 if ready else 2


def print_verification(names: Sequence[str], suite_name: str, root: Path | None, *, duplicates: bool = False) -> int:
    """Print a line per dataset and its problems. Returns the exit code: 0 if all are complete, else 2."""
    console, whole = terminal.console(), True
    architecture = load_suite(suite_name).backbone.given_architecture
    for card in _cards(names, suite_name):
        report = _with_long_prompts(_verified(console, card, root, duplicates), card, architecture)
        whole &= report.whole
        state = Text("whole", style="green") if report.whole else Text("not whole", style="red")
        if not report.present:
            state = Text("not here", style="red")
        counts = ", ".join(
            f"{split.found} {split.split} {split.digest[:DIGEST_SHOWN] if split.digest else 'unfit'}"
            for split in report.splits
        )
        console.print(Text.assemble(f"{card.name}: ", state, f" ({counts})" if counts else ""))
        for line in (*report.problems, *report.notes):
            console.print(f"  {line}")
    return 0 if whole else 2


def _with_long_prompts(report: Report, card: Card, architecture: str | Path) -> Report:
    """The report with the first prompt that does not fit the suite's backbone, as a further problem."""
    from promptarena.benchmark.planning.contexts import check_template

    if not report.class_names:
        return report
    try:
        check_template(architecture, Classes(report.class_names, card.template, card.name))
    except ContextError as error:
        return replace(report, problems=(*report.problems, f"{error}; shorten the class name or template"))
    except UserError:  # the suite's architecture cannot be used: a comparison reports it
        pass
    return report


def _cards(names: Sequence[str], suite_name: str) -> list[Card]:
    suite = load_suite(suite_name)
    return [
        suite.card(name) if name in suite.dataset_names else load_card(name) for name in names or suite.dataset_names
    ]


def _verified(console: Console, card: Card, root: Path | None, duplicates: bool) -> Report:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(card.name, total=sum(card.counts.values()) or None)
        return verify(card, root, lambda decoded: progress.advance(task, decoded), duplicates=duplicates)


class _StepBar:
    """A progress bar for the current step of preparing; shows nothing if the output is not a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None)
        self._now: tuple[str, str] | None = None

    def __enter__(self) -> "_StepBar":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def show(self, step: Step) -> None:
        """Show the progress of the step."""
        if self._now != (step.kind, step.name):
            self._now = (step.kind, step.name)
            self._progress.reset(self._task, description=f"{step.kind} {step.name}", total=step.total)
        self._progress.update(self._task, completed=step.done, total=step.total)
