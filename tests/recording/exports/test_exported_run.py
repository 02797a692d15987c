"""One exported run: its schema, and what is refused in it."""

import json
import math
from pathlib import Path
from typing import Any

import exported as made
import jsonschema
import pytest
from export_folders import path_of, refusal, rewritten, write
from exported import exported, planned, result

from promptarena.benchmark.recording.exports import folder as exports
from promptarena.benchmark.recording.exports.exported_run import ExportedRun, run_schema


def test_a_run_gives_back_its_plan_and_its_result() -> None:
    run = ExportedRun.model_validate_json(exported().content())
    assert run.planned() == planned()
    assert run.result() == result()
    stored = run.stored()
    assert [(score.target, score.correct, score.total, score.reading) for score in stored.scores] == [
        (made.BASE, 40, 80, ""),
        (made.NOVEL, 20, 80, ""),
        (made.NOVEL, 40, 80, "class feature"),
    ]
    assert stored.settings["recipe.lr"] == "0.002"
    assert stored.settings["provenance.targets.dtd/base"] == "abc"


def test_a_loss_that_was_no_number_is_null() -> None:
    run = exported(out=result(curves=({"epoch": 1, "loss": math.nan},)))
    assert json.loads(run.content())["curves"] == [{"epoch": 1.0, "loss": None}]
    assert math.isnan(ExportedRun.model_validate_json(run.content()).result().curves[0]["loss"])


def test_the_published_schema_is_that_of_the_files() -> None:
    schema = Path(exports.__file__).with_name("run.schema.json").read_text()
    assert schema == run_schema()
    validator = jsonschema.Draft202012Validator(json.loads(schema))
    document = json.loads(exported().content())
    validator.validate(document)
    for wrong in ({"surprise": 1}, {"run_key": "../x"}, {"schema_version": 2}, {"scores": [{"correct": [-1]}]}):
        assert list(validator.iter_errors(document | wrong)), wrong


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"surprise": 1}, "unknown field 'surprise'"),
        ({"run_id": 3}, "field 'run_id' is 3"),
        ({"run_key": "../../x"}, "field 'run_key'"),
        ({"miniature": "true"}, "field 'miniature'"),
        ({"finished_at": "2026-01-01T00:00:00"}, "field 'finished_at'"),
        ({"suite": "../etc"}, "field 'suite'"),
        ({"cost": {**json.loads(exported().content())["cost"], "train_seconds": -1}}, "train_seconds"),
    ],
)
def test_a_file_of_another_form_is_refused_even_with_a_fitting_digest(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    run = exported()
    path = path_of(write(tmp_path, run), run)
    rewritten(path, reseal=True, **changes)
    text = refusal(tmp_path)
    assert words in text
    assert str(path) in text


@pytest.mark.parametrize(
    ("correct", "total", "words"),
    [([81], [80], "more right answers"), ([0], [0], "no images"), ([1, 1], [80], "2 classes right but 1 seen")],
)
def test_impossible_counts_are_refused(tmp_path: Path, correct: list[int], total: list[int], words: str) -> None:
    run = exported()
    path = path_of(write(tmp_path, run), run)
    target = {"dataset": "dtd", "subset": "novel"}
    scores = [{"target": target, "reading": "", "correct": correct, "total": total}]
    rewritten(path, reseal=True, scores=scores)
    assert words in refusal(tmp_path)


def test_not_a_number_is_refused(tmp_path: Path) -> None:
    run = exported()
    path = path_of(write(tmp_path, run), run)
    cost = json.loads(path.read_text())["cost"] | {"train_seconds": math.nan}
    rewritten(path, reseal=True, cost=cost)
    assert "train_seconds" in refusal(tmp_path)
