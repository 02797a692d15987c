"""The record: one MLflow store holds every run, its curves, its scores and the tables made from them.

Runs form a hierarchy, comparison -> method -> run, in one experiment per suite.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.runs import PlannedRun, RunResult, StoredResult, Target
from promptarena.benchmark.recording.access import StoreAccess
from promptarena.benchmark.recording.faults import StoreAwayError
from promptarena.benchmark.recording.index import RecordedRun, RunIndex
from promptarena.benchmark.recording.place import RecordPlace
from promptarena.benchmark.recording.reading import Recalled, RunReader
from promptarena.benchmark.recording.runs import Imported, ParentRuns, RunTakenError, RunWriter
from promptarena.benchmark.recording.store import Store, open_store
from promptarena.benchmark.recording.tables import TableWriter

__all__ = ["Imported", "ParentRuns", "Recalled", "Record", "RecordPlace", "RunTakenError", "StoreAwayError"]


class Record:
    """Reads and writes runs. Open one per process with `Record.open`; threads must not share one.

    Every method raises UserError when the store fails: disk full, server gone, database locked for minutes.

    Attributes:
        access: The store.
    """

    def __init__(self, store: Store) -> None:
        """Use a store.

        Args:
            store: The store, as `open_store` gives it.
        """
        self.access = StoreAccess(store)
        self._index = RunIndex(self.access)
        self._reader = RunReader(self.access)
        self._runs = RunWriter(self.access, self._index)
        self._tables = TableWriter(self.access)

    @classmethod
    def open(cls, place: RecordPlace) -> "Record":
        """Open a record; a new store is created if it is missing, which takes some seconds.

        Args:
            place: Where it is.

        Returns:
            The record.

        Raises:
            UserError: The store cannot be reached, read or written.
        """
        return cls(open_store(place))

    @classmethod
    def open_existing(cls, place: RecordPlace) -> "Record":
        """Open a record that must be there, to read it; nothing is created in a wrong folder.

        A record that may only be read is no error here.

        Args:
            place: Where it is.

        Returns:
            The record.

        Raises:
            UserError: There is no record, or the store cannot be reached, read or written.
        """
        if not place.elsewhere and not place.database.exists():
            raise UserError(
                f"no record in {place.results}; run promptarena compare first, or name its folder with --results"
            )
        return cls(open_store(place, read_only=True))

    @property
    def uri(self) -> str:
        """The tracking URI, as MLflow takes it; it may hold a password."""
        return self.access.store.address.uri

    @property
    def shown(self) -> str:
        """Its address without secrets, for people to read."""
        return self.access.store.shown

    def comparison(self, suite: str, comparison_key: str, description: str) -> str:
        """See `TableWriter.comparison`."""
        return self._tables.comparison(suite, comparison_key, description)

    def method_run(self, comparison_id: str, method: Label) -> str:
        """See `TableWriter.method_run`."""
        return self._tables.method_run(comparison_id, method)

    def unfinished(self, suite: str, comparison_key: str) -> str | None:
        """See `TableWriter.unfinished`."""
        return self._tables.unfinished(suite, comparison_key)

    def log_tables(
        self,
        comparison_id: str,
        tables: Mapping[str, str | bytes],
        headline: Mapping[Label, Mapping[str, float]],
        datasets: Sequence[str],
        draw: Callable[[], Mapping[str, bytes]] = dict,
    ) -> None:
        """See `TableWriter.log_tables`."""
        self._tables.log_tables(comparison_id, tables, headline, datasets, draw)

    def document(
        self,
        suite: str,
        level: str,
        name: str,
        key: str,
        tags: Mapping[str, str],
        numbers: Mapping[str, float],
        files: Mapping[str, bytes],
    ) -> str:
        """See `TableWriter.document`."""
        return self._tables.document(suite, level, name, key, tags, numbers, files)

    def begin(
        self,
        planned: PlannedRun,
        parents: ParentRuns,
        backbone_name: str,
        miniature: bool,
        imported: Imported | None = None,
    ) -> str:
        """See `RunWriter.begin`."""
        return self._runs.begin(planned, parents, backbone_name, miniature, imported)

    def release(self, planned: PlannedRun, remove: Callable[[], None]) -> None:
        """See `RunWriter.release`."""
        self._runs.release(planned, remove)

    def adopt(self, suite: str, keys: Collection[str], parents: Callable[[str], ParentRuns]) -> None:
        """See `RunWriter.adopt`."""
        self._runs.adopt(suite, keys, parents)

    def heartbeat(self, run_id: str) -> None:
        """See `RunWriter.heartbeat`."""
        self._runs.heartbeat(run_id)

    def log_epochs(self, run_id: str, rows: Sequence[Mapping[str, float]]) -> None:
        """See `RunWriter.log_epochs`."""
        self._runs.log_epochs(run_id, rows)

    def finish(
        self, run_id: str, result: RunResult, finished_at: datetime | None = None, planned: PlannedRun | None = None
    ) -> None:
        """See `RunWriter.finish`."""
        self._runs.finish(run_id, result, finished_at, planned)

    def add_predictions(self, run_id: str, predictions: Mapping[Target, bytes]) -> None:
        """See `RunWriter.add_predictions`."""
        self._runs.add_predictions(run_id, predictions)

    def fail(self, run_id: str, error: BaseException) -> None:
        """See `RunWriter.fail`."""
        self._runs.fail(run_id, error)

    def index(self, suite: str) -> dict[str, RecordedRun]:
        """See `RunIndex.of_suite`."""
        return self._index.of_suite(suite)

    def results(self, suite: str, keys: Collection[str] | None = None) -> list[StoredResult]:
        """See `RunReader.results`."""
        return self._reader.results(suite, keys)

    def recall(self, run_id: str) -> Recalled:
        """See `RunReader.recall`."""
        return self._reader.recall(run_id)

    def artifacts(self, run_id: str) -> frozenset[str]:
        """See `RunReader.artifacts`."""
        return self._reader.artifacts(run_id)

    def artifact(self, run_id: str, name: str, folder: Path) -> Path:
        """See `RunReader.artifact`."""
        return self._reader.artifact(run_id, name, folder)

    def content(self, run_id: str, name: str) -> bytes:
        """See `RunReader.content`."""
        return self._reader.content(run_id, name)

    def views(self) -> dict[str, str]:
        """See `RunReader.views`."""
        return self._reader.views()
