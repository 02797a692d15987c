"""Run a comparison from Python."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.running.launcher import Reporter
from promptarena.loading import results_in
from promptarena.lookups import load_suite
from promptarena.outcomes import Results

if TYPE_CHECKING:
    from promptarena.benchmark.core.runs import PlannedRun
    from promptarena.benchmark.plugins.learner import Learner
    from promptarena.benchmark.recording.record import Record, RecordPlace
    from promptarena.benchmark.report.sections import Section
    from promptarena.benchmark.running.comparison import Comparison
    from promptarena.benchmark.running.execution import ExecutionConfig
    from promptarena.benchmark.running.launcher import Launcher, RunFailedError


def compare(
    suite: str | Path = "mini",
    methods: "str | type[Learner] | Sequence[str | type[Learner]]" = (),
    *,
    protocols: Sequence[str] = (),
    datasets: Sequence[str] = (),
    seeds: Sequence[int] = (),
    shots: Sequence[int] = (),
    settings: Mapping[str, Any] | None = None,
    ablations: Sequence[str] = (),
    plugins: Sequence[str | Path] = (),
    results: str | Path = "results",
    tracking_uri: str | None = None,
    root: str | Path | None = None,
    workers: int | None = None,
    device: str = "auto",
    devices: Sequence[str] = (),
    workers_per_gpu: int | None = None,
    launcher: str = "local",
    launcher_options: Mapping[str, Any] | None = None,
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    quiet: bool = False,
) -> Results:
    """Run the runs of a comparison that are not recorded yet, and return all of them.

    After an interruption the same call goes on where it stopped. What is empty stands for the suite's default.

    Args:
        suite: A built-in suite's name, or the path of a suite's TOML file.
        methods: Names, "all", or classes, or a single one of these. The source of a class that is defined in a notebook
            is written to `results/plugins`; the key of its runs rests on that file.
        protocols: "base-to-novel", "cross-dataset", "domain-generalization", "few-shot".
        datasets: The datasets to train on, and the targets of the transfer protocols.
        seeds: The seeds.
        shots: Training images per class.
        settings: Changed settings, such as {"coop.n_ctx": 8, "coop.recipe.epochs": 10}.
        ablations: Names of the methods' ablations that are run as well, or "all".
        plugins: Python files that define methods.
        results: The folder of the record.
        tracking_uri: The address of another MLflow store.
        root: The folder of the datasets.
        workers: Runs at the same time on a machine; None: one per GPU, or per CPU core.
        device: "auto" (every GPU, or the CPU), "cpu", "cuda", "cuda:1", ...
        devices: Several devices, in place of `device`.
        workers_per_gpu: Runs at the same time on a GPU; None: 1.
        launcher: "local", or another name of `promptarena compare --launcher`.
        launcher_options: Its options, such as {"partition": "gpu"} for `--slurm-partition gpu`.
        precision: "fp32", "bf16" or "fp16".
        quiet: Whether nothing is shown.

    Returns:
        The finished runs of this comparison.

    Raises:
        UserError: Bad input, missing data or weights, or every run failed. Runs that failed beside others are named in
            a warning.

    >>> import promptarena as pa
    >>> found = pa.compare("mini", ["zeroshot"], datasets=["digits"], protocols=["base-to-novel"], quiet=True)
    >>> found.frame["target_subset"].tolist()
    ['base', 'novel']
    """
    import warnings

    from promptarena.benchmark.inputs.array_cache import default_cache_folder
    from promptarena.benchmark.recording.place import RecordPlace
    from promptarena.benchmark.running.events import Silent
    from promptarena.benchmark.running.execution import ExecutionConfig
    from promptarena.benchmark.running.launchers.registry import Workers, launching_of
    from promptarena.benchmark.running.progress import ProgressReporter, plain_console

    folder = Path(results).absolute()
    names, files = _methods(methods, folder, [Path(path).absolute() for path in plugins])
    request = Request(
        methods=names,
        protocols=tuple(protocols),
        datasets=tuple(datasets),
        seeds=tuple(seeds),
        shots=tuple(shots),
        settings=tuple(f"{name}={_setting(value)}" for name, value in (settings or {}).items()),
        ablations=tuple(ablations),
    )
    request.check_names(load_suite(suite), files)
    execution = ExecutionConfig(
        suite=str(suite),
        results=folder,
        cache=default_cache_folder(),
        data_root=Path(root) if root else None,
        plugins=tuple(files),
        device=device,
        precision=precision,
    )
    watcher = Silent() if quiet else ProgressReporter(plain_console())
    place = RecordPlace(folder, tracking_uri)
    requested = Workers(workers, workers_per_gpu, tuple(devices))
    launching = launching_of(launcher, requested, dict(launcher_options or {}), style="{}")
    carried = carry_out(request, execution, place, watcher, launching.made_when_needed(execution))
    failures = [*carried.comparison.failed]
    failures += [f"{run.spec.label} on {run.spec.dataset}: {error}" for run, error in carried.failures]
    found = results_in(carried.record, carried.comparison.suite, str(suite), carried.comparison.keys)
    for reason in dict.fromkeys(failures):
        if not len(found):
            raise UserError(reason)
        warnings.warn(reason, stacklevel=2)
    return found


class Watcher(Reporter, Protocol):
    """Sees how a comparison goes: a `Reporter` of its runs, and a context manager around all of it."""

    def __enter__(self) -> object:
        """Planning begins."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The comparison ended."""

    def planned(self, comparison: "Comparison", workers: int) -> None:
        """The comparison is planned, and its missing runs start on so many workers."""


