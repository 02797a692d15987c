"""The record: one MLflow store holds every run, its curves, its scores and the tables made from them.

Runs form a hierarchy, comparison -> method -> run, in one experiment per suite.
"""

import os
from pathlib import Path

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording.reading import Recalled
from promptarena.benchmark.recording.runs import Imported, ParentRuns, RecordRuns
from promptarena.benchmark.recording.store import open_store
from promptarena.benchmark.recording.tables import RecordTables

__all__ = ["Imported", "ParentRuns", "Recalled", "Record"]


class Record(RecordRuns, RecordTables):
    """Reads and writes runs. Open one per process with `Record.open`; it is not meant to be shared by threads.

    Every method raises UserError when the store fails: disk full, server gone, database locked for minutes.
    """

    @classmethod
    def open(cls, results: Path, tracking_uri: str | None = None) -> "Record":
        """The record at `tracking_uri`, else $MLFLOW_TRACKING_URI, else in the folder `results` (made if missing).

        A new store takes some seconds. Raises UserError when the store cannot be reached, read or written.
        """
        return cls(open_store(results, tracking_uri))

    @classmethod
    def open_existing(cls, results: Path, tracking_uri: str | None = None) -> "Record":
        """`open`, where there is a record: raises UserError, making nothing, for a look at the wrong folder."""
        elsewhere = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        if not elsewhere and not (results / "mlflow.db").exists():
            raise UserError(f"no record in {results}; run promptarena compare first, or name its folder with --results")
        return cls.open(results, tracking_uri)

    @property
    def uri(self) -> str:
        """The tracking URI, as MLflow takes it."""
        return self._store.uri
