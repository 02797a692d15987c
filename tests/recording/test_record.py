"""The record, against real sqlite stores. One store serves most tests; each has a suite (an experiment) of its own."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from record_child import open_and_compare
from record_runs import begin, plan

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.recording.record import Record


def test_runs_hang_under_their_method_and_comparison(record: Record, suite: str) -> None:
    run_id = begin(record, plan(suite))
    run = record.access.client.get_run(run_id)
    method = record.access.client.get_run(run.data.tags["mlflow.parentRunId"])
    comparison = record.access.client.get_run(method.data.tags["mlflow.parentRunId"])
    assert (method.data.tags["label"], comparison.data.tags["level"]) == ("coop", "comparison")
    assert run.data.tags["comparison"] == comparison.info.run_id
    tags_of = ("suite", "protocol", "method", "dataset", "subset", "shots", "seed", "backbone", "miniature")
    assert [run.data.tags[name] for name in tags_of] == [
        suite, "base-to-novel", "coop", "dtd", "base", "16", "1", "mini-clip", "true",
    ]  # fmt: skip


def test_the_same_comparison_is_made_once(record: Record, suite: str) -> None:
    first = record.comparison(suite, "k1", "text")
    assert record.comparison(suite, "k1", "text") == first
    assert record.comparison(suite, "k2", "text") != first
    name = Label("coop", (("n_ctx", "16"),))
    method = record.method_run(first, name)
    assert record.method_run(first, name) == method
    tags = record.access.client.get_run(method).data.tags
    assert (tags["label"], tags["method"]) == ("coop(n_ctx=16)", "coop")
    with pytest.raises(ValueError, match="digest"):
        record.comparison(suite, "k' OR '1", "text")


def test_several_processes_may_start_at_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(open_and_compare, [str(tmp_path)] * 2))
    assert len(set(found)) == 1
