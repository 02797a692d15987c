"""A plan holds the runs, their sizes, and what was read to make it."""

from pathlib import Path

from e2e_world import PER_CLASS, make_world

from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.running.comparison import made_plan
from promptarena.benchmark.running.execution import ExecutionConfig


def test_sizes_and_splits(tmp_path: Path) -> None:
    place = ExecutionConfig(str(make_world(tmp_path / "world")), tmp_path / "results", tmp_path / "cache")
    plan = made_plan(Request(methods=("coop",), protocols=("cross-dataset",), seeds=(1,)), place).plan
    (run,) = plan.runs
    load = plan.workloads[run.key]
    assert load.train_images == 4 * 2 * run.recipe["epochs"]  # four classes, two shots
    assert load.eval_images == 2 * 4 * PER_CLASS["test"]
    assert load.without_training().train_images == 0
    assert set(plan.splits) >= {"plain/train", "plain/val", "plain/test", "noisy/test"}
    assert plan.failed == plan.fitting == ()
