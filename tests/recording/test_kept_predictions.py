"""The predictions of a record's runs, found by run and target and verified."""

from pathlib import Path

import numpy as np
import pytest
from drawn_predictions import drawn
from record_runs import COST, begin, plan

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.predictions import to_parquet
from promptarena.benchmark.core.runs import RunResult, Score, Target
from promptarena.benchmark.recording.kept_predictions import of_record
from promptarena.benchmark.recording.record import Record, RecordPlace

BASE, NOVEL = Target("dtd", "base"), Target("dtd", "novel")


def test_they_come_back_until_they_are_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    record = Record.open(RecordPlace(tmp_path))
    found = drawn(40, 6, dataset="dtd", subset="base")
    run_id = begin(record, plan("small"))
    scores = (Score(BASE, *found.counts()), Score(NOVEL, (1,), (2,)))
    record.finish(run_id, RunResult(scores, COST, predictions={BASE: to_parquet([found])}))
    results = record.results("small")
    assert [set(result.predictions) for result in results] == [{BASE}]
    kept = of_record(record, results)
    (read,) = kept(run_id, BASE)
    np.testing.assert_array_equal(read.logits, found.logits)
    assert kept(run_id, NOVEL) == ()
    assert kept("another run", BASE) == ()
    (path,) = tmp_path.rglob("dtd.base.parquet")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=rf"predictions/dtd.base.parquet of run {run_id} is damaged"):
        kept(run_id, BASE)


def test_predictions_that_are_not_counted_are_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    record = Record.open(RecordPlace(tmp_path))
    run_id = begin(record, plan("small"))
    found = drawn(40, 6, dataset="dtd", subset="base")
    wrong = RunResult((Score(BASE, (0,) * 6, found.counts()[1]),), COST, predictions={BASE: to_parquet([found])})
    with pytest.raises(ValueError, match="does not hold the predictions that the scores count"):
        record.finish(run_id, wrong)
    assert record.results("small") == []
