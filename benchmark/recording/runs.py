"""Writing runs: begun, followed epoch by epoch, and finished or failed.

A run is RUNNING from `begin` on; all it produced is written before it becomes FINISHED, and only FINISHED runs count.
"""

import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import PlannedRun, RunResult, Target
from promptarena.benchmark.recording import names
from promptarena.benchmark.recording.access import StoreAccess, json_of, milliseconds
from promptarena.benchmark.recording.index import RecordedRun, RunIndex
from promptarena.benchmark.recording.mlflow_view import begin_model, end_model, log_datasets, measured_on
from promptarena.benchmark.recording.owner import Owner
from promptarena.benchmark.recording.predictions import check_predictions, prediction_files, prediction_tags
from promptarena.benchmark.recording.readers import Run
from promptarena.benchmark.recording.schema import (
    TAG_CHARACTERS,
    check_result,
    metrics_of,
    params_of,
    plan_document,
    run_name,
    scores_document,
    tags_of,
    unscored_tags,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient


class ParentRuns(NamedTuple):
    """The MLflow runs that a run hangs under.

    Attributes:
        comparison: The id of its comparison.
        method: The id of its method in that comparison.
    """

    comparison: str
    method: str


class Imported(NamedTuple):
    """Where a run that was made in another record comes from.

    Attributes:
        run_id: Its id there.
        started_at: When it began.
        finished_at: When it ended.
        duplicates: The number of other finished runs of its key there.
    """

    run_id: str
    started_at: datetime
    finished_at: datetime
    duplicates: int


class RunTakenError(UserError):
    """Another process runs a run already, or has finished it."""


class RunWriter:
    """Writes runs as they go."""

    def __init__(self, access: StoreAccess, index: RunIndex) -> None:
        self._access = access
        self._index = index
        self._curve_steps: dict[tuple[str, str], set[int]] = {}

    @property
    def _client(self) -> "MlflowClient":
        return self._access.client

    def begin(
        self,
        planned: PlannedRun,
        parents: ParentRuns,
        backbone_name: str,
        miniature: bool,
        imported: Imported | None = None,
    ) -> str:
        """Claim a planned run for this process; its run is RUNNING from now on.

        An interrupted or failed run with the plan's key is taken up again, otherwise a new one is made. An imported run
        takes up only an interrupted import. The store decides, under its lock, as other processes may claim it too.

        Args:
            planned: The planned run.
            parents: The runs that it hangs under.
            backbone_name: The backbone's name in tables.
            miniature: Whether the suite is a miniature one.
            imported: Where the run comes from, if it was made elsewhere.

        Returns:
            The run's id.

        Raises:
            RunTakenError: A living process runs it, or it is finished.
            UserError: The store fails.
        """
        spec = planned.spec
        tags = begun_tags(planned, parents, backbone_name, miniature, imported)
        origin = imported.run_id if imported else ""
        params = params_of(planned)
        with self._access.locked(f"record {run_name(spec)}"):
            tags |= Owner.current(self._access.store.now).tags()
            experiment = self._access.experiment(spec.suite)
            recorded = self._index.of_key(experiment, planned.key)
            run = self._resumable(recorded) if recorded else None
            if run and names.IMPORTED_FROM.read(run.data.tags) == origin:
                run_id = run.info.run_id
                self._client.update_run(run_id, status="RUNNING")
                if names.ERROR.name in run.data.tags:
                    self._client.delete_tag(run_id, names.ERROR.name)
                params = {name: value for name, value in params.items() if name not in run.data.params}
            else:
                run_id = self._access.create(
                    experiment,
                    first_tags(planned, imported),
                    run_name(spec),
                    imported.started_at if imported else None,
                )
            self._access.log(run_id, params=params, tags=tags)
            log_datasets(self._client, run_id, planned)
            self._access.log_files(run_id, plan_file(planned))
        self._curve_steps = {known: steps for known, steps in self._curve_steps.items() if known[0] != run_id}
        return run_id

    def heartbeat(self, run_id: str) -> None:
        """Show other hosts that this process still runs a run. Needed when minutes pass without an epoch.

        Args:
            run_id: The run's id.

        Raises:
            UserError: The store fails.
        """
        with self._access.explained("record a sign of life"):
            heartbeat = names.OWNER_HEARTBEAT
            self._client.set_tag(run_id, heartbeat.name, heartbeat.text(self._access.store.now()))

    def log_epochs(self, run_id: str, rows: Sequence[Mapping[str, float]]) -> None:
        """Store curves. Rows that are stored already are skipped, so a resumed run may offer all of its rows again.

        Args:
            run_id: The run's id.
            rows: A row per epoch: its number, from 1, under "epoch", and values by name.

        Raises:
            UserError: The store fails.
        """
        from mlflow.entities import Metric

        now = milliseconds()
        with self._access.explained("record the curves"):
            metrics = [
                Metric(f"{names.CURVES}{name}", float(value), now, int(row["epoch"]))
                for row in rows
                for name, value in row.items()
                if name != "epoch" and int(row["epoch"]) not in self._steps(run_id, f"{names.CURVES}{name}")
            ]
            if metrics:
                self._access.log(run_id, metrics=metrics, tags=names.OWNER_HEARTBEAT.of(self._access.store.now()))
        for metric in metrics:
            self._curve_steps[run_id, metric.key].add(metric.step)

    def finish(
        self, run_id: str, result: RunResult, finished_at: datetime | None = None, planned: PlannedRun | None = None
    ) -> None:
        """Store everything that a run produced, then mark it FINISHED.

        Args:
            run_id: The run's id.
            result: What came out.
            finished_at: When it ended, for an imported run; None: now.
            planned: The run; with it, its learner is a logged model of MLflow's, too.

        Raises:
            ValueError: Scores or costs make no sense (no images, more right than seen, NaN), or the predictions are not
                those that were counted; nothing is stored.
            UserError: The store fails.
        """
        from mlflow.entities import Metric

        check_result(result)
        check_predictions(result)
        self.log_epochs(run_id, result.curves)
        now = milliseconds()
        with self._access.explained("record the result"):
            self._log_files(run_id, result)
            model_id = self._model(run_id, planned) if planned else None
            measured = measured_on(planned, result) if planned else {}
            metrics = [
                Metric(name, value, now, 0, model_id, measured[name].name, measured[name].digest)
                if name in measured
                else Metric(name, value, now, 0)
                for name, value in metrics_of(result).items()
            ]
            digests = {name: sha256(content).hexdigest() for name, content in sorted(result.files.items())}
            tags = {**unscored_tags(result), **prediction_tags(result.predictions), **names.FILES.of(digests)}
            self._access.log(run_id, metrics=metrics, tags=tags)
            if model_id:
                end_model(self._client, run_id, model_id)
            self._client.set_terminated(run_id, "FINISHED", milliseconds(finished_at))

    def add_predictions(self, run_id: str, predictions: Mapping[Target, bytes]) -> None:
        """Add predictions to a finished run that has none.

        Args:
            run_id: The run's id.
            predictions: As in `RunResult`; they must be those that the run's scores count.

        Raises:
            UserError: The store fails.
        """
        with self._access.explained("record the predictions"):
            self._access.log_files(run_id, prediction_files(predictions))
            self._access.log(run_id, tags=prediction_tags(predictions))

    def fail(self, run_id: str, error: BaseException) -> None:
        """Mark a run FAILED, with the error's line as a tag and its traceback as an artifact.

        Args:
            run_id: The run's id.
            error: What ended it.

        Raises:
            UserError: The store fails.
        """
        line = " ".join(f"{type(error).__name__}: {error}".split())[:TAG_CHARACTERS]
        with self._access.explained("record the failure"):
            self._client.log_text(run_id, "".join(traceback.format_exception(error)), names.TRACEBACK_FILE)
            self._client.set_tag(run_id, names.ERROR.name, line)
            self._client.set_terminated(run_id, "FAILED")

    def release(self, planned: PlannedRun, remove: Callable[[], None]) -> None:
        """Remove what a training left on this machine, unless another process works with it.

        Args:
            planned: A run of the training, none of whose runs this process needs any more.
            remove: Removes it; called while no other process can claim a run.

        Raises:
            UserError: The store fails.
        """
        with self._access.locked("read the record"):
            experiment = self._access.experiment(planned.spec.suite)
            runs = self._access.reader.search(experiment, (names.TRAIN_KEY, planned.train_key), status="RUNNING")
            owners = [owner for run in runs if (owner := Owner.of(run.data.tags))]
            if not any(not owner.is_me() and owner.alive(self._access.store.now) for owner in owners):
                remove()

    def adopt(self, suite: str, keys: Collection[str], parents: Callable[[str], ParentRuns]) -> None:
        """Hang runs under other parents whose own parent was deleted in MLflow's pages.

        Args:
            suite: The suite's name.
            keys: The keys of the runs; others are left as they are.
            parents: Gives the parents of the runs with a label; asked only for such runs.

        Raises:
            UserError: The store fails.
        """
        with self._access.locked("record the comparison"):
            runs = self._access.reader.search(self._access.experiment(suite))
            present = {run.info.run_id for run in runs}
            for run in runs:
                tags = run.data.tags
                if tags.get(names.RUN_KEY.name) in keys and tags.get(names.PARENT.name) not in present:
                    comparison, method = parents(names.LABEL.read(tags))
                    changed = {**names.COMPARISON.of(comparison), **names.PARENT.of(method)}
                    self._access.log(run.info.run_id, tags=changed)

    def _resumable(self, recorded: RecordedRun) -> Run:
        """The run to take up. Raises RunTakenError where there is none."""
        run = self._access.reader.run(recorded.run_id)
        owner = Owner.of(run.data.tags)
        if recorded.status == "finished":
            raise RunTakenError(f"{run.info.run_name} was recorded by another process; nothing is left to do")
        if run.info.status == "RUNNING" and owner and not owner.is_me() and owner.alive(self._access.store.now):
            raise RunTakenError(
                f"{run.info.run_name} is run by process {owner.pid} on {owner.host} already; wait for it, or stop it"
            )
        return run

    def _steps(self, run_id: str, metric: str) -> set[int]:
        if (run_id, metric) not in self._curve_steps:
            history = self._client.get_metric_history(run_id, metric)
            self._curve_steps[run_id, metric] = {point.step for point in history}
        return self._curve_steps[run_id, metric]

    def _model(self, run_id: str, planned: PlannedRun) -> str:
        return begin_model(self._client, self._access.experiment(planned.spec.suite), run_id, planned)

    def _log_files(self, run_id: str, result: RunResult) -> None:
        written = result_documents(result)
        self._access.log_files(run_id, {**written, **result.files, **prediction_files(result.predictions)})


def first_tags(planned: PlannedRun, imported: Imported | None) -> dict[str, str]:
    """The tags that a run has from the moment it is there, by which another process finds it."""
    origin = imported.run_id if imported else ""
    return {**names.LEVEL.of("run"), **names.RUN_KEY.of(planned.key), **names.IMPORTED_FROM.of(origin)}


def begun_tags(
    planned: PlannedRun, parents: ParentRuns, backbone_name: str, miniature: bool, imported: Imported | None
) -> dict[str, str]:
    """The tags of a run from its plan, without its owner; see `RunWriter.begin`."""
    return {
        **tags_of(planned.spec, backbone_name, miniature),
        **names.RUN_KEY.of(planned.key),
        **names.TRAIN_KEY.of(planned.train_key),
        **names.COMPARISON.of(parents.comparison),
        **names.PARENT.of(parents.method),
        **names.OWN_SPLITS.of(tuple(planned.provenance.get("own_splits", ()))),
        **names.IMPORTED_DUPLICATES.of(imported.duplicates if imported else 0),
    }


def plan_file(planned: PlannedRun) -> dict[str, bytes]:
    """The artifact that holds a run's plan, by its name."""
    return {names.PLAN_FILE: json_of(plan_document(planned)).encode()}


def result_documents(result: RunResult) -> dict[str, bytes]:
    """The artifacts that hold what came out of a run, by name; its files and predictions are others."""
    scores = scores_document(result.scores)
    documents = {names.ENVIRONMENT_FILE: dict(result.environment), names.SCORES_FILE: scores}
    return {name: json_of(document).encode() for name, document in documents.items()}
