"""The view in which MLflow's own pages open."""

import json
from urllib.parse import parse_qs, urlparse

from promptarena.benchmark.recording.mlflow_view import FIRST_CHOICE, VIEW, view_address, view_state


def test_columns_of_earlier_comparisons_are_kept_and_none_is_there_twice() -> None:
    first = view_state([FIRST_CHOICE, "few-shot/accuracy_pct"], None)
    second = json.loads(view_state(["cross-dataset/accuracy_pct", FIRST_CHOICE], first))
    columns = second["selectedColumns"]
    assert columns[: len(json.loads(first)["selectedColumns"])] == json.loads(first)["selectedColumns"]
    assert len(columns) == len(set(columns)) == 4
    assert second["orderByKey"] == f"metrics.`{FIRST_CHOICE}`"


def test_methods_are_sorted_by_a_column_that_is_there() -> None:
    state = json.loads(view_state(["few-shot/accuracy_pct"], None))
    assert state["orderByKey"] in state["selectedColumns"]
    assert not state["orderByAsc"]


def test_the_address_names_experiment_and_view() -> None:
    page = urlparse(view_address("7")).fragment
    assert page.startswith("/experiments/7/runs?")
    assert parse_qs(urlparse(page).query)["viewStateShareKey"] == [VIEW]
