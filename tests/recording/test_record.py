"""The record, against real sqlite stores. One store serves most tests; each has a suite (an experiment) of its own."""

import json
import multiprocessing
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy
from record_child import open_and_compare
from record_runs import COST, begin, disown, plan, result

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.runs import Cost, RunResult, Score, Target
from promptarena.benchmark.recording.owner import Owner
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.recording.store import explained


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("record")


@pytest.fixture(scope="module")
def record(results: Path) -> Record:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return Record.open(RecordPlace(results))


@pytest.fixture
def suite(request: pytest.FixtureRequest) -> str:
    return request.node.name.removeprefix("test_")


def test_a_finished_run_comes_back_as_it_was(record: Record, suite: str, tmp_path: Path) -> None:
    learned = tmp_path / "weights.bin"
    learned.write_bytes(b"\x00\x01")
    planned = plan(suite)
    run_id = begin(record, planned)
    assert record.index(suite)[planned.key].status == "running"
    assert record.index(suite)[planned.key].owner_alive
    assert record.results(suite) == []
    record.finish(run_id, result(files={"learned.safetensors": learned}, curves=({"epoch": 1, "loss": 2.0},)))

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
    (used,) = run.inputs.dataset_inputs
    assert digest("split", 1).startswith(used.dataset.digest)
    assert record.artifact(run_id, "learned.safetensors", tmp_path).read_bytes() == b"\x00\x01"
    scores = json.loads(record.artifact(run_id, "scores.json", tmp_path).read_text())
    place = {"dataset": "dtd", "subset": "base"}
    assert scores[0] == {"target": place, "correct": [30, 10], "total": [40, 40], "reading": ""}
    assert json.loads(record.artifact(run_id, "config.json", tmp_path).read_text())["config"] == {"n_ctx": 4}
    assert json.loads(record.artifact(run_id, "environment.json", tmp_path).read_text()) == {"python": "3.11"}


def test_runs_hang_under_their_method_and_comparison(record: Record, suite: str) -> None:
    run_id = begin(record, plan(suite))
    run = record.access.client.get_run(run_id)
    method = record.access.client.get_run(run.data.tags["mlflow.parentRunId"])
    comparison = record.access.client.get_run(method.data.tags["mlflow.parentRunId"])
    assert (method.data.tags["label"], comparison.data.tags["level"]) == ("coop", "comparison")
    assert run.data.tags["comparison"] == comparison.info.run_id
    tags_of = ("suite", "protocol", "method", "dataset", "subset", "shots", "seed", "backbone", "miniature")
    assert [run.data.tags[name] for name in tags_of] == [
        suite, "base-to-novel", "coop", "dtd", "base", "16", "1", "mini-clip", "true",
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["8", "v" * 9000], ids=["short", "longer than a tag"])
def test_overrides_come_back_and_those_of_runs_without_their_tag_from_the_plan(
    record: Record, suite: str, value: str
) -> None:
    planned = plan(suite)
    planned = replace(planned, spec=replace(planned.spec, overrides=(("n_ctx", value), ("text", "a, b=c: d"))))
    run_id = begin(record, planned)
    record.finish(run_id, result())
    (stored,) = record.results(suite)
    assert stored.name == planned.spec.name
    if "overrides" in record.access.client.get_run(run_id).data.tags:
        record.access.client.delete_tag(run_id, "overrides")
    assert record.results(suite) == [stored]


def test_the_same_comparison_is_made_once(record: Record, suite: str) -> None:
    first = record.comparison(suite, "k1", "text")
    assert record.comparison(suite, "k1", "text") == first
    assert record.comparison(suite, "k2", "text") != first
    name = Label("coop", (("n_ctx", "16"),))
    method = record.method_run(first, name)
    assert record.method_run(first, name) == method
    tags = record.access.client.get_run(method).data.tags
    assert (tags["label"], tags["method"]) == ("coop(n_ctx=16)", "coop")
    with pytest.raises(ValueError, match="digest"):
        record.comparison(suite, "k' OR '1", "text")


def test_a_method_that_draws_nothing_has_no_seed(record: Record, suite: str) -> None:
    record.finish(begin(record, plan(suite, seed=None)), result())
    assert [stored.seed for stored in record.results(suite)] == [None]


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
    assert len(later.access.client.get_run(run_id).inputs.dataset_inputs) == 1
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
    assert "test_record" in record.artifact(run_id, "traceback.txt", tmp_path).read_text()
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


def test_unscored_targets_keep_their_reason(record: Record, suite: str) -> None:
    novel = Target("dtd", "novel")
    base_only = result().scores[:1]
    record.finish(
        begin(record, plan(suite)), result(scores=base_only, unscored={novel: "a linear head: no novel classes"})
    )
    (stored,) = record.results(suite)
    assert stored.unscored == {novel: "a linear head: no novel classes"}
    assert len(stored.scores) == 1


def test_long_and_numerous_parameters_fit_mlflow_s_limits(record: Record, suite: str, tmp_path: Path) -> None:
    settings = {f"setting_{number}": number for number in range(150)} | {"template": "x" * 7000, "odd%name": [1, 2]}
    planned = plan(suite, **settings)
    params = record.access.client.get_run(run_id := begin(record, planned)).data.params
    assert len(params) > 150
    assert params["config.odd_name"] == "[1, 2]"
    assert len(params["config.template"]) == 6000
    assert params["config.template"].endswith("(7000 characters, whole in config.json)")
    whole = json.loads(record.artifact(run_id, "config.json", tmp_path).read_text())
    assert whole["config"]["template"] == "x" * 7000


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


