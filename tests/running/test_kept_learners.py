"""Which finished runs give their learners to others, and what a worker accepts."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from promptarena.benchmark.core.keys import file_digest
from promptarena.benchmark.recording.index import RecordedRun
from promptarena.benchmark.running.kept_learners import (
    LEARNER_FILE,
    TRAINING_FILE,
    KeptTraining,
    finished_trainings,
    kept_training,
)


def run(name: str, status: str = "finished", train_key: str = "t", learned: str = "") -> RecordedRun:
    return RecordedRun(name, f"key of {name}", status, False, train_key=train_key, learned=learned)  # type: ignore[arg-type]


def test_only_finished_runs_give_their_learners() -> None:
    runs = [run("a"), run("b", "failed", "u"), run("c", "running", "v"), run("d", train_key="")]
    assert finished_trainings(runs) == {"t": runs[0]}


@pytest.mark.parametrize("order", [1, -1])
def test_one_with_a_digest_comes_first(order: int) -> None:
    runs = [run("old"), run("new", learned="1" * 64), run("older")]
    assert finished_trainings(runs[::order])["t"].run_id == "new"


def handed_over(folder: Path) -> KeptTraining:
    (folder / LEARNER_FILE).write_bytes(b"tensors")
    kept = KeptTraining("id", file_digest(folder / LEARNER_FILE), ({"epoch": 1.0, "loss": 2.0},), 3.5, 100.0)
    (folder / TRAINING_FILE).write_text(json.dumps(asdict(kept)))
    return kept


def test_a_worker_finds_what_was_handed_over(tmp_path: Path) -> None:
    kept = handed_over(tmp_path)
    found = kept_training(tmp_path)
    assert found is not None
    assert (found.run_id, found.sha256, found.train_seconds) == (kept.run_id, kept.sha256, kept.train_seconds)
    assert [dict(row) for row in found.curves] == [{"epoch": 1.0, "loss": 2.0}]


@pytest.mark.parametrize("fault", ["nothing", "no tensors", "other tensors", "cut", "other fields"])
def test_what_is_not_whole_is_not_used(fault: str, tmp_path: Path) -> None:
    if fault != "nothing":
        handed_over(tmp_path)
    match fault:
        case "no tensors":
            (tmp_path / LEARNER_FILE).unlink()
        case "other tensors":
            (tmp_path / LEARNER_FILE).write_bytes(b"tensorz")
        case "cut":
            (tmp_path / TRAINING_FILE).write_text((tmp_path / TRAINING_FILE).read_text()[:-5])
        case "other fields":
            (tmp_path / TRAINING_FILE).write_text('{"run": 1}')
    assert kept_training(tmp_path) is None
