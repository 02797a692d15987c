"""A diagnosis in the record: one run per table, with its files."""

from pathlib import Path

import pytest
from role_tables import table

from promptarena.benchmark.heads.recording import record_diagnosis
from promptarena.benchmark.recording.record import Record, RecordPlace


def test_a_table_is_recorded_once_and_another_one_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    record = Record.open(RecordPlace(tmp_path))
    figures = {"role_map.png": b"drawn"}
    first = record_diagnosis(record, "mini", table(), figures)
    assert record_diagnosis(record, "mini", table(), figures) == first
    assert record_diagnosis(record, "mini", table(rule="quantiles"), figures) != first
    run = record.access.client.get_run(first)
    assert (run.data.metrics["heads/attribute"], run.data.metrics["heads/mixed"]) == (2.0, 3.0)
    kept = {item.path for item in record.access.client.list_artifacts(first)}
    assert kept == {"roles.json", "role_map.png"}
