"""Where an unfinished training lies."""

from pathlib import Path

from record_runs import plan

from promptarena.benchmark.running.execution import training_folder


def test_runs_that_share_a_training_share_its_folder(tmp_path: Path) -> None:
    run = plan("small")
    assert training_folder(tmp_path, run) == tmp_path / "checkpoints" / run.train_key