@dataclass(frozen=True)
class Carried:
    """A comparison that was carried out.

    Attributes:
        comparison: Its plan, and what was recorded before.
        record: The record.
        failures: The runs that failed, with their errors.
        sections: The leaderboards of its runs, with all that is made of them.
    """

    comparison: "Comparison"
    record: "Record"
    failures: "tuple[tuple[PlannedRun, RunFailedError], ...]" = ()
    sections: "tuple[Section, ...]" = ()


def carry_out(
    request: Request,
    execution: "ExecutionConfig",
    place: "RecordPlace",
    watcher: Watcher,
    launch: "Callable[[], Launcher]",
) -> Carried:
    """Run the missing runs of a request, and keep the tables of all its runs in the record.

    A request whose runs are all recorded imports neither torch nor MLflow.

    Args:
        request: What the user requests.
        execution: How runs are carried out.
        place: Where the record is.
        watcher: Shows how it goes.
        launch: Makes the launcher; called only if runs are missing.

    Returns:
        What was carried out.

    Raises:
        UserError: Bad input, or missing data or weights.
    """
    from promptarena.benchmark.recording.record import Record
    from promptarena.benchmark.running.comparison import comparison_of, kept_plan, made_plan, run_comparison

    with watcher:
        planned = kept_plan(request, execution) or made_plan(request, execution)
        record = Record.open(place)
        comparison = comparison_of(planned, execution, record)
        launcher = launch() if comparison.missing() else None
        watcher.planned(comparison, launcher.workers if launcher else 1)
        if not comparison.runs:
            return Carried(comparison, record)
        failures: list[tuple[PlannedRun, RunFailedError]] = []
        if launcher:
            failures = run_comparison(comparison, launcher, record, execution.results, watcher)
        sections = _kept_sections(comparison, record, ran=launcher is not None)
        return Carried(comparison, record, tuple(failures), tuple(sections))


def _kept_sections(comparison: "Comparison", record: "Record", *, ran: bool) -> "list[Section]":
    """The leaderboards of a comparison, which are kept in the record; what is missing shows. Boards from predictions
    are made and kept only if something `ran`, as they take seconds."""
    from promptarena.benchmark.core.protocol_table import PROTOCOLS, protocol_info
    from promptarena.benchmark.planning.suites import layout_of
    from promptarena.benchmark.recording.kept_predictions import of_record
    from promptarena.benchmark.report.keep import keep_boards, keep_sections
    from promptarena.benchmark.report.sections import sections_of
    from promptarena.benchmark.running.comparison import record_comparison

    results = record.results(comparison.suite.name, comparison.keys)
    sections: list[Section] = []
    for protocol in PROTOCOLS:  # each has its own datasets: a target of a transfer is not expected in base-to-novel
        specs = [run.spec for run in comparison.runs if run.spec.protocol == protocol]
        if specs:
            sections += sections_of(
                layout_of(comparison.suite),
                [result for result in results if result.protocol == protocol],
                protocols=[protocol],
                labels=list(dict.fromkeys(spec.name for spec in specs)),
                seeds=sorted({spec.seed for spec in specs if spec.seed is not None}),
                datasets=list(dict.fromkeys(target.dataset for spec in specs for target in spec.targets)),
                shots=sorted({spec.shots for spec in specs}) if protocol_info(protocol).by_shots else (),
            )
    comparison_id = record_comparison(comparison, record)
    keep_sections(record, comparison_id, sections)
    if ran:
        keep_boards(record, comparison_id, sections, of_record(record, results))
    return sections


def _setting(value: Any) -> str:
    """A value as `--set` takes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _methods(
    given: "str | type[Learner] | Sequence[str | type[Learner]]", results: Path, plugins: Sequence[Path]
) -> tuple[tuple[str, ...], list[Path]]:
    """The names of the methods, and the plugin files with those of the classes among them."""
    several = [given] if isinstance(given, str | type) else list(given)
    if all(isinstance(each, str) for each in several):
        return tuple(map(str, several)), list(plugins)
    from promptarena.benchmark.plugins.registry import load_registry
    from promptarena.notebook_methods import plugin_of

    known = {method.learner: name for name, method in load_registry(plugins).methods.items()}
    names, files = list[str](), list(plugins)
    for each in several:
        if isinstance(each, str):
            names.append(each)
        elif each in known:
            names.append(known[each])
        else:
            files.append(plugin_of(each, results / "plugins"))
            names.append(files[-1].stem.replace("_", "-"))  # as the registry names the learner of a file
    return tuple(names), files
