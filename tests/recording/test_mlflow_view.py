"""The view in which MLflow's own pages open."""

import json
from urllib.parse import parse_qs, urlparse

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.recording.mlflow_view import VIEW, VIEW_TAG, view_address
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
