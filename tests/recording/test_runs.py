"""Runs in the record: begun, finished, failed and gone on with."""

import json
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from record_runs import COST, begin, disown, plan, result

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.runs import Cost, RunResult, Score, Target
from promptarena.benchmark.recording.record import Record, RecordPlace


def test_a_finished_run_comes_back_as_it_was(record: Record, suite: str, tmp_path: Path) -> None:
    planned = plan(suite)
    run_id = begin(record, planned)
    assert record.index(suite)[planned.key].status == "running"
    assert record.index(suite)[planned.key].owner_alive
    assert record.results(suite) == []
    record.finish(run_id, result(files={"learned.safetensors": b"\x00\x01"}, curves=({"epoch": 1, "loss": 2.0},)))

    indexed = record.index(suite)[planned.key]
    assert (indexed.status, indexed.run_id, indexed.duplicates, indexed.error) == ("finished", run_id, 0, None)
    (stored,) = record.results(suite, {planned.key})
    assert (stored.run_id, stored.run_key, stored.suite, stored.seed) == (run_id, planned.key, suite, 1)
    assert (stored.method, stored.label, stored.protocol, stored.shots) == ("coop", "coop", "base-to-novel", 16)
    assert (stored.backbone, stored.miniature, stored.cost) == ("mini-clip", True, COST)
    assert {(s.target.subset, s.reading, s.correct, s.total) for s in stored.scores} == {
        ("base", "", 40, 80),
        ("novel", "", 20, 80),
        ("novel", "class feature", 40, 80),
    }
    assert record.results(suite, {"another"}) == []

    run = record.access.client.get_run(run_id)
    assert run.data.params["config.n_ctx"] == "4"
    assert run.data.params["recipe.optimizer.lr"] == "0.002"
    assert run.data.params["provenance.targets.dtd/base"] == "abc"
    assert run.data.metrics["accuracy_base"] == 50.0
    assert run.data.metrics["accuracy_novel"] == 25.0
    assert run.data.metrics["accuracy_novel/class feature"] == 50.0
    used = {each.tags[0].value: each.dataset for each in run.inputs.dataset_inputs}
    assert used.keys() == {"training", "evaluation"}
    assert digest("split", 1).startswith(used["training"].digest)
    assert record.artifact(run_id, "learned.safetensors", tmp_path).read_bytes() == b"\x00\x01"
    scores = json.loads(record.artifact(run_id, "scores.json", tmp_path).read_text())
    place = {"dataset": "dtd", "subset": "base"}
    assert scores[0] == {"target": place, "correct": [30, 10], "total": [40, 40], "reading": ""}
    assert json.loads(record.artifact(run_id, "config.json", tmp_path).read_text())["config"] == {"n_ctx": 4}
    assert json.loads(record.artifact(run_id, "environment.json", tmp_path).read_text()) == {"python": "3.11"}


def test_an_interrupted_run_goes_on_without_repeating_its_curves(record: Record, results: Path, suite: str) -> None:
    planned = plan(suite)
    run_id = begin(record, planned)
    rows = [{"epoch": epoch, "loss": 1.0 / epoch, "lr": 0.1} for epoch in range(1, 6)]
    record.log_epochs(run_id, rows[:2])
    record.log_epochs(run_id, rows[:3])
    disown(record, run_id)

    later = Record.open(RecordPlace(results))
    assert later.index(suite)[planned.key].status == "running"
    assert not later.index(suite)[planned.key].owner_alive
    assert begin(later, planned) == run_id
    later.log_epochs(run_id, rows[:4])
    later.finish(run_id, result(curves=tuple(rows)))
    for name in ("loss", "lr"):
        history = later.access.client.get_metric_history(run_id, f"curves/{name}")
        assert [(point.step, point.value) for point in history] == [(row["epoch"], row[name]) for row in rows]
    assert len(later.access.client.get_run(run_id).inputs.dataset_inputs) == 2
    assert len(later.results(suite)) == 1


