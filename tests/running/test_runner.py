"""One process that trains and scores runs: what is finished is not trained again, and failures are reported."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from e2e_world import make_world

from promptarena.benchmark.core.runs import PlannedRun, RunResult
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.running.comparison import made_plan
from promptarena.benchmark.running.runner import CHECKPOINT, ExecutionConfig, Runner, training_folder
from promptarena.benchmark.training.trained_learner import LEARNED


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> ExecutionConfig:
    folder = tmp_path_factory.mktemp("runner")
    suite = make_world(folder / "world", seeds=(1, 2), epochs=2)
    return ExecutionConfig(str(suite), results=folder / "results", cache=folder / "cache", device="cpu")


@pytest.fixture(scope="module")
def planned(place: ExecutionConfig) -> tuple[PlannedRun, ...]:
    request = Request(methods=("coop", "linear-probe"), protocols=("base-to-novel",))
    return made_plan(request, place).plan.runs


def of(runs: tuple[PlannedRun, ...], method: str) -> list[PlannedRun]:
    return [run for run in runs if run.spec.method == method]


def outcome(runner: Runner, run: PlannedRun) -> tuple[RunResult, list[Any]]:
    heard: list[Any] = []
    (found,) = runner.score([runner.train(run, heard.append)])
    assert isinstance(found, RunResult)
    return found, heard


def test_a_finished_training_is_loaded_and_scored_to_the_same_figures(
    place: ExecutionConfig, planned: tuple[PlannedRun, ...]
) -> None:
    run = of(planned, "coop")[0]
    first, heard = outcome(Runner(place), run)
    checkpoint = training_folder(place.results, run) / CHECKPOINT
    written = checkpoint.stat().st_mtime_ns
    again, _ = outcome(Runner(place), run)
    assert again.scores == first.scores
    assert (len(heard), checkpoint.stat().st_mtime_ns) == (2, written)
    assert sorted(first.files) == sorted([LEARNED, "split.json"])
    assert {score.target for score in first.scores} == set(run.spec.targets)
    assert first.cost.trainable_parameters > 0
    assert {"python", "torch", "device", "backbone"} <= set(first.environment)


def test_what_cannot_be_scored_keeps_its_reason(place: ExecutionConfig, planned: tuple[PlannedRun, ...]) -> None:
    found, _ = outcome(Runner(place), of(planned, "linear-probe")[0])
    assert [target.subset for target in found.unscored] == ["novel"]
    assert all(found.unscored.values())
    assert [score.target.subset for score in found.scores] == ["base"]


def test_only_seeds_of_one_setting_are_trained_together(
    place: ExecutionConfig, planned: tuple[PlannedRun, ...]
) -> None:
    one, other = of(planned, "coop")
    together = Runner(replace(place, seeds_together=True))
    assert Runner(place).together([one, other]) == []
    assert together.together([one, other]) == [0, 1]
    assert together.together([one, one]) == []
    assert together.together([one, replace(other, config={**other.config, "n_ctx": 2})]) == []


def test_runs_are_scored_together_as_alone(place: ExecutionConfig, planned: tuple[PlannedRun, ...]) -> None:
    runner, runs = Runner(place), of(planned, "coop")
    trained = [runner.train(run, lambda _: None) for run in runs]
    both = runner.score(trained)
    assert [each.scores for each in both if isinstance(each, RunResult)] == [
        outcome(Runner(place), run)[0].scores for run in runs
    ]


def test_the_folder_of_a_training_is_named_by_what_decides_it() -> None:
    from record_runs import plan

    run = plan("small")
    assert training_folder(Path("results"), run) == Path("results") / "checkpoints" / run.train_key
