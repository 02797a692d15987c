"""A comparison from end to end: plan the runs, carry out those the record lacks, record them, and tell what
happened."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from promptarena.benchmark.backbone.loading import choose_device, identify
from promptarena.benchmark.core.errors import NotReadyError, UserError, unknown
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.recipe import Recipe, images_seen
from promptarena.benchmark.core.runs import PlannedRun, RunResult, RunSpec
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.data.few_shot import restrict
from promptarena.benchmark.planning.estimates import Estimator, Workload
from promptarena.benchmark.planning.plan import Planner, parse_overrides
from promptarena.benchmark.planning.protocols import Enumerated, enumerate_runs
from promptarena.benchmark.planning.suites import Suite, load_suite
from promptarena.benchmark.plugins.registry import ALL, Registry, load_registry
from promptarena.benchmark.recording.index import RecordedRun
from promptarena.benchmark.recording.record import Parents, Record
from promptarena.benchmark.running.launcher import Done, EpochDone, Launcher, Quiet, RunFailedError, Started
from promptarena.benchmark.running.runner import Workplace, training_folder
from promptarena.benchmark.running.schedule import Schedule

SECONDS_BETWEEN_HEARTBEATS = 60.0


@dataclass(frozen=True)
class Request:
    """What the user asked to compare; an empty sequence stands for the suite's default (and the methods of the plugin
    files given), the method "all" for every one there is, the ablation "all" for every one that a method declares."""

    methods: Sequence[str] = ()
    protocols: Sequence[str] = ()
    datasets: Sequence[str] = ()
    seeds: Sequence[int] = ()
    shots: Sequence[int] = ()
    settings: Sequence[str] = ()
    ablations: Sequence[str] = ()


@dataclass(frozen=True)
class Comparison:
    """A planned comparison and what the record already has of it."""

    suite: Suite
    runs: tuple[PlannedRun, ...]
    notes: tuple[str, ...]
    recorded: Mapping[str, RecordedRun]
    workloads: Mapping[str, Workload]
    estimator: Estimator

    @property
    def key(self) -> str:
        """Content key: the same runs make the same comparison."""
        return digest(sorted(run.key for run in self.runs))

    @property
    def keys(self) -> frozenset[str]:
        """The keys of its runs."""
        return frozenset(run.key for run in self.runs)

    def done(self) -> list[PlannedRun]:
        """Runs that the record has finished."""
        return [run for run in self.runs if self._status(run) == "finished"]

    def elsewhere(self) -> list[PlannedRun]:
        """Runs that another living process is at work on."""
        return [run for run in self.runs if self._status(run) == "running" and self.recorded[run.key].owner_alive]

    def missing(self) -> list[PlannedRun]:
        """Runs to carry out now, those that failed or were interrupted among them."""
        left_out = {run.key for run in (*self.done(), *self.elsewhere())}
        return [run for run in self.runs if run.key not in left_out]

    def seconds(self, run: PlannedRun) -> float:
        """Expected seconds of a run."""
        return self.estimator.seconds(run.spec.label, self.workloads[run.key])

    def _status(self, run: PlannedRun) -> str:
        return self.recorded[run.key].status if run.key in self.recorded else "missing"


def plan_comparison(request: Request, workplace: Workplace, record: Record) -> Comparison:
    """Everything about a comparison that can be known before anything is computed. Raises UserError for bad input."""
    suite = load_suite(workplace.suite)
    registry = load_registry(workplace.plugins)
    choose_device(workplace.device)
    enumerated = requested_runs(request, suite, registry, workplace)
    data = Data(workplace.data_root)
    source = suite.backbone
    backbone = identify(source.given_architecture, source.given_weights)
    planner = Planner(suite, registry, data, backbone, workplace.precision)
    runs, left_out = _planned(planner, enumerated.runs, asked_for=bool(request.methods))
    estimator = Estimator()
    for stored in record.results(suite.name):
        estimator.learn(stored.label, asdict(stored.cost))
    recorded = record.index(suite.name)
    own = sorted({name for run in runs for name in run.provenance["own_splits"]})
    notes = [*enumerated.notes, *left_out]
    notes += [f"{name}: own split, divided here; its figures are labelled so." for name in own]
    return Comparison(suite, runs, tuple(notes), recorded, _workloads(runs, recorded, suite, data), estimator)


def _planned(
    planner: Planner, specs: Sequence[RunSpec], asked_for: bool
) -> tuple[tuple[PlannedRun, ...], tuple[str, ...]]:
    """The planned runs, and a note for each method that is not ready and that nobody asked for by name."""
    runs, left_out = [], dict[str, str]()
    for spec in specs:
        try:
            runs.append(planner.plan(spec))
        except NotReadyError as error:
            if asked_for:
                raise
            left_out[spec.method] = f"{spec.method} is left out: {error}"
    return tuple(runs), tuple(left_out.values())


def requested_runs(request: Request, suite: Suite, registry: Registry, workplace: Workplace) -> Enumerated:
    """The runs that a request asks for; needs neither data nor weights. Raises UserError for bad input."""
    names = _chosen_methods(request, suite, registry, workplace)
    return enumerate_runs(
        suite,
        {name: registry.get(name).learner.seeded for name in names},
        protocols=request.protocols,
        seeds=request.seeds,
        datasets=request.datasets,
        shots=request.shots,
        overrides=parse_overrides(request.settings, names),
        variants=_ablated(request.ablations, {name: registry.get(name).learner.ablations for name in names}),
    )


def _chosen_methods(request: Request, suite: Suite, registry: Registry, workplace: Workplace) -> list[str]:
    if ALL in request.methods:
        return list(registry.methods)
    given = {str(path) for path in workplace.plugins}
    of_files = [method.name for method in registry.methods.values() if method.origin in given]
    return list(dict.fromkeys(request.methods or (*suite.methods, *of_files)))


def _ablated(
    wanted: Sequence[str], declared: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> dict[str, list[dict[str, str]]]:
    """The settings of the wanted ablations by method, as `--set` would give them."""
    known = list(dict.fromkeys(ablation for ablations in declared.values() for ablation in ablations))
    if wanted and not known:
        raise UserError(f"--ablate: none of {', '.join(declared)} declares ablations; methods show NAME lists them")
    for name in wanted:
        if name not in (*known, ALL):
            raise unknown("ablation", name, known)
    return {
        method: [
            {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
            for ablation, settings in ablations.items()
            if ablation in wanted or ALL in wanted
        ]
        for method, ablations in declared.items()
    }


def _workloads(
    runs: Sequence[PlannedRun], recorded: Mapping[str, RecordedRun], suite: Suite, data: Data
) -> dict[str, Workload]:
    """What each run asks for; of several unfinished runs that share a training, the first is charged with it."""
    trained: set[str] = set()
    loads: dict[str, Workload] = {}
    for run in runs:
        loads[run.key] = _workload(run, suite, data, trains=run.train_key not in trained)
        if run.key not in recorded or recorded[run.key].status != "finished":
            trained.add(run.train_key)
    return loads


def _workload(run: PlannedRun, suite: Suite, data: Data, trains: bool) -> Workload:
    spec = run.spec
    drawn, _ = data.few_shot(suite.card(spec.dataset), spec.subset, spec.shots, spec.seed or 0)
    scored = 0
    for target in spec.targets:
        test = data.split(suite.card(target.dataset), "test")
        scored += len(restrict(test.labels, target.subset, len(test.class_names)).rows)
    recipe = Recipe(**run.recipe)
    seen = images_seen(recipe, len(drawn.labels)) if trains else 0
    classes = len(data.classes(suite.card(spec.dataset), spec.subset, "train"))
    return Workload(seen, seen // recipe.batch_size * classes, scored)


class Reporter(Protocol):
    """Hears what happens in a comparison, to show it."""

    def started(self, run: PlannedRun) -> None:
        """A worker took up a run."""

    def epoch(self, run: PlannedRun, curve: Mapping[str, float]) -> None:
        """A run finished an epoch."""

    def finished(self, run: PlannedRun, result: RunResult) -> None:
        """A run is recorded."""

    def failed(self, run: PlannedRun, error: RunFailedError) -> None:
        """A run ended with an error, which is recorded."""


def carry_out_comparison(
    comparison: Comparison, launcher: Launcher, record: Record, results: Path, reporter: Reporter
) -> list[tuple[PlannedRun, RunFailedError]]:
    """Carry out what the record lacks and record each run as it ends; returns the failed runs with their errors.

    Runs that differ in the seed only are scored together, see Schedule. Interrupted at any moment, the same call goes
    on where it stood: at the last finished epoch of each run. `results` is the folder of unfinished trainings; a
    training's files are removed once all its runs are recorded.
    """
    suite = comparison.suite
    comparison_id = record_comparison(comparison, record)
    parents = {
        label: Parents(comparison_id, record.method_run(comparison_id, label))
        for label in dict.fromkeys(run.spec.label for run in comparison.runs)
    }
    backbone = suite.backbone.architecture or Path(suite.backbone.weights or "").stem
    failures: list[tuple[PlannedRun, RunFailedError]] = []
    ids: dict[str, str] = {}
    missing = comparison.missing()
    sizes = {run.key: comparison.workloads[run.key].passes for run in missing}
    unfinished = Counter(run.train_key for run in missing)
    beaten = time.monotonic()
    with closing(launcher.launch(Schedule(missing, sizes, launcher.workers))) as events:
        for event in events:
            match event:
                case Started(run):
                    ids[run.key] = record.begin(run, parents[run.spec.label], backbone, suite.miniature)
                    reporter.started(run)
                case EpochDone(run, curve):
                    record.log_epochs(ids[run.key], [curve])
                    reporter.epoch(run, curve)
                case Done(run, RunFailedError() as error):
                    failures.append((run, error))
                    record.fail(ids.pop(run.key), error)
                    reporter.failed(run, error)
                case Done(run, RunResult() as result):
                    record.finish(ids.pop(run.key), result)
                    comparison.estimator.learn(run.spec.label, asdict(result.cost))
                    reporter.finished(run, result)
                    unfinished[run.train_key] -= 1
                    if not unfinished[run.train_key]:
                        shutil.rmtree(training_folder(results, run), ignore_errors=True)
                case Quiet():
                    pass
            if time.monotonic() - beaten > SECONDS_BETWEEN_HEARTBEATS:
                beaten = time.monotonic()
                for run_id in ids.values():
                    record.heartbeat(run_id)
    return failures


def record_comparison(comparison: Comparison, record: Record) -> str:
    """Run id of the comparison in the record, made on first use."""
    return record.comparison(comparison.suite.name, comparison.key, _description(comparison))


def _description(comparison: Comparison) -> str:
    labels = dict.fromkeys(run.spec.label for run in comparison.runs)
    protocols = dict.fromkeys(run.spec.protocol for run in comparison.runs)
    return f"{', '.join(labels)} on {comparison.suite.title}: {', '.join(protocols)}; {len(comparison.runs)} runs"