def test_tables_are_logged_once(record: Record, suite: str, tmp_path: Path) -> None:
    comparison = record.comparison(suite, "k", "text")
    tables = {"base-to-novel.md": "| a |\n", "base-to-novel.json": b"{}"}
    headline = {Label("coop"): {"base-to-novel/hm_pct": 70.5}, Label("zeroshot"): {"base-to-novel/hm_pct": 60.0}}

    def logged() -> list[str]:
        return sorted(file.path for file in record.access.client.list_artifacts(comparison, "tables"))

    for _ in range(2):
        record.log_tables(comparison, tables, headline)
        assert len(logged()) == 3
    method = record.method_run(comparison, Label("coop"))
    assert record.access.client.get_run(method).data.metrics == {"base-to-novel/hm_pct": 70.5}
    assert len(record.access.client.get_metric_history(method, "base-to-novel/hm_pct")) == 1
    assert record.artifact(comparison, "tables/base-to-novel.md", tmp_path).read_text() == "| a |\n"
    assert record.access.client.get_run(comparison).info.status == "FINISHED"

    record.log_tables(comparison, tables | {"base-to-novel.md": "| b |\n"}, headline)
    record.log_tables(comparison, tables, headline)
    headlines = [name for name in logged() if "headline" in name]
    assert len(headlines) == 2
    for name in headlines:
        assert len(json.loads(record.artifact(comparison, name, tmp_path).read_text())["data"]) == 2


def test_figures_are_drawn_and_kept_only_with_new_tables(record: Record, suite: str, tmp_path: Path) -> None:
    comparison = record.comparison(suite, "k", "text")
    drawn: list[int] = []

    def draw() -> dict[str, bytes]:
        drawn.append(1)
        return {"base-to-novel/bars.svg": b"<svg/>", "base-to-novel/bars.png": bytes([len(drawn)])}

    for table, times in (("a", 1), ("a", 1), ("b", 2), ("b", 2)):
        record.log_tables(comparison, {"base-to-novel.md": table}, {}, draw)
        assert len(drawn) == times
        logged = {file.path for file in record.access.client.list_artifacts(comparison, "figures/base-to-novel")}
        assert logged == {"figures/base-to-novel/bars.svg", "figures/base-to-novel/bars.png"}
        kept = record.artifact(comparison, "figures/base-to-novel/bars.png", tmp_path)
        assert kept.read_bytes() == bytes([times])


def test_several_processes_may_start_at_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(open_and_compare, [str(tmp_path)] * 2))
    assert len(set(found)) == 1


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


def _one_line(error: pytest.ExceptionInfo[UserError], *words: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "./mlruns", "mlruns"])
def test_plain_files_are_no_store(tmp_path: Path, uri: str) -> None:
    with pytest.raises(UserError) as error:
        Record.open(RecordPlace(tmp_path, uri))
    _one_line(error, uri, "sqlite:///")


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database at all, but long enough to be read as a header" * 20)
    with pytest.raises(UserError) as error:
        Record.open(RecordPlace(tmp_path))
    _one_line(error, str(tmp_path / "mlflow.db"), "damaged")


def test_a_results_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as error:
        Record.open(RecordPlace(tmp_path / "file" / "results"))
    _one_line(error, str(tmp_path / "file" / "results"), "Not a directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError) as error:
        Record.open(RecordPlace(tmp_path))
    tmp_path.chmod(0o700)
    _one_line(error, str(tmp_path), "writable")


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        (PermissionError(13, "Permission denied", "/r"), "Permission denied (/r); make it writable"),
        (OSError(28, "No space left on device"), "No space left on device; free some space"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "make it writable"),
        (sqlite3.OperationalError("database is locked"), "another process holds it"),
    ],
)
def test_faults_come_with_advice(fault: Exception, advice: str) -> None:
    with pytest.raises(UserError) as error, explained("record it"):
        raise fault
    _one_line(error, "cannot record it: ", advice)


def test_a_full_database_is_one_line_and_no_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    record = Record.open(RecordPlace(tmp_path))

    def full(*_: object) -> None:
        raise sqlalchemy.exc.OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", full)
    try:
        with pytest.raises(UserError, match=r"database or disk is full.*; free some space"):
            record.comparison("full", "key", "description")
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", full)
    assert "Traceback" not in capfd.readouterr().err


def test_faults_of_the_program_are_not_the_user_s() -> None:
    with pytest.raises(KeyError), explained("record it"):
        raise KeyError("name")


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        Record.open(RecordPlace(tmp_path, "http://me:secret@127.0.0.1:9"))
    _one_line(error, "http://127.0.0.1:9", "start it")
    assert "secret" not in str(error.value)


def test_owners_live_and_die() -> None:
    me = Owner.current()
    assert me.alive()
    assert me.is_me()
    assert Owner.of(me.tags()) == me
    assert Owner.of({"owner.host": "x"}) is None
    assert not Owner(me.host, me.pid, me.started - 100, me.heartbeat).alive()
    assert Owner("elsewhere", 1, 0.0, me.heartbeat - 60).alive()
    assert not Owner("elsewhere", 1, 0.0, me.heartbeat - 3600).alive()
