"""A comparison from end to end: plan the runs, run those that the record lacks, record them, and report events."""

from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from promptarena.benchmark.backbone.accelerations import check_precision
from promptarena.benchmark.backbone.kept_identity import kept_identity
from promptarena.benchmark.backbone.weight_origins import Weights
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.planning.estimates import Estimator, Workload
from promptarena.benchmark.planning.kept_plans import KeptPlan, Plan
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.planning.suites import Suite, load_suite
from promptarena.benchmark.recording.index import RecordedRun
from promptarena.benchmark.recording.record import ParentRuns, Record, StoreAwayError
from promptarena.benchmark.running.bookkeeper import Bookkeeper
from promptarena.benchmark.running.execution import ExecutionConfig
from promptarena.benchmark.running.kept_learners import kept_learners
from promptarena.benchmark.running.launcher import Done, Launcher, Reporter, RunFailedError, Started
from promptarena.benchmark.running.outbox import OUTCOME
from promptarena.benchmark.running.schedule import Schedule

if TYPE_CHECKING:
    from promptarena.benchmark.planning.enumeration import RequestedRuns
    from promptarena.benchmark.plugins.registry import Registry


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
    kept: Mapping[str, RecordedRun] = field(default_factory=dict)
    """By the key of a training, a finished run whose learner is scored again: runs of the training need none."""

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

    def only_scored(self) -> list[PlannedRun]:
        """Runs to run now whose learner is kept, so that they are scored without training."""
        return [run for run in self.missing() if run.train_key in self.kept]

    def seconds(self, run: PlannedRun) -> float:
        """Expected seconds of a run."""
        return self.estimator.seconds(run.spec.label, self.workloads[run.key])

    def _status(self, run: PlannedRun) -> str:
        return self.recorded[run.key].status if run.key in self.recorded else "missing"


@dataclass(frozen=True)
class Planned:
    """A plan, and what it was made of.

    Args:
        plan: The plan.
        place: Where it is kept.
        suite: The suite.
        data: The suite's datasets.
        registry: The known methods, if they were loaded.
    """

    plan: Plan
    place: KeptPlan
    suite: Suite
    data: Data
    registry: "Registry | None" = None


def kept_plan(request: Request, execution: ExecutionConfig) -> Planned | None:
    """The plan of a request, if it was made before and still holds. It needs neither torch nor the methods' code.

    Args:
        request: what the user requests.
        execution: where and how the runs will be carried out.

    Returns:
        The plan; None if it has to be made.

    Raises:
        UserError: the precision or the suite cannot be used.
    """
    check_precision(execution.precision)
    suite = load_suite(execution.suite)
    data = Data(execution.data_root, suite.limit)
    source = suite.backbone
    weights = kept_identity(execution.cache, source.given_architecture, source.given_weights)
    place = _place(request, execution, suite, data, weights)
    plan = place.read()
    return Planned(plan, place, suite, data) if plan else None


def made_plan(request: Request, execution: ExecutionConfig, requested: "RequestedRuns | None" = None) -> Planned:
    """Make the plan of a request, and keep it.

    Args:
        request: what the user requests.
        execution: where and how the runs will be carried out.
        requested: the runs of the request, if they are known.

    Returns:
        The plan.

    Raises:
        UserError: bad input, or missing data or weights.
    """
    from promptarena.benchmark.backbone.loading import identify
    from promptarena.benchmark.planning.enumeration import enumerate_request
    from promptarena.benchmark.planning.make_plan import make_plan

    check_precision(execution.precision)
    requested = requested or enumerate_request(request, execution.suite, execution.plugins)
    suite = requested.suite
    data = Data(execution.data_root, suite.limit)
    source = suite.backbone
    weights = identify(source.given_architecture, source.given_weights, execution.cache)
    plan = make_plan(requested, data, weights, execution.precision)
    place = _place(request, execution, suite, data, weights)
    place.write(plan)
    return Planned(plan, place, suite, data, requested.registry)


def comparison_of(planned: Planned, execution: ExecutionConfig, record: Record) -> Comparison:
    """What of a plan is recorded already.

    Args:
        planned: the plan.
        execution: where and how the runs will be carried out.
        record: the record.

    Returns:
        The comparison.

    Raises:
        UserError: a prompt of a run that is still to run does not fit the backbone's context.
    """
    plan, suite = planned.plan, planned.suite
    recorded = record.index(suite.name)
    fitting = frozenset(plan.fitting)
    unchecked = [run for run in plan.runs if run.key not in fitting and not _is_finished(run, recorded)]
    if unchecked:
        from promptarena.benchmark.planning.contexts import check_prompts
        from promptarena.benchmark.plugins.registry import load_registry

        check_prompts(suite, planned.registry or load_registry(execution.plugins), planned.data, unchecked)
        planned.place.write(replace(plan, fitting=(*plan.fitting, *(run.key for run in unchecked))))
    estimator = Estimator()
    for stored in record.results(suite.name):
        estimator.learn(stored.label, asdict(stored.cost))
    kept, lacking = kept_learners(plan.runs, recorded, record, execution.results)
    repeated = (
        f"{lacking} finished training{'s are' if lacking > 1 else ' is'} repeated: the record does not have the "
        "trained tensors (an older version, or an import without them)."
    )
    notes = (*plan.notes, *([repeated] if lacking else []))
    workloads = _workloads(plan, recorded, kept)
    return Comparison(suite, plan.runs, notes, recorded, workloads, estimator, plan.failed, kept)


