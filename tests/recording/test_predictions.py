"""Predictions in the record: files with digests, checked against the scores."""

from dataclasses import replace

import pytest
from drawn_predictions import drawn

from promptarena.benchmark.core.predictions import to_parquet
from promptarena.benchmark.core.runs import Cost, RunResult, Score, Target
from promptarena.benchmark.recording.predictions import check_predictions, file_name, target_of

TARGET = Target("food", "all")
READINGS = ("", "other")


def scored() -> RunResult:
    found = [drawn(60, 6, reading=reading, seed=seed) for seed, reading in enumerate(READINGS)]
    scores = tuple(Score(TARGET, *each.counts(), each.reading) for each in found)
    return RunResult(scores, Cost(0, 0.0, 0, 0.0, 60, 0.0), predictions={TARGET: to_parquet(found)})


def test_predictions_that_the_scores_count_pass() -> None:
    check_predictions(scored())
    check_predictions(replace(scored(), predictions={}))


@pytest.mark.parametrize("fault", ["other images", "a reading less", "another target", "damaged"])
def test_others_are_refused(fault: str) -> None:
    result = scored()
    content = {
        "other images": to_parquet([drawn(60, 6, reading=reading, seed=7) for reading in READINGS]),
        "a reading less": to_parquet([drawn(60, 6)]),
        "another target": result.predictions[TARGET],
        "damaged": result.predictions[TARGET][:-9],
    }[fault]
    target = Target("food", "base") if fault == "another target" else TARGET
    with pytest.raises(ValueError, match=r"predictions/food\.(all|base)\.parquet"):
        check_predictions(replace(result, predictions={target: content}))


@pytest.mark.parametrize("target", [Target("food", "base"), Target("things-v2", "all"), Target("sun_397", "novel")])
def test_a_file_s_name_says_its_target(target: Target) -> None:
    assert target_of(file_name(target)) == target


@pytest.mark.parametrize("name", ["learned.safetensors", "predictions/../x.all.parquet", "predictions/food.parquet"])
def test_other_files_have_none(name: str) -> None:
    assert target_of(name) is None
