"""Access to an MLflow store: its client, its experiments, and the requests that several parts of a record make."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording.schema import TAG_CHARACTERS
from promptarena.benchmark.recording.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

# MLflow's limits on one request.
BATCH_METRICS = 1000
BATCH_PARAMS = 100
NAME_CHARACTERS = 250


class StoreAccess:
    """A store with an experiment for each suite.

    Attributes:
        store: The store.
        reader: Reads it.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reader = store.reader
        self._experiments: dict[str, str] = {}

    @property
    def client(self) -> "MlflowClient":
        """MLflow's client for the store, for writing. Its import takes seconds, so it is made at first use."""
        return self.store.client

    @contextmanager
    def explained(self, action: str) -> Iterator[None]:
        """A context in which the store's errors become one line.

        Args:
            action: What is done, for the line "cannot `action`: ...".

        Raises:
            UserError: The store fails inside the context.
        """
        with self.store.explained(action):
            yield

    @contextmanager
    def locked(self, action: str) -> Iterator[None]:
        """`explained` while no other process on this results folder or server writes.

        Args:
            action: What is done, for the line "cannot `action`: ...".

        Raises:
            UserError: The store fails inside the context, or another process keeps the lock for minutes.
        """
        with self.explained(action), self.store.lock, self.store.server_lock:
            yield

    def find_experiment(self, suite: str) -> str | None:
        """The experiment of a suite.

        Args:
            suite: The suite's name.

        Returns:
            The experiment's id; None when nothing of the suite is recorded.

        Raises:
            UserError: The experiment was deleted in MLflow.
        """
        if suite not in self._experiments:
            name = f"promptarena/{suite}"
            experiment = self.reader.experiment(name)
            if experiment is None:
                return None
            if not experiment.active:
                raise UserError(
                    f"the MLflow experiment {name} was deleted; restore it with "
                    f"'mlflow experiments restore -x {experiment.experiment_id}', or choose another results folder"
                )
            self._experiments[suite] = experiment.experiment_id
        return self._experiments[suite]

    def experiment(self, suite: str) -> str:
        """The experiment of a suite, created if missing; call it in `locked`.

        Args:
            suite: The suite's name.

        Returns:
            The experiment's id.

        Raises:
            UserError: The experiment was deleted in MLflow.
        """
        found = self.find_experiment(suite)
        if found is None:
            found = self.client.create_experiment(f"promptarena/{suite}", artifact_location=self.store.artifacts)
            self._experiments[suite] = found
        return found

    def create(self, experiment: str, tags: Mapping[str, str], name: str, started_at: datetime | None = None) -> str:
        """Create a run, which is RUNNING.

        Args:
            experiment: The id of its experiment.
            tags: Its first tags.
            name: Its name in MLflow's lists.
            started_at: When it began; None: now.

        Returns:
            The run's id.
        """
        start = milliseconds(started_at)
        created = self.client.create_run(experiment, start_time=start, tags=dict(tags), run_name=name[:NAME_CHARACTERS])
        return str(created.info.run_id)

    def log(
        self,
        run_id: str,
        metrics: Sequence["Metric"] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Store values of a run, in as few requests as MLflow's limits allow.

        Args:
            run_id: The run's id.
            metrics: Its metrics.
            params: Its params.
            tags: Its tags; a text past MLflow's limit is cut.
        """
        from mlflow.entities import Param, RunTag

        all_params = [Param(name, value) for name, value in (params or {}).items()]
        all_tags = [RunTag(name, value[:TAG_CHARACTERS]) for name, value in (tags or {}).items()]
        self.client.log_batch(run_id, metrics[:BATCH_METRICS], all_params[:BATCH_PARAMS], all_tags, synchronous=True)
        for start in range(BATCH_METRICS, len(metrics), BATCH_METRICS):
            self.client.log_batch(run_id, metrics[start : start + BATCH_METRICS], synchronous=True)
        for start in range(BATCH_PARAMS, len(all_params), BATCH_PARAMS):
            self.client.log_batch(run_id, params=all_params[start : start + BATCH_PARAMS], synchronous=True)

    def log_files(self, run_id: str, files: Mapping[str, bytes | Path], folder: str | None = None) -> None:
        """Store artifacts of a run.

        Args:
            run_id: The run's id.
            files: The artifacts by name: their content, or a file to copy.
            folder: The folder of the run's artifacts in which they are stored; None: the top one.
        """
        if not files:
            return
        with tempfile.TemporaryDirectory() as temporary:
            for name, content in files.items():
                path = Path(temporary) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, bytes):
                    path.write_bytes(content)
                else:
                    shutil.copyfile(content, path)
            self.client.log_artifacts(run_id, temporary, folder)


def json_of(value: Any) -> str:
    """A document as the artifacts have it: indented JSON; a value that JSON has no form for becomes its text."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def milliseconds(moment: datetime | None = None) -> int:
    """A moment as MLflow counts it.

    Args:
        moment: The moment; None: now.

    Returns:
        Milliseconds since the epoch.
    """
    return round(moment.timestamp() * 1000) if moment else int(time.time() * 1000)
