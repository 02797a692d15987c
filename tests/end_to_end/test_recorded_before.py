"""Runs recorded by an earlier version: their tables keep every byte, they count as done, and their figures come again.

The folder's README says what to do when a figure is meant to change.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import recorded_before
from e2e_command import succeed

from promptarena.benchmark.inputs.transforms import TRANSFORM_VERSION
from promptarena.benchmark.planning.plan import PROTOCOL_VERSION, TRAINING_VERSION

VERSIONS = {
    "training_version": TRAINING_VERSION,
    "protocol_version": PROTOCOL_VERSION,
    "transform_version": TRANSFORM_VERSION,
}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded_before.suite(tmp_path_factory.mktemp("world"))


def runs_of(export: Path) -> dict[str, Any]:
    """Exported runs by key."""
    runs = [json.loads(path.read_text()) for path in (export / "runs").glob("*.json")]
    return {run["run_key"]: run for run in runs}


@pytest.mark.parametrize("format_name", recorded_before.FORMATS)
def test_tables_of_earlier_exports_keep_every_byte(format_name: str, suite: Path, tmp_path: Path) -> None:
    before = (recorded_before.FOLDER / f"tables.{format_name}.txt").read_text()
    assert recorded_before.tables(suite, format_name, tmp_path) == before


def test_runs_recorded_before_are_done(suite: Path, tmp_path: Path) -> None:
    succeed("import", recorded_before.EXPORT, cwd=tmp_path)
    ended = succeed("compare", suite, *recorded_before.ARGUMENTS, "--plan", cwd=tmp_path)
    assert "35 runs, 35 already done, 0 to run" in ended.out


def test_figures_move_only_with_a_version(suite: Path, tmp_path: Path) -> None:
    before = runs_of(recorded_before.EXPORT)
    recorded = [{name: run["provenance"][name] for name in VERSIONS} for run in before.values()]
    assert all(versions == VERSIONS for versions in recorded), "a version was raised: make the folder again"
    succeed("compare", suite, *recorded_before.ARGUMENTS, cwd=tmp_path, PROMPTARENA_CACHE=str(tmp_path / "cache"))
    succeed("export", suite, "--out", tmp_path / "export", cwd=tmp_path)
    after = runs_of(tmp_path / "export")
    assert set(after) == set(before), "keys moved, so that recorded runs would be run again"
    for key, run in before.items():
        assert after[key]["scores"] == run["scores"], "figures moved: raise TRAINING_VERSION or PROTOCOL_VERSION"
