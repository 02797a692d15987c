"""A plan as text and as JSON."""

import json
from pathlib import Path

import pytest
from e2e_inside import call, complaint
from e2e_world import make_world

from promptarena.benchmark.core.paths import DATASETS


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROMPTARENA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return make_world(tmp_path / "world")


def test_a_plan_is_a_document(suite: Path) -> None:
    words = ("compare", suite, "--plan", "--methods", "zeroshot", "coop", "--protocols", "base-to-novel")
    text = call(*words)
    assert (text.code, text.err) == (0, "")
    assert "2 runs, 0 already done, 2 to run" in text.out
    document = json.loads(call(*words, "--format", "json").out)
    assert document["suite"] == "small"
    assert {run["label"]: run["status"] for run in document["runs"]} == {"zeroshot": "missing", "coop": "missing"}
    assert all(len(run["key"]) == 64 and run["expected_seconds"] is None for run in document["runs"])
    assert document["missing_data"] == {}


def test_what_is_missing_is_in_the_document(suite: Path, tmp_path: Path) -> None:
    document = json.loads(call("compare", "clip-15", "--plan", "--json", "--root", tmp_path, "--seeds", "1").out)
    assert "imagenet" in document["missing_data"]
    assert document["missing_weights"]
    assert all(run["gpu_hours"] == max(run["gpu_hours_by_work"].values()) > 0 for run in document["runs"])
    assert (DATASETS / "suites" / "clip-15.toml").is_file()


def test_options_that_contradict_each_other_are_refused(suite: Path) -> None:
    assert "--format is for --plan" in complaint("compare", suite, "--format", "json")
    assert "--quiet prints nothing" in complaint("compare", suite, "--quiet", "--json")
    assert "--quiet prints nothing" in complaint("compare", suite, "--quiet", "--plan")