def test_half_a_batch_of_curves_is_completed(record: Record, suite: str) -> None:
    run_id = begin(record, plan(suite))
    record.access.client.log_metric(run_id, "curves/loss", 2.0, step=1)
    record.log_epochs(run_id, [{"epoch": 1, "loss": 2.0, "lr": 0.1}])
    assert len(record.access.client.get_metric_history(run_id, "curves/loss")) == 1
    assert len(record.access.client.get_metric_history(run_id, "curves/lr")) == 1


def test_a_killed_process_leaves_a_run_to_resume(record: Record, results: Path, suite: str, tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys, time
            sys.path[:0] = {[str(Path(__file__).parents[1] / "support")]!r}
            from pathlib import Path
            from record_runs import begin, plan
            from promptarena.benchmark.recording.record import Record, RecordPlace
            record = Record.open(RecordPlace(Path({str(results)!r})))
            run_id = begin(record, plan({suite!r}))
            record.log_epochs(run_id, [{{"epoch": 1, "loss": 2.0}}])
            print(run_id, flush=True)
            time.sleep(600)
            """
        )
    )
    worker = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout
    run_id = worker.stdout.readline().strip()
    planned = plan(suite)
    with pytest.raises(UserError, match=f"process {worker.pid}"):
        begin(Record(record.access.store), planned)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()

    again = Record(record.access.store)
    assert begin(again, planned) == run_id
    again.finish(run_id, result(curves=({"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0})))
    assert [point.step for point in again.access.client.get_metric_history(run_id, "curves/loss")] == [1, 2]


def test_a_failed_run_is_listed_and_tried_again(record: Record, suite: str, tmp_path: Path) -> None:
    planned = plan(suite)
    run_id = begin(record, planned)
    try:
        raise RuntimeError("loss is NaN\nat epoch 3")
    except RuntimeError as error:
        record.fail(run_id, error)
    failed = record.index(suite)[planned.key]
    assert (failed.status, failed.error) == ("failed", "RuntimeError: loss is NaN at epoch 3")
    assert "test_runs" in record.artifact(run_id, "traceback.txt", tmp_path).read_text()
    assert record.results(suite) == []

    assert begin(record, planned) == run_id
    record.finish(run_id, result())
    assert "error" not in record.access.client.get_run(run_id).data.tags
    assert record.index(suite)[planned.key].status == "finished"


def test_the_newest_of_two_finished_runs_counts(record: Record, suite: str) -> None:
    planned = plan(suite)
    first, second = begin(record, planned), begin(Record(record.access.store), plan(suite, seed=2))
    record.access.client.set_tag(second, "run_key", planned.key)
    record.finish(first, result(correct=10))
    record.finish(second, result(correct=11))
    assert (record.index(suite)[planned.key].run_id, record.index(suite)[planned.key].duplicates) == (second, 1)
    (stored,) = record.results(suite)
    assert (stored.run_id, stored.duplicates) == (second, 1)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (result(scores=(Score(Target("dtd", "base"), (0,), (0,)),)), "dtd/base has no images"),
        (result(scores=(Score(Target("dtd", "base"), (2,), (1,)),)), "more right answers than images"),
        (result(scores=(Score(Target("dtd", "base"), (1, 1), (1,)),)), "2 classes right but 1 seen"),
        (result(scores=result().scores[:1] * 2), "scored twice"),
        (result(cost=Cost(1, float("nan"), 1, 1.0, 1, 1.0)), "cost train_seconds is nan"),
    ],
)
def test_senseless_results_are_refused(record: Record, broken: RunResult, words: str) -> None:
    suite = f"refused-{digest(words)[:6]}"
    run_id = begin(record, plan(suite))
    with pytest.raises(ValueError, match=re.escape(words)):
        record.finish(run_id, broken)
    assert record.results(suite) == []
