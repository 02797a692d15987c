"""Where a record is."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RecordPlace:
    """Where the user keeps a record: a folder on this machine, and the MLflow store if that is not in the folder.

    Attributes:
        results: The folder of the record, its artifacts and unfinished trainings.
        tracking_uri: The address of another MLflow store; None: that of MLFLOW_TRACKING_URI, if it is set.
    """

    results: Path
    tracking_uri: str | None = None

    @property
    def database(self) -> Path:
        """The record's file, unless another store is named."""
        return self.results.absolute() / "mlflow.db"

    @property
    def elsewhere(self) -> str | None:
        """The address of the store that is used instead of the folder's own; None: the folder's own is used."""
        return self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or None
