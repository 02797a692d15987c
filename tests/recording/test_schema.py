"""What a run's parameters and tags hold, within the limits of MLflow."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from record_runs import begin, plan, result

from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.recording.record import Record


@pytest.mark.parametrize("value", ["8", "v" * 9000], ids=["short", "longer than a tag"])
def test_overrides_come_back_and_those_of_runs_without_their_tag_from_the_plan(
    record: Record, suite: str, value: str
) -> None:
    planned = plan(suite)
    planned = replace(planned, spec=replace(planned.spec, overrides=(("n_ctx", value), ("text", "a, b=c: d"))))
    run_id = begin(record, planned)
    record.finish(run_id, result())
    (stored,) = record.results(suite)
    assert stored.name == planned.spec.name
    if "overrides" in record.access.client.get_run(run_id).data.tags:
        record.access.client.delete_tag(run_id, "overrides")
    assert record.results(suite) == [stored]


def test_a_method_that_draws_nothing_has_no_seed(record: Record, suite: str) -> None:
    record.finish(begin(record, plan(suite, seed=None)), result())
    assert [stored.seed for stored in record.results(suite)] == [None]


def test_unscored_targets_keep_their_reason(record: Record, suite: str) -> None:
    novel = Target("dtd", "novel")
    base_only = result().scores[:1]
    record.finish(
        begin(record, plan(suite)), result(scores=base_only, unscored={novel: "a linear head: no novel classes"})
    )
    (stored,) = record.results(suite)
    assert stored.unscored == {novel: "a linear head: no novel classes"}
    assert len(stored.scores) == 1


def test_long_and_numerous_parameters_fit_mlflow_s_limits(record: Record, suite: str, tmp_path: Path) -> None:
    settings = {f"setting_{number}": number for number in range(150)} | {"template": "x" * 7000, "odd%name": [1, 2]}
    planned = plan(suite, **settings)
    params = record.access.client.get_run(run_id := begin(record, planned)).data.params
    assert len(params) > 150
    assert params["config.odd_name"] == "[1, 2]"
    assert len(params["config.template"]) == 6000
    assert params["config.template"].endswith("(7000 characters, whole in config.json)")
    whole = json.loads(record.artifact(run_id, "config.json", tmp_path).read_text())
    assert whole["config"]["template"] == "x" * 7000