def plan_comparison(request: Request, execution: ExecutionConfig, record: Record) -> Comparison:
    """Everything about a comparison that can be known before anything is computed.

    Args:
        request: what the user requests.
        execution: where and how the runs will be carried out.
        record: says what of them is already there.

    Returns:
        The comparison.

    Raises:
        UserError: bad input, or missing data or weights.
    """
    planned = kept_plan(request, execution) or made_plan(request, execution)
    return comparison_of(planned, execution, record)


def _place(request: Request, execution: ExecutionConfig, suite: Suite, data: Data, weights: Weights | None) -> KeptPlan:
    return KeptPlan.of(
        request,
        suite,
        data,
        weights=weights,
        precision=execution.precision,
        cache=execution.cache,
        plugins=execution.plugins,
    )


def _is_finished(run: PlannedRun, recorded: Mapping[str, RecordedRun]) -> bool:
    return run.key in recorded and recorded[run.key].status == "finished"


def _workloads(plan: Plan, recorded: Mapping[str, RecordedRun], kept: Collection[str]) -> dict[str, Workload]:
    """The workload of each run; if several unfinished runs share a training, it counts for the first of them, and not
    at all if its learner is `kept`."""
    trained = set(kept)
    loads: dict[str, Workload] = {}
    for run in plan.runs:
        load = plan.workloads[run.key]
        loads[run.key] = load.without_training() if run.train_key in trained else load
        if not _is_finished(run, recorded):
            trained.add(run.train_key)
    return loads


def run_comparison(
    comparison: Comparison, launcher: Launcher, record: Record, results: Path, reporter: Reporter
) -> list[tuple[PlannedRun, RunFailedError]]:
    """Run what the record lacks and record each run as it ends.

    Runs that differ only in the seed are scored together, see Schedule. After an interruption, the same call continues
    after the last finished epoch of each run, and takes the results that wait in the outbox. Several processes may do
    this at once: a run is claimed just before a worker gets it. Files of a training are removed once its runs are
    recorded and no other process works with them.

    Args:
        comparison: The comparison.
        launcher: Carries out the runs.
        record: The record.
        results: The folder of unfinished trainings and of the outbox.
        reporter: Shows the events.

    Returns:
        The failed runs with their errors.

    Raises:
        UserError: The record fails. When its server does not answer for minutes, no more runs are begun; what comes of
            the others is kept in the outbox.
    """
    parents, missing = record_parents(comparison, record), comparison.missing()
    keeper = Bookkeeper(
        comparison.suite, missing, comparison.kept, parents, record, results, comparison.estimator, reporter
    )
    left = []
    there = keeper.outbox.files()
    for run in missing:
        outcome = keeper.outbox.outcome(run.key) if f"{run.key}{OUTCOME}" in there else None
        if outcome is None:
            left.append(run)
        elif keeper.claim(run):
            keeper.handle(Started(run))
            keeper.handle(Done(run, outcome))
    sizes = {run.key: comparison.workloads[run.key].passes for run in left}
    with closing(launcher.launch(Schedule(left, sizes, launcher.workers, keeper.claim))) as events:
        for event in events:
            keeper.handle(event)
    if keeper.waiting is not None:
        raise StoreAwayError(
            f"the record at {record.shown} does not answer any more; {keeper.waiting} results wait in "
            f"{results / 'outbox'}, and the same command records them once it answers"
        )
    return keeper.failures


def launch_preview(comparison: Comparison, launcher: Launcher) -> tuple[str, ...]:
    """What a launcher would do with the missing runs, in lines for people to read; nothing is started."""
    missing = comparison.missing()
    sizes = {run.key: comparison.workloads[run.key].passes for run in missing}
    return launcher.preview(Schedule(missing, sizes, launcher.workers), comparison.seconds)


def record_comparison(comparison: Comparison, record: Record) -> str:
    """Record that there is this comparison, on first use.

    Runs of it whose parents were deleted in MLflow's pages get their places in it.

    Returns:
        Its run id.
    """
    parents = {str(name): each for name, each in record_parents(comparison, record).items()}
    record.adopt(comparison.suite.name, comparison.keys, parents.__getitem__)
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
