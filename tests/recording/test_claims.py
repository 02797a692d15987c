"""Several processes with one record: who may run a run, remove a training's files, and where runs hang."""

import os
from pathlib import Path

import psutil
import pytest
from record_runs import begin, disown, plan, result

from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.recording.owner import Owner
from promptarena.benchmark.recording.record import ParentRuns, Record, RecordPlace, RunTakenError


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return Record.open(RecordPlace(tmp_path_factory.mktemp("record")))


@pytest.fixture
def suite(request: pytest.FixtureRequest) -> str:
    return request.node.name.removeprefix("test_")


def given_to_another(record: Record, run_id: str) -> None:
    """Make the run look as if a process that lives had started it: this one's parent."""
    parent = psutil.Process(os.getppid())
    owner = Owner(Owner.current().host, parent.pid, parent.create_time(), parent.create_time())
    for name, value in owner.tags().items():
        record.access.client.set_tag(run_id, name, value)


def test_a_run_is_recorded_once(record: Record, suite: str) -> None:
    planned, later = plan(suite), Record(record.access.store)
    later.index(suite)
    run_id = begin(record, planned)
    given_to_another(record, run_id)
    with pytest.raises(RunTakenError, match=f"process {os.getppid()}"):
        begin(later, planned)
    disown(record, run_id)
    assert begin(later, planned) == run_id
    later.finish(run_id, result())
    with pytest.raises(RunTakenError, match="recorded by another process"):
        begin(record, planned)
    assert [run.run_id for run in record.results(suite)] == [run_id]
    assert record.results(suite)[0].duplicates == 0


@pytest.mark.parametrize("lives", [True, False])
def test_files_that_another_process_works_with_are_not_removed(record: Record, suite: str, lives: bool) -> None:
    ours, theirs = plan(suite), plan(suite, protocol="cross-dataset")
    theirs = type(theirs)(theirs.spec, theirs.key, ours.train_key, theirs.config, theirs.recipe, theirs.provenance)
    other = begin(record, theirs)
    given_to_another(record, other) if lives else disown(record, other)
    record.finish(begin(record, ours), result())
    removed: list[bool] = []
    record.release(ours, lambda: removed.append(True))
    assert removed == [] if lives else [True]


def test_runs_whose_parents_were_deleted_get_new_ones(record: Record, suite: str) -> None:
    runs = [plan(suite, seed=seed) for seed in (1, 2, 3)]
    ids = [begin(record, run) for run in runs]
    for run_id in ids[:2]:
        record.finish(run_id, result())
    client = record.access.client
    first = record.comparison(suite, digest("comparison"), "a comparison")
    for run_id in (first, record.method_run(first, Label("coop"))):
        client.delete_run(run_id)
    second = record.comparison(suite, digest("comparison"), "a comparison")
    parents = {"coop": ParentRuns(second, record.method_run(second, Label("coop")))}
    assert second != first
    record.adopt(suite, {run.key for run in runs[1:]}, parents.__getitem__)
    tags = [client.get_run(run_id).data.tags for run_id in ids]
    assert [tag["comparison"] for tag in tags] == [first, second, second]
    assert [tag["mlflow.parentRunId"] == parents["coop"].method for tag in tags] == [False, True, True]
    assert len(record.results(suite)) == 2


def test_files_are_removed_while_nobody_can_claim_a_run(record: Record, suite: str, tmp_path: Path) -> None:
    record.finish(begin(record, plan(suite)), result())
    record.release(plan(suite), lambda: tmp_path.joinpath(str(record.access.store.lock.is_locked)).touch())
    assert os.listdir(tmp_path) == ["True"]
