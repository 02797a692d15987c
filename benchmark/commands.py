"""What the commands do, over plain functions; all that is printed to standard output is printed here."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.table import Table

from promptarena.benchmark.boards import boards
from promptarena.benchmark.cards import Card, load_card
from promptarena.benchmark.comparison import Comparison, Request, carry_out_comparison, plan_comparison
from promptarena.benchmark.dataset_verify import verify
from promptarena.benchmark.errors import UserError, unknown
from promptarena.benchmark.execution import Workplace
from promptarena.benchmark.progress import ProgressReporter, duration, name_of
from promptarena.benchmark.recipe import TrainingTask
from promptarena.benchmark.record import Record
from promptarena.benchmark.registry import load_registry
from promptarena.benchmark.spec import PROTOCOLS, Protocol
from promptarena.benchmark.suites import load_suite
from promptarena.benchmark.tables import Format, print_rich, render, render_all

FILE_ENDINGS: dict[Format, str] = {"md": "md", "latex": "tex", "html": "html", "csv": "csv", "json": "json"}


def run_compare(
    request: Request, workplace: Workplace, tracking_uri: str | None, workers: int, *, plan_only: bool
) -> int:
    """Carry out a comparison and print its leaderboards; the exit code: 0, or 2 (bad input) or 1 when a run failed."""
    console = Console(soft_wrap=True)
    record = Record.open(workplace.results, tracking_uri)
    comparison = plan_comparison(request, workplace, record)
    _print_plan(console, comparison, workers)
    if plan_only:
        return 0
    failures = []
    if comparison.missing():
        with ProgressReporter(console, comparison, workers) as reporter:
            failures = carry_out_comparison(comparison, workplace, record, workers, reporter)
    _print_and_keep_tables(console, comparison, record, request)
    for run, error in failures:
        Console(stderr=True, soft_wrap=True).print(f"[red]promptarena:[/red] {name_of(run)} failed: {error}")
    if not failures:
        return 0
    return 2 if all(error.users_fault for _, error in failures) else 1


def _print_plan(console: Console, comparison: Comparison, workers: int) -> None:
    missing, done, elsewhere = comparison.missing(), comparison.done(), comparison.elsewhere()
    resumed = sum(run.key in comparison.recorded for run in missing)
    parts = [f"{len(comparison.runs)} runs", f"{len(done)} already done", f"{len(missing)} to run"]
    parts += [f"{resumed} of them interrupted or failed before"] if resumed else []
    parts += [f"{len(elsewhere)} run by another process"] if elsewhere else []
    console.print(f"{comparison.suite.title}: {', '.join(parts)}.")
    for note in comparison.notes:
        console.print(note)
    if not missing:
        return
    table = Table("method", "protocol", "to run", "expected", box=None, pad_edge=False)
    for label, protocol in dict.fromkeys((run.spec.label, run.spec.protocol) for run in missing):
        runs = [run for run in missing if (run.spec.label, run.spec.protocol) == (label, protocol)]
        seconds = sum(map(comparison.seconds, runs))
        known = comparison.estimator.knows(label)
        table.add_row(label, protocol, str(len(runs)), duration(seconds) if known else "not measured yet")
    console.print(table)
    unmeasured = [run for run in missing if not comparison.estimator.knows(run.spec.label)]
    total = sum(map(comparison.seconds, missing)) / workers
    if len(unmeasured) < len(missing):
        about = "at a guess, since not all methods are measured yet" if unmeasured else "from measured throughput"
        console.print(f"Expected with {workers} workers: {duration(total)} ({about}).")


def _print_and_keep_tables(console: Console, comparison: Comparison, record: Record, request: Request) -> None:
    labels = list(dict.fromkeys(run.spec.label for run in comparison.runs))
    seeds = sorted({run.spec.seed for run in comparison.runs if run.spec.seed is not None})
    protocols = [protocol for protocol in PROTOCOLS if any(run.spec.protocol == protocol for run in comparison.runs)]
    made = boards(
        comparison.suite,
        record,
        keys=comparison.keys,
        protocols=protocols,
        labels=labels,
        seeds=seeds,
        datasets=request.datasets,
        shots=sorted({run.spec.shots for run in comparison.runs if run.spec.protocol == "few-shot"}),
    )
    tables: dict[str, str | bytes] = {}
    headline: dict[str, dict[str, float]] = {}
    for board in made:
        print_rich(Console(), board)
        for format, ending in FILE_ENDINGS.items():
            tables[f"{board.protocol}.{ending}"] = render(board, format)
        for label, means in board.headline().items():
            headline.setdefault(label, {}).update(means)
    comparison_id = record.comparison(comparison.suite.name, comparison.key, "")
    record.log_tables(comparison_id, tables, headline)
    console.print(f"Recorded in {record.uri}; look at it with: promptarena ui")


def show_leaderboard(
    suite_name: str,
    protocols: Sequence[str],
    methods: Sequence[str],
    format: Format,
    out: Path | None,
    results: Path,
    tracking_uri: str | None,
) -> None:
    """Print, or write to `out`, the leaderboards of what is recorded. Raises UserError when nothing is."""
    for protocol in protocols:
        if protocol not in PROTOCOLS:
            raise unknown("protocol", protocol, PROTOCOLS)
    suite = load_suite(suite_name)
    record = Record.open(results, tracking_uri)
    made = boards(suite, record, protocols=cast(Sequence[Protocol], protocols), labels=methods)
    if not made:
        raise UserError(f"nothing is recorded for suite {suite.name} in {record.uri}; run: promptarena compare")
    if format == "rich" and out is None:
        for board in made:
            print_rich(Console(), board)
        return
    text = render_all(made, format)
    if out is None:
        print(text)
        return
    try:
        out.write_text(text)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from error


def print_methods(plugins: Sequence[Path]) -> None:
    """A table of all methods, and the reasons of those that are broken."""
    registry = load_registry(plugins)
    table = Table("method", "title", "venue", "paper", "from", box=None, pad_edge=False)
    for method in registry.methods.values():
        about = method.learner.about
        table.add_row(method.name, about.title, f"{about.venue} {about.year}", about.paper, method.origin)
    console = Console()
    console.print(table)
    for entry in registry.broken.values():
        console.print(f"[red]broken[/red] {entry.name} ({entry.origin}): {entry.reason}")


def print_method(name: str, plugins: Sequence[Path]) -> None:
    """A method's docstring, settings, and recipe per protocol."""
    method = load_registry(plugins).get(name)
    about, learner, console = method.learner.about, method.learner, Console()
    console.print(f"[bold]{about.title}[/bold]  {about.venue} {about.year}  {about.url}  ({method.origin})\n")
    console.print((learner.__doc__ or "").strip() + "\n", markup=False)
    fields = Table("setting", "default", "meaning", box=None, pad_edge=False)
    for field_name, field in learner.config_type.model_fields.items():
        fields.add_row(f"{name}.{field_name}", repr(field.default), field.description or "")
    console.print(fields)
    recipes = Table("protocol", "recipe (source dataset)", "recipe (other datasets)", box=None, pad_edge=False)
    for protocol in PROTOCOLS:
        described = []
        for is_source in (True, False):
            config, recipe = learner.preset(TrainingTask(protocol=protocol, shots=16, is_source=is_source))
            changed = config.model_dump(exclude_defaults=True)
            described.append(
                f"{recipe.epochs} epochs, batch {recipe.batch_size}, {recipe.optimizer} {recipe.lr:g} {changed or ''}"
            )
        transfer = protocol in ("cross-dataset", "domain-generalization")
        recipes.add_row(protocol, described[0], "" if transfer else described[1])
    console.print(recipes)


