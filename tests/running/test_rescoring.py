"""Finished runs that keep no predictions get them from their learners, and nothing else changes."""

import json
from pathlib import Path

import e2e_record
import numpy as np
import pytest
from e2e_world import make_world
from in_process import compared

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.recording.kept_predictions import of_record
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.running.execution import ExecutionConfig
from promptarena.benchmark.running.rescoring import add_predictions
from promptarena.benchmark.running.runner import Runner

TARGETS = (Target("noisy", "base"), Target("noisy", "novel"))


@pytest.fixture(autouse=True)
def _own_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_they_are_those_of_a_run_that_kept_them(tmp_path: Path) -> None:
    suite, results, fresh = make_world(tmp_path / "world"), tmp_path / "a" / "results", tmp_path / "b" / "results"
    compared(suite, results, "base-to-novel", keep=False)
    compared(suite, fresh, "base-to-novel")
    figures, record = e2e_record.figures(results), Record.open(RecordPlace(results))
    execution = ExecutionConfig(str(suite), results, tmp_path / "cache", device="cpu")
    runner = Runner(execution)
    for stored in record.results("small"):
        assert not stored.predictions
        add_predictions(record, stored, runner, execution)
    assert e2e_record.figures(results) == figures
    assert not list((results / "checkpoints").glob("*/*"))
    ours, other = record.results("small"), Record.open(RecordPlace(fresh))
    theirs = {stored.method: stored for stored in other.results("small")}
    for stored in ours:
        assert stored.predictions == theirs[stored.method].predictions
        for target in TARGETS:
            (one,) = of_record(record, ours)(stored.run_id, target)
            (same,) = of_record(other, theirs.values())(theirs[stored.method].run_id, target)
            np.testing.assert_array_equal(one.logits, same.logits)


def test_other_scores_are_not_explained_away(tmp_path: Path) -> None:
    """The recorded counts are others than those that the learner has now, as after a change of code or data."""
    suite, results = make_world(tmp_path / "world"), tmp_path / "results"
    compared(suite, results, "base-to-novel", methods=("zeroshot",), keep=False)
    (path,) = results.rglob("scores.json")
    recorded = json.loads(path.read_text())
    recorded[0]["correct"] = [3 - count for count in recorded[0]["correct"]]
    path.write_text(json.dumps(recorded))
    record = Record.open(RecordPlace(results))
    execution = ExecutionConfig(str(suite), results, tmp_path / "cache", device="cpu")
    (stored,) = record.results("small")
    with pytest.raises(UserError, match="has other scores when it is scored again"):
        add_predictions(record, stored, Runner(execution), execution)
    assert not list(results.rglob("*.parquet"))
    for learned in results.rglob("learned.safetensors"):
        learned.unlink()
    with pytest.raises(UserError, match="No such file"):
        add_predictions(record, stored, Runner(execution), execution)
