"""Reading the record: which runs there are, what came out of them, and their artifacts."""

import json
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Overrides
from promptarena.benchmark.core.runs import PlannedRun, RunResult, StoredResult
from promptarena.benchmark.recording import names
from promptarena.benchmark.recording.access import StoreAccess
from promptarena.benchmark.recording.index import results_of
from promptarena.benchmark.recording.mlflow_view import VIEW_TAG, view_address
from promptarena.benchmark.recording.schema import (
    GARBLED,
    curves_of,
    environment_of,
    garbled,
    lacks_overrides,
    planned_run,
    scores_of,
    unscored_of,
)


class Recalled(NamedTuple):
    """A finished run as it was recorded.

    Attributes:
        planned: Its plan.
        result: What came out, without files.
        started_at: When it began.
    """

    planned: PlannedRun
    result: RunResult
    started_at: datetime


class RunReader:
    """Reads from a store what came out of runs; it writes nothing."""

    def __init__(self, access: StoreAccess) -> None:
        self._access = access
        self._artifact_uris: dict[str, str] = {}

    def views(self) -> dict[str, str]:
        """The pages of MLflow that show the methods of a suite with their headline means.

        Returns:
            For each suite that has tables, by name, the page's address below that of MLflow's server.

        Raises:
            UserError: The record cannot be read.
        """
        with self._access.explained("read the record"):
            experiments = self._access.reader.experiments("promptarena/")
        return {
            experiment.name.removeprefix("promptarena/"): view_address(experiment.experiment_id)
            for experiment in experiments
            if VIEW_TAG in experiment.tags
        }

    def results(self, suite: str, keys: Collection[str] | None = None) -> list[StoredResult]:
        """The newest finished run of every key.

        Args:
            suite: The suite's name.
            keys: The keys of the requested runs; None: all.

        Returns:
            A result for each key, that of the oldest run first.

        Raises:
            UserError: The record cannot be read, or a finished run in it is damaged.
        """
        with self._access.explained("read the record"):
            experiment = self._access.find_experiment(suite)
            runs = self._access.reader.search(experiment, status="FINISHED") if experiment else []
        self._artifact_uris |= {run.info.run_id: run.info.artifact_uri for run in runs}
        requested = None if keys is None else set(keys)
        results = results_of(
            run for run in runs if requested is None or run.data.tags.get(names.RUN_KEY.name) in requested
        )
        lacking = {run.info.run_id for run in runs if lacks_overrides(run)}
        return [
            replace(result, overrides=self._planned_overrides(result.run_id)) if result.run_id in lacking else result
            for result in results
        ]

    def recall(self, run_id: str) -> Recalled:
        """The plan and the result of a finished run, as they were recorded.

        Args:
            run_id: The run's id.

        Returns:
            Plan, result and start.

        Raises:
            UserError: The run cannot be read, or its artifacts are damaged.
        """
        with self._access.explained(f"read run {run_id}"):
            run = self._access.reader.run(run_id)
            plan, scores, environment = (
                self.content(run_id, name) for name in (names.PLAN_FILE, names.SCORES_FILE, names.ENVIRONMENT_FILE)
            )
            points = [
                (name.removeprefix(names.CURVES), step, value)
                for name, step, value in self._access.reader.history(run_id, names.CURVES)
            ]
        try:
            return Recalled(
                planned_run(json.loads(plan)),
                RunResult(
                    scores=scores_of(json.loads(scores)),
                    cost=names.cost_of(run.data.metrics),
                    curves=curves_of(points),
                    unscored=unscored_of(run.data.tags),
                    environment=environment_of(json.loads(environment)),
                ),
                datetime.fromtimestamp(run.info.start_time / 1000, UTC),
            )
        except GARBLED as error:
            raise UserError(
                f"the artifacts of run {run_id} lack or garble {garbled(error)}; "
                "delete it in MLflow to have it run again"
            ) from error

    def _planned_overrides(self, run_id: str) -> Overrides:
        """What the user changed, from the run's plan."""
        plan = self.content(run_id, names.PLAN_FILE)
        try:
            return planned_run(json.loads(plan)).spec.overrides
        except GARBLED as error:
            raise UserError(
                f"{names.PLAN_FILE} of run {run_id} lacks or garbles {garbled(error)}; "
                "delete it in MLflow to have it run again"
            ) from error

    def artifacts(self, run_id: str) -> frozenset[str]:
        """List the artifacts of a run.

        Args:
            run_id: The run's id.

        Returns:
            The names of those in the top folder.

        Raises:
            UserError: The record cannot be read.
        """
        with self._access.explained(f"list the artifacts of run {run_id}"):
            return self._access.reader.artifacts(self._artifact_uri(run_id))

    def artifact(self, run_id: str, name: str, folder: Path) -> Path:
        """Copy an artifact of a run.

        Args:
            run_id: The run's id.
            name: The artifact's name, such as "learned.safetensors".
            folder: Where the copy goes; created if missing.

        Returns:
            The path of the copy.

        Raises:
            UserError: There is no such artifact, or it cannot be copied.
        """
        with self._access.explained(f"fetch {name} of run {run_id}"):
            folder.mkdir(parents=True, exist_ok=True)
            return self._access.reader.fetch(self._artifact_uri(run_id), name, folder)

    def content(self, run_id: str, name: str) -> bytes:
        """The content of an artifact of a run.

        Args:
            run_id: The run's id.
            name: The artifact's name, such as "config.json".

        Returns:
            Its bytes.

        Raises:
            UserError: There is no such artifact, or it cannot be read.
        """
        with self._access.explained(f"fetch {name} of run {run_id}"):
            return self._access.reader.content(self._artifact_uri(run_id), name)

    def _artifact_uri(self, run_id: str) -> str:
        if run_id not in self._artifact_uris:
            self._artifact_uris[run_id] = self._access.reader.run(run_id).info.artifact_uri
        return self._artifact_uris[run_id]
