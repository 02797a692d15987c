"""Reading the record: which runs there are, what came out of them, and their artifacts."""

import json
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Overrides
from promptarena.benchmark.core.runs import PlannedRun, RunResult, StoredResult
from promptarena.benchmark.recording import names
from promptarena.benchmark.recording.index import RecordedRun, index_of, results_of
from promptarena.benchmark.recording.mlflow_view import VIEW_TAG, view_address
from promptarena.benchmark.recording.schema import (
    TAG_CHARACTERS,
    curves_of,
    lacks_overrides,
    planned_run,
    scores_of,
    unscored_of,
)
from promptarena.benchmark.recording.store import Store, explained

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

# MLflow's limits on one request and on one value.
BATCH_METRICS = 1000
BATCH_PARAMS = 100
PAGE_RUNS = 1000


class RecordAccess:
    """A store, one experiment per suite in it. Those who write hold the store's lock."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._client = store.client
        self._experiments: dict[str, str] = {}

    def _find_experiment(self, suite: str) -> str | None:
        if suite not in self._experiments:
            name = f"promptarena/{suite}"
            experiment = self._client.get_experiment_by_name(name)
            if experiment is None:
                return None
            if experiment.lifecycle_stage != "active":
                raise UserError(
                    f"the MLflow experiment {name} was deleted; restore it with "
                    f"'mlflow experiments restore -x {experiment.experiment_id}', or choose another results folder"
                )
            self._experiments[suite] = experiment.experiment_id
        return self._experiments[suite]

    def _experiment(self, suite: str) -> str:
        """Experiment id, made if missing; the caller holds the lock."""
        found = self._find_experiment(suite)
        if found is None:
            found = self._client.create_experiment(f"promptarena/{suite}", artifact_location=self._store.artifacts)
            self._experiments[suite] = found
        return found

    def _search(self, experiment: str, condition: str = "") -> list["Run"]:
        runs: list[Run] = []
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [experiment], condition, max_results=PAGE_RUNS, order_by=["attributes.start_time ASC"], page_token=token
            )
            runs.extend(page)
            token = page.token
            if not token:
                return runs

    def _create(self, experiment: str, tags: Mapping[str, str], name: str, started_at: datetime | None = None) -> str:
        start = milliseconds(started_at)
        return run_id_of(self._client.create_run(experiment, start_time=start, tags=dict(tags), run_name=name))

    def _log(
        self,
        run_id: str,
        metrics: Sequence["Metric"] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Param, RunTag

        all_params = [Param(name, value) for name, value in (params or {}).items()]
        all_tags = [RunTag(name, value[:TAG_CHARACTERS]) for name, value in (tags or {}).items()]
        self._client.log_batch(run_id, metrics[:BATCH_METRICS], all_params[:BATCH_PARAMS], all_tags, synchronous=True)
        for start in range(BATCH_METRICS, len(metrics), BATCH_METRICS):
            self._client.log_batch(run_id, metrics[start : start + BATCH_METRICS], synchronous=True)
        for start in range(BATCH_PARAMS, len(all_params), BATCH_PARAMS):
            self._client.log_batch(run_id, params=all_params[start : start + BATCH_PARAMS], synchronous=True)


def run_id_of(run: "Run") -> str:
    """The id of an MLflow run."""
    return str(run.info.run_id)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, its folder made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def json_of(value: Any) -> str:
    """A document as the artifacts have it."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def milliseconds(moment: datetime | None = None) -> int:
    """A moment (default: now) as MLflow counts it, since the epoch."""
    return round(moment.timestamp() * 1000) if moment else int(time.time() * 1000)


class Recalled(NamedTuple):
    """What a finished run was planned as, what came out (without files), and when it began."""

    planned: PlannedRun
    result: RunResult
    started_at: datetime


