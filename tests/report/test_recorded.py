"""The report names recorded runs that are not in it."""

from pathlib import Path

from record_runs import begin, plan, result

from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.report.recorded import documents_of, unfinished_notes


def test_plans_and_environments_are_read_and_unfinished_runs_are_named(tmp_path: Path) -> None:
    record = Record.open(RecordPlace(tmp_path))
    record.finish(begin(record, plan("small", seed=1)), result())
    for seed in (2, 3):
        record.fail(begin(record, plan("small", seed=seed)), RuntimeError("no luck"))
    begin(record, plan("small", seed=4))
    stored = record.results("small")
    (document,) = documents_of(record, stored)
    assert document["spec"]["method"] == "coop"
    assert document["environment"] == {"python": "3.11"}
    assert document["run_id"] == stored[0].run_id
    assert unfinished_notes(record, "small") == [
        "2 recorded runs failed: RuntimeError: no luck",
        "1 recorded run not finished",
    ]
