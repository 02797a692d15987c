"""A job of SLURM without SLURM: it hands in what comes of its runs, and goes on from what was handed in."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_world import make_world
from kept import handed_over

from promptarena.benchmark.core.runs import RunResult
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.running.clusters.parcel import Parcel
from promptarena.benchmark.running.clusters.slurm_job import Job
from promptarena.benchmark.running.comparison import plan_comparison
from promptarena.benchmark.running.execution import CHECKPOINT, ExecutionConfig, training_folder
from promptarena.benchmark.running.launcher import RunFailedError
from promptarena.benchmark.running.launchers.registry import Workers
from promptarena.benchmark.running.outbox import Outbox


@pytest.fixture(autouse=True)
def _as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def test_results_and_checkpoints_are_handed_in(tmp_path: Path) -> None:
    suite = make_world(tmp_path / "world", epochs=3)
    place = ExecutionConfig(str(suite), tmp_path / "results", tmp_path / "cache", device="cpu")
    request = Request(methods=("coop",), protocols=("base-to-novel",))
    (run,) = runs = plan_comparison(request, place, Record.open(RecordPlace(place.results))).runs
    job = Job(Parcel.pack(place, runs), Workers(count=1), runs, {run.key: 1.0}, tmp_path / "trace")
    job()
    outbox = Outbox(place.results)
    result = outbox.outcome(run.key)
    assert isinstance(result, RunResult)
    assert job.trace.exists()
    assert [curve["epoch"] for curve in outbox.curves(run.key)] == [1, 2, 3]
    assert (training_folder(place.results, run) / CHECKPOINT).exists()
    outbox.remove(run.key)
    job()  # as after a requeue
    again = outbox.outcome(run.key)
    assert isinstance(again, RunResult)
    assert (again.files, again.cost.train_seconds) == (result.files, result.cost.train_seconds)

    outbox.remove(run.key)
    (tmp_path / "world" / "pictures" / "noisy").rename(tmp_path / "elsewhere")
    job()
    failed = outbox.outcome(run.key)
    assert isinstance(failed, RunFailedError)
    assert failed.users_fault
    assert "does not see the data of noisy" in str(failed)


def test_a_kept_learner_is_scored_without_training(tmp_path: Path) -> None:
    suite = make_world(tmp_path / "world")
    place = ExecutionConfig(str(suite), tmp_path / "results", tmp_path / "cache", device="cpu")
    run, finished = handed_over(place)
    Job(Parcel.pack(place, [run]), Workers(count=1), (run,), {run.key: 1.0}, tmp_path / "trace")()
    result = Outbox(place.results).outcome(run.key)
    assert isinstance(result, RunResult), getattr(result, "details", result)
    assert (result.environment["training_steps"], result.environment["learner_of"]) == ("0", finished)
    assert result.predictions
