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


def test_further_predictions_are_counted_as_far_as_they_can_be() -> None:
    result = scored()
    cooled = [replace(drawn(60, 6, reading=reading, seed=9), target=TARGET.tempered) for reading in READINGS]
    far = [replace(drawn(9, 6, reading=reading), target=Target("food", "far")) for reading in READINGS]
    more = {TARGET.tempered: to_parquet(cooled), Target("food", "far"): to_parquet(far)}
    check_predictions(replace(result, predictions={**result.predictions, **more}))
    fewer = to_parquet([replace(drawn(50, 6, reading=reading), target=TARGET.tempered) for reading in READINGS])
    for target, content in ((TARGET.tempered, fewer), (TARGET.tempered, to_parquet(far))):
        with pytest.raises(ValueError, match=r"predictions/food\.all-tempered\.parquet"):
            check_predictions(replace(result, predictions={target: content}))


@pytest.mark.parametrize("target", [Target("food", "base"), Target("things-v2", "all"), Target("sun_397", "novel")])
def test_a_file_s_name_says_its_target(target: Target) -> None:
    assert target_of(file_name(target)) == target


@pytest.mark.parametrize("name", ["learned.safetensors", "predictions/../x.all.parquet", "predictions/food.parquet"])
def test_other_files_have_none(name: str) -> None:
    assert target_of(name) is None
