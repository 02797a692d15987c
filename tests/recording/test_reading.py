"""Reading the record."""

import pytest
from record_runs import begin, plan

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording.record import Record


def test_an_unknown_suite_has_no_runs(record: Record) -> None:
    assert record.index("never-run") == {}
    assert record.results("never-run") == []


def test_a_deleted_experiment_is_named(record: Record, suite: str) -> None:
    begin(record, plan(suite))
    record.access.client.delete_experiment(
        record.access.client.get_experiment_by_name(f"promptarena/{suite}").experiment_id
    )
    with pytest.raises(UserError, match="mlflow experiments restore"):
        Record(record.access.store).index(suite)


def test_a_result_somebody_damaged_is_named(record: Record, suite: str) -> None:
    run_id = begin(record, plan(suite))
    record.access.client.set_terminated(run_id, "FINISHED")
    with pytest.raises(UserError, match=run_id):
        record.results(suite)
