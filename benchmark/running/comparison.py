"""A comparison from end to end: plan the runs, run those that the record lacks, record them, and report events."""

import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from promptarena.benchmark.backbone.loading import check_precision, choose_device, identify
from promptarena.benchmark.core.errors import NotReadyError, message_of
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.recipe import Recipe, images_seen
from promptarena.benchmark.core.runs import PlannedRun, RunResult, RunSpec
from promptarena.benchmark.data.class_names import repeated_note
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.data.few_shot import restrict
from promptarena.benchmark.planning.contexts import check_prompts
from promptarena.benchmark.planning.enumeration import RequestedRuns
from promptarena.benchmark.planning.estimates import Estimator, Workload
from promptarena.benchmark.planning.few_shot_notes import fewest_notes, without_repeated_splits
from promptarena.benchmark.planning.plan import Planner
from promptarena.benchmark.planning.suites import Suite
from promptarena.benchmark.plugins.asking import MethodFailedError
from promptarena.benchmark.recording.index import RecordedRun
from promptarena.benchmark.recording.record import ParentRuns, Record, RunTakenError
from promptarena.benchmark.running.launcher import Done, EpochDone, Launcher, Quiet, RunFailedError, Started
from promptarena.benchmark.running.runner import ExecutionConfig, training_folder
from promptarena.benchmark.running.schedule import Schedule

SECONDS_BETWEEN_HEARTBEATS = 60.0


@dataclass(frozen=True)
class Comparison:
    """A planned comparison and which of its runs the record already has."""

    suite: Suite
    runs: tuple[PlannedRun, ...]
    notes: tuple[str, ...]
    recorded: Mapping[str, RecordedRun]
    workloads: Mapping[str, Workload]
    estimator: Estimator
    failed: tuple[str, ...] = ()
    """One line for each reason why a method's runs could not be planned."""

    @property
    def key(self) -> str:
        """Content key: the same runs give the same key."""
        return digest(sorted(run.key for run in self.runs))

    @property
    def keys(self) -> frozenset[str]:
        """The keys of its runs."""
        return frozenset(run.key for run in self.runs)

    def done(self) -> list[PlannedRun]:
        """Runs that the record has finished."""
        return [run for run in self.runs if self._status(run) == "finished"]

    def elsewhere(self) -> list[PlannedRun]:
        """Runs that another live process is working on."""
        return [run for run in self.runs if self._status(run) == "running" and self.recorded[run.key].owner_alive]

    def missing(self) -> list[PlannedRun]:
        """Runs to run now, including those that failed or were interrupted."""
        left_out = {run.key for run in (*self.done(), *self.elsewhere())}
        return [run for run in self.runs if run.key not in left_out]

    def seconds(self, run: PlannedRun) -> float:
        """Expected seconds of a run."""
        return self.estimator.seconds(run.spec.label, self.workloads[run.key])

    def _status(self, run: PlannedRun) -> str:
        return self.recorded[run.key].status if run.key in self.recorded else "missing"


def plan_comparison(requested: RequestedRuns, execution: ExecutionConfig, record: Record) -> Comparison:
    """Everything about a comparison that can be known before anything is computed.

    Args:
        requested: the runs, as `enumerate_request` gives them.
        execution: where and how they will be carried out.
        record: says what of them is already there.

    Raises:
        UserError: bad input, or missing data or weights.
    """
    suite, registry = requested.suite, requested.registry
    choose_device(execution.device)
    check_precision(execution.precision)
    data = Data(execution.data_root, suite.limit)
    source = suite.backbone
    backbone = identify(source.given_architecture, source.given_weights, execution.cache)
    planner = Planner(suite, registry, data, backbone, execution.precision)
    planned, left_out, failed = _planned(planner, requested.runs, named=requested.methods_named)
    failed = tuple(dict.fromkeys([*map(str, requested.failed), *failed]))
    recorded = record.index(suite.name)
    # Only of runs that are still to run: the check imports open_clip, which takes seconds.
    check_prompts(suite, registry, data, [run for run in planned if not _is_finished(run, recorded)])
    runs, repeated = without_repeated_splits(planned, suite, data)
    estimator = Estimator()
    for stored in record.results(suite.name):
        estimator.learn(stored.label, asdict(stored.cost))
    own = sorted({name for run in runs for name in run.provenance["own_splits"]})
    notes = [*requested.notes, *left_out, *repeated, *fewest_notes(runs), *_names_notes(runs, suite, data)]
    notes += [f"{name}: own split, divided here; its figures are labelled so." for name in own]
    return Comparison(suite, runs, tuple(notes), recorded, _workloads(runs, recorded, suite, data), estimator, failed)


