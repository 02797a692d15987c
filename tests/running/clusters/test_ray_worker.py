"""The worker of a Ray cluster without Ray: what it is given, and what is heard of it."""

import pickle
from pathlib import Path
from typing import Any

import pytest
from e2e_world import make_world
from kept import handed_over

from promptarena.benchmark.core.runs import PlannedRun, RunResult
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.running.clusters.parcel import Parcel, training_files
from promptarena.benchmark.running.clusters.ray_worker import RayWorker
from promptarena.benchmark.running.comparison import plan_comparison
from promptarena.benchmark.running.execution import CHECKPOINT, ExecutionConfig

EPOCHS = 3


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExecutionConfig:
    monkeypatch.chdir(tmp_path)  # restored, although the worker changes it
    suite = make_world(tmp_path / "world", epochs=EPOCHS)
    return ExecutionConfig(str(suite), tmp_path / "results", tmp_path / "cache", device="cpu")


def heard(worker: RayWorker, runs: tuple[PlannedRun, ...], files: dict[str, dict[str, bytes]]) -> list[Any]:
    """Everything that it says of the runs as their group 1."""
    worker.begin(1, runs, files)
    messages: list[Any] = []
    while sum(isinstance(what, RunResult) for _, (_, what), _ in messages) < len(runs):
        messages += worker.hear(60)
    assert {group for group, _, _ in messages} == {1}
    return messages


def test_a_run_goes_on_elsewhere_from_the_checkpoint_that_came_with_an_epoch(place: ExecutionConfig) -> None:
    request = Request(methods=("coop",), protocols=("base-to-novel",))
    runs = plan_comparison(request, place, Record.open(RecordPlace(place.results))).runs
    sent = pickle.dumps(Parcel.pack(place, runs))
    first, second = RayWorker(pickle.loads(sent)), RayWorker(pickle.loads(sent))
    assert first.check(runs) == ""
    messages = heard(first, runs, {})
    epochs = [(what["epoch"], checkpoint) for _, (_, what), checkpoint in messages if isinstance(what, dict)]
    assert [epoch for epoch, _ in epochs] == [1, 2, 3]
    last = [checkpoint for _, checkpoint in epochs if checkpoint is not None][-1]
    assert second.check(runs) == ""
    again = heard(second, runs, {runs[0].train_key: {CHECKPOINT: last}})
    (one,), (other,) = ([what for _, (_, what), _ in each if isinstance(what, RunResult)] for each in (messages, again))
    assert (one.scores, one.files) == (other.scores, other.files)
    assert one.cost.train_seconds == other.cost.train_seconds, "it was not trained again"
    first.clean()


def test_a_kept_learner_is_scored_there_without_training(place: ExecutionConfig) -> None:
    run, finished = handed_over(place)
    worker = RayWorker(pickle.loads(pickle.dumps(Parcel.pack(place, [run]))))
    assert worker.check([run]) == ""
    messages = heard(worker, (run,), {run.train_key: training_files(place.results, run)})
    (result,) = (what for _, (_, what), _ in messages if isinstance(what, RunResult))
    assert (result.environment["training_steps"], result.environment["learner_of"]) == ("0", finished)
    assert result.predictions
    worker.clean()


def test_what_is_missing_on_its_machine_is_its_answer(place: ExecutionConfig, tmp_path: Path) -> None:
    request = Request(methods=("zeroshot",), protocols=("base-to-novel",))
    runs = plan_comparison(request, place, Record.open(RecordPlace(place.results))).runs
    worker = RayWorker(Parcel.pack(place, runs))
    (tmp_path / "world" / "pictures" / "noisy").rename(tmp_path / "elsewhere")
    assert "does not see the data of noisy" in worker.check(runs)
