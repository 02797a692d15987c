"""How the record speaks to MLflow: experiments, searches, runs and what is logged to them, within MLflow's limits."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.record_store import Store

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

# MLflow's limits on one request and on one value.
BATCH_METRICS = 1000
BATCH_PARAMS = 100
TAG_CHARACTERS = 8000
PAGE_RUNS = 1000

PARENT = "mlflow.parentRunId"
"""MLflow's tag for the run that a run hangs under."""


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