def _is_finished(run: PlannedRun, recorded: Mapping[str, RecordedRun]) -> bool:
    return run.key in recorded and recorded[run.key].status == "finished"


def _names_notes(runs: Sequence[PlannedRun], suite: Suite, data: Data) -> list[str]:
    """A note for each dataset in which two classes have the same name."""
    scored = dict.fromkeys(target.dataset for run in runs for target in run.spec.targets)
    named = {name: data.split(suite.card(name), "test").class_names for name in scored}
    return [f"{name}: {note}." for name, names in named.items() if (note := repeated_note(names))]


def _planned(
    planner: Planner, specs: Sequence[RunSpec], named: bool
) -> tuple[tuple[PlannedRun, ...], tuple[str, ...], tuple[str, ...]]:
    """The planned runs, a note for each method that is not ready, unless the user named the methods, and the reasons
    why methods failed."""
    runs, left_out, failed = [], dict[str, str](), list[str]()
    for spec in specs:
        try:
            runs.append(planner.plan(spec))
        except NotReadyError as error:
            if named:
                raise
            left_out[spec.method] = f"{spec.method} is left out: {error}"
        except MethodFailedError as error:  # a plugin must not keep the other methods from running
            failed.append(str(error))
    return tuple(runs), tuple(left_out.values()), tuple(failed)


def _workloads(
    runs: Sequence[PlannedRun], recorded: Mapping[str, RecordedRun], suite: Suite, data: Data
) -> dict[str, Workload]:
    """The workload of each run; if several unfinished runs share a training, it counts for the first of them."""
    trained: set[str] = set()
    loads: dict[str, Workload] = {}
    for run in runs:
        loads[run.key] = _workload(run, suite, data, trains=run.train_key not in trained)
        if not _is_finished(run, recorded):
            trained.add(run.train_key)
    return loads