def print_datasets(suite_name: str) -> None:
    """A table of a suite's datasets."""
    suite = load_suite(suite_name)
    table = Table(
        "dataset", "title", "mirrors", "classes", "train", "val", "test", "template", box=None, pad_edge=False
    )
    for name in suite.dataset_names:
        card = suite.card(name)
        counts = [str(card.counts.get(split, "–")) for split in ("train", "val", "test")]
        table.add_row(name, card.title, card.mirrors or "", str(len(card.class_names)), *counts, card.template)
    Console().print(table)


def print_verification(names: Sequence[str], suite_name: str, root: Path | None) -> int:
    """A line per dataset and its problems; the exit code: 0 when all are whole, else 2."""
    suite = load_suite(suite_name)
    cards: list[Card] = [
        suite.card(name) if name in suite.dataset_names else load_card(name) for name in names or suite.dataset_names
    ]
    console, whole = Console(soft_wrap=True), True
    for card in cards:
        report = verify(card, root)
        whole &= report.whole
        counts = ", ".join(f"{split.found} {split.split}" for split in report.splits)
        state = "[green]whole[/green]" if report.whole else "[red]not whole[/red]"
        console.print(f"{card.name}: {state}" + (f" ({counts})" if counts else ""))
        for problem in report.problems:
            console.print(f"  {problem}", markup=False)
    return 0 if whole else 2


def serve_ui(results: Path, tracking_uri: str | None, port: int) -> int:
    """Run MLflow's server on the record until interrupted; its exit code."""
    record = Record.open(results, tracking_uri)
    if record.uri.startswith(("http://", "https://")):
        raise UserError(f"the record is served already: open {record.uri} in a browser")
    print(f"http://127.0.0.1:{port} shows {record.uri}; stop with Ctrl-C")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", record.uri, "--port", str(port)]
    return subprocess.run(command, check=False).returncode
