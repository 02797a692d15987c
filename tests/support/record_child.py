"""What a process of its own does with a record; here, where spawned processes can import it."""

from pathlib import Path

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.recording.record import Record, RecordPlace


def open_and_compare(results: str) -> tuple[str, str]:
    """Open the record and make a comparison and a method in it; their run ids."""
    record = Record.open(RecordPlace(Path(results)))
    comparison = record.comparison("mini", "key", "text")
    return comparison, record.method_run(comparison, Label("coop"))
