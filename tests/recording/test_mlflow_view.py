"""The view in which MLflow's own pages open."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from record_runs import begin, plan, result

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.runs import PlannedRun, Score, Target
from promptarena.benchmark.recording.mlflow_view import VIEW, VIEW_TAG, datasets_of, view_address
from promptarena.benchmark.recording.record import Record


def test_it_shows_the_last_comparison_only(record: Record, suite: str) -> None:
    comparisons = [record.comparison(suite, key, "text") for key in ("of-two", "of-one")]
    client = record.access.client
    experiment = client.get_run(comparisons[0]).info.experiment_id

    def shown() -> list[str]:
        state = json.loads(client.get_experiment(experiment).tags[VIEW_TAG])
        column = state["orderByKey"]
        found = client.search_runs([experiment], state["searchFilter"], order_by=[f"{column} DESC"])
        return [run.data.tags["label"] for run in found]

    tables = {"base-to-novel.md": "| a |"}
    both = {
        Label("linear-probe"): {"Base base-to-novel": 80.0},
        Label("zeroshot"): {"HM base-to-novel": 60.0, "Base base-to-novel": 65.0},
        Label("coop"): {"HM base-to-novel": 70.0, "Base base-to-novel": 75.0},
    }
    one = {Label("coop"): {"HM base-to-novel": 90.0}}
    record.log_tables(comparisons[0], tables, both, ["food", "pets"])
    assert shown() == ["coop", "zeroshot", "linear-probe"]
    record.log_tables(comparisons[1], tables, one, ["food"])
    assert shown() == ["coop"]
    record.log_tables(comparisons[0], tables, both, ["food", "pets"])
    assert shown() == ["coop", "zeroshot", "linear-probe"]
    assert client.get_run(record.method_run(comparisons[0], Label("coop"))).data.tags["datasets"] == "food pets"


def test_the_address_names_experiment_and_view() -> None:
    page = urlparse(view_address("7")).fragment
    assert page.startswith("/experiments/7/runs?")
    assert parse_qs(urlparse(page).query)["viewStateShareKey"] == [VIEW]


def planned_of(suite: str, method: str, **options: Any) -> PlannedRun:
    """A run whose plan names the digests of both targets."""
    made = plan(suite, method=method, **options)
    return replace(made, provenance={**made.provenance, "targets": {"dtd/base": "b" * 64, "dtd/novel": "n" * 64}})


def test_mlflow_ranks_the_learners_of_a_target(record: Record, suite: str) -> None:
    right = {"coop": (10, 70), "maple": (30, 50), "vpt": (20, 60)}
    for method, (base, novel) in right.items():
        planned = planned_of(suite, method)
        scores = (
            Score(Target("dtd", "base"), (base,), (80,)),
            Score(Target("dtd", "novel"), (novel,), (80,)),
            Score(Target("dtd", "novel"), (1,), (80,), "another reading"),
        )
        record.finish(begin(record, planned), result(scores=scores), planned=planned)
    client = record.access.client
    experiment = record.access.experiment(suite)
    for place, subset in enumerate(("base", "novel")):
        dataset = {"dataset_name": f"dtd/{subset}", "dataset_digest": subset[0] * 36}
        found = client.search_logged_models(
            [experiment],
            datasets=[dataset],
            order_by=[{"field_name": f"metrics.accuracy_{subset}", "ascending": False, **dataset}],
        )
        assert [model.name for model in found] == sorted(right, key=lambda name: -right[name][place])
        for model in found:
            metrics = {each.key: each for each in model.metrics or ()}
            assert set(metrics) == {"accuracy_base", "accuracy_novel"}, "a handful"
            assert metrics[f"accuracy_{subset}"].value == 100 * right[model.name][place] / 80
            assert metrics[f"accuracy_{subset}"].dataset_name == f"dtd/{subset}"
            run = client.get_run(model.source_run_id)
            assert run.data.tags["method"] == model.name == model.params["method"]
            assert [each.model_id for each in run.outputs.model_outputs] == [model.model_id]
            assert {(each.dataset.name, each.tags[0].value) for each in run.inputs.dataset_inputs} == {
                ("dtd", "training"),
                ("dtd/base", "evaluation"),
                ("dtd/novel", "evaluation"),
            }


@pytest.mark.parametrize("method", ["coop", "a/b:c.d%e"])
def test_a_model_is_there_once_and_ready_only_when_its_run_is_finished(record: Record, suite: str, method: str) -> None:
    planned = planned_of(suite, method)
    run_id = begin(record, planned)
    client, experiment = record.access.client, record.access.experiment(suite)
    assert client.search_logged_models([experiment]) == []
    record.finish(run_id, result(), planned=planned)
    (model,) = client.search_logged_models([experiment])
    assert (model.status, model.tags["mlflow.model.isExternal"]) == ("READY", "true")
    assert not set(model.name) & set("/:.%")


def test_a_plan_without_digests_names_no_datasets(suite: str) -> None:
    planned = plan(suite)
    assert [each.name for each in datasets_of(planned)] == ["dtd", "dtd/base"]
    assert datasets_of(replace(planned, provenance={})) == []
    assert datasets_of(replace(planned, provenance={"targets": "dtd"})) == []