def _workload(run: PlannedRun, suite: Suite, data: Data, trains: bool) -> Workload:
    spec = run.spec
    drawn, _ = data.few_shot(suite.card(spec.dataset), spec.subset, spec.shots, spec.seed or 0)
    scored = 0
    for target in spec.targets:
        card = suite.card(target.dataset)
        classes = len(data.classes(card, "all", "test"))
        scored += len(restrict(data.test(card).labels, target.subset, classes).rows)
    recipe = Recipe(**run.recipe)
    seen = images_seen(recipe, len(drawn.labels)) if trains else 0
    classes = len(data.classes(suite.card(spec.dataset), spec.subset, "train"))
    return Workload(seen, seen // recipe.batch_size * classes, scored)


class Reporter(Protocol):
    """Receives the events of a comparison, to show them."""

    def started(self, run: PlannedRun) -> None:
        """A worker started a run."""

    def epoch(self, run: PlannedRun, curve: Mapping[str, float]) -> None:
        """A run finished an epoch."""

    def finished(self, run: PlannedRun, result: RunResult) -> None:
        """A run is recorded."""

    def failed(self, run: PlannedRun, error: RunFailedError) -> None:
        """A run ended with an error, which is recorded."""

    def taken(self, run: PlannedRun) -> None:
        """Another process began, or recorded, a run since the comparison was planned; it is left to that one."""


def run_comparison(
    comparison: Comparison, launcher: Launcher, record: Record, results: Path, reporter: Reporter
) -> list[tuple[PlannedRun, RunFailedError]]:
    """Run what the record lacks and record each run as it ends; returns the failed runs with their errors.

    Runs that differ only in the seed are scored together, see Schedule. After an interruption, the same call continues
    after the last finished epoch of each run. Several processes may do this at once: a run is claimed just before a
    worker gets it. `results` is the folder of unfinished trainings. Files of a training are removed once its runs are
    recorded and no other process works with them.
    """
    suite = comparison.suite
    parents = record_parents(comparison, record)
    backbone = suite.backbone.architecture or Path(suite.backbone.weights or "").stem
    failures: list[tuple[PlannedRun, RunFailedError]] = []
    ids: dict[str, str] = {}
    missing = comparison.missing()
    sizes = {run.key: comparison.workloads[run.key].passes for run in missing}
    unfinished = Counter(run.train_key for run in missing)
    beaten = time.monotonic()

    def claim(run: PlannedRun) -> bool:
        if run.key in ids:  # it goes to a second worker, as the first one died
            return True
        try:
            ids[run.key] = record.begin(run, parents[run.spec.name], backbone, suite.miniature)
        except RunTakenError:
            unfinished[run.train_key] -= 1
            reporter.taken(run)
            return False
        return True

    with closing(launcher.launch(Schedule(missing, sizes, launcher.workers, claim))) as events:
        for event in events:
            match event:
                case Started(run):
                    reporter.started(run)
                case EpochDone(run, curve):
                    record.log_epochs(ids[run.key], [curve])
                    reporter.epoch(run, curve)
                case Done(run, RunFailedError() as error):
                    failures.append((run, error))
                    record.fail(ids.pop(run.key), error)
                    reporter.failed(run, error)
                case Done(run, RunResult() as result):
                    run_id = ids.pop(run.key)
                    try:
                        record.finish(run_id, result)
                    except ValueError as refused:  # what the method produced makes no sense
                        error = RunFailedError(message_of(refused), "", users_fault=False)
                        failures.append((run, error))
                        record.fail(run_id, error)
                        reporter.failed(run, error)
                        continue
                    comparison.estimator.learn(run.spec.label, asdict(result.cost))
                    reporter.finished(run, result)
                    unfinished[run.train_key] -= 1
                    if not unfinished[run.train_key]:
                        folder = training_folder(results, run)
                        record.release(run, partial(shutil.rmtree, folder, ignore_errors=True))
                case Quiet():
                    pass
            if time.monotonic() - beaten > SECONDS_BETWEEN_HEARTBEATS:
                beaten = time.monotonic()
                for run_id in ids.values():
                    record.heartbeat(run_id)
    return failures


def record_comparison(comparison: Comparison, record: Record) -> str:
    """Record that there is this comparison, on first use.

    Runs of it whose parents were deleted in MLflow's pages get their places in it.

    Returns:
        Its run id.
    """
    parents = record_parents(comparison, record)
    record.adopt(comparison.suite.name, comparison.keys, {str(name): each for name, each in parents.items()})
    return next(iter(parents.values())).comparison


def record_parents(comparison: Comparison, record: Record) -> dict[Label, ParentRuns]:
    """The runs that the runs of each method hang under; created on first use."""
    comparison_id = record.comparison(comparison.suite.name, comparison.key, _description(comparison))
    names = dict.fromkeys(run.spec.name for run in comparison.runs)
    return {name: ParentRuns(comparison_id, record.method_run(comparison_id, name)) for name in names}


def _description(comparison: Comparison) -> str:
    labels = dict.fromkeys(run.spec.label for run in comparison.runs)
    protocols = dict.fromkeys(run.spec.protocol for run in comparison.runs)
    return f"{', '.join(labels)} on {comparison.suite.title}: {', '.join(protocols)}; {len(comparison.runs)} runs"