class RecordReading(RecordAccess):
    """What a record tells; nothing here writes."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._indices: dict[str, dict[str, RecordedRun]] = {}
        self._artifact_uris: dict[str, str] = {}

    def views(self) -> dict[str, str]:
        """For each suite that has tables the address, below that of MLflow's server, of its methods and headlines."""
        with explained("read the record"):
            experiments = self._client.search_experiments(filter_string="name LIKE 'promptarena/%'")
        return {
            experiment.name.removeprefix("promptarena/"): view_address(experiment.experiment_id)
            for experiment in experiments
            if VIEW_TAG in experiment.tags
        }

    def index(self, suite: str) -> dict[str, RecordedRun]:
        """Every recorded run of the suite by its key, in one reading; `begin` relies on the latest one."""
        with explained("read the record"):
            experiment = self._find_experiment(suite)
            self._indices[suite] = index_of(self._search(experiment)) if experiment else {}
        return dict(self._indices[suite])

    def results(self, suite: str, keys: Collection[str] | None = None) -> list[StoredResult]:
        """The newest finished run of every key (of `keys`, when given), oldest first, in one reading."""
        with explained("read the record"):
            experiment = self._find_experiment(suite)
            runs = self._search(experiment, "attributes.status = 'FINISHED'") if experiment else []
        self._artifact_uris |= {run_id_of(run): run.info.artifact_uri for run in runs}
        requested = None if keys is None else set(keys)
        results = results_of(
            run for run in runs if requested is None or run.data.tags.get(names.RUN_KEY.name) in requested
        )
        lacking = {run_id_of(run) for run in runs if lacks_overrides(run)}
        return [
            replace(result, overrides=self._planned_overrides(result.run_id)) if result.run_id in lacking else result
            for result in results
        ]

    def recall(self, run_id: str) -> Recalled:
        """The plan and the result of a finished run, as `begin` and `finish` got them. Raises UserError when its
        artifacts are damaged."""
        with explained(f"read run {run_id}"), tempfile.TemporaryDirectory() as folder:
            run = self._client.get_run(run_id)
            plan, scores, environment = (
                self.artifact(run_id, name, Path(folder)).read_text()
                for name in (names.PLAN_FILE, names.SCORES_FILE, names.ENVIRONMENT_FILE)
            )
            points = [
                (name.removeprefix(names.CURVES), point.step, point.value)
                for name in sorted(run.data.metrics)
                if name.startswith(names.CURVES)
                for point in self._client.get_metric_history(run_id, name)
            ]
        try:
            return Recalled(
                planned_run(json.loads(plan)),
                RunResult(
                    scores=scores_of(json.loads(scores)),
                    cost=names.cost_of(run.data.metrics),
                    curves=curves_of(points),
                    unscored=unscored_of(run.data.tags),
                    environment=json.loads(environment),
                ),
                datetime.fromtimestamp(run.info.start_time / 1000, UTC),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"the artifacts of run {run_id} lack or garble {error}; delete it in MLflow to have it run again"
            ) from error

    def _planned_overrides(self, run_id: str) -> Overrides:
        """What the user changed, from the run's plan."""
        with tempfile.TemporaryDirectory() as folder:
            plan = self.artifact(run_id, names.PLAN_FILE, Path(folder)).read_text()
        try:
            return planned_run(json.loads(plan)).spec.overrides
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{names.PLAN_FILE} of run {run_id} lacks or garbles {error}; delete it in MLflow to have it run again"
            ) from error

    def artifacts(self, run_id: str) -> frozenset[str]:
        """The names of the run's artifacts."""
        with explained(f"list the artifacts of run {run_id}"):
            return frozenset(file.path for file in self._client.list_artifacts(run_id))

    def artifact(self, run_id: str, name: str, folder: Path) -> Path:
        """Copy the run's artifact `name` (e.g. "learned.safetensors") into `folder`, made if missing; the path of the
        copy."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with explained(f"fetch {name} of run {run_id}"):
            uri = self._artifact_uris.get(run_id) or self._client.get_run(run_id).info.artifact_uri
            artifacts: Any = get_artifact_repository(uri, self._store.uri)
            folder.mkdir(parents=True, exist_ok=True)
            return Path(artifacts.download_artifacts(name, str(folder)))
