"""What was predicted, as a user finds it: recorded, exported, imported, and left out where that was asked for."""

import hashlib
import io
import json
from pathlib import Path

import e2e_record
import pandas as pd
import pyarrow.parquet as pq
import pytest
from e2e_command import succeed
from e2e_inside import call, complaint
from e2e_world import COLOURS, PER_CLASS, make_world

WORDS = ("--methods", "zeroshot", "coop", "--protocols", "base-to-novel", "--workers", "1")


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The suite, and a folder with its results."""
    folder = tmp_path_factory.mktemp("arena")
    suite = make_world(folder / "world")
    succeed("compare", suite, *WORDS, cwd=folder)
    return suite, folder / "results"


@pytest.fixture(scope="module")
def export(arena: tuple[Path, Path]) -> Path:
    suite, results = arena
    assert call("export", suite, "--out", results / "export", "--results", results).code == 0
    return results / "export"


def test_every_run_keeps_a_file_for_each_target(arena: tuple[Path, Path]) -> None:
    _, results = arena
    for run in e2e_record.runs(results):
        names = {"predictions/noisy.base.parquet", "predictions/noisy.novel.parquet"}
        assert e2e_record.artifacts(results, run, "predictions") == names
        scores = {
            score["target"]["subset"]: score for score in json.loads(e2e_record.read(results, run, "scores.json"))
        }
        for name in names:
            content = e2e_record.read(results, run, name)
            _, subset, _ = name.split(".")
            assert run.data.tags[f"predictions/noisy/{subset}"] == hashlib.sha256(content).hexdigest()
            frame = pd.read_parquet(io.BytesIO(content))
            assert len(frame) == 2 * PER_CLASS["test"]
            right = frame[frame["class_1"] == frame["label"]].groupby("label").size().reindex(range(2), fill_value=0)
            assert right.tolist() == scores[subset]["correct"]
            assert ((frame["rank"] == 1) == (frame["class_1"] == frame["label"])).all()
            about = json.loads(pq.read_schema(io.BytesIO(content)).metadata[b"promptarena"])
            half = slice(2) if subset == "base" else slice(2, 4)
            assert about["classes"] == sorted(COLOURS)[half]
            assert frame["image"].str.startswith("noisy/").all()
            assert frame["image"].is_unique


def test_the_comparison_keeps_boards_and_figures_made_from_them(arena: tuple[Path, Path]) -> None:
    _, results = arena
    (comparison,) = e2e_record.runs(results, "comparison")
    kept = e2e_record.artifacts(results, comparison, "figures/base-to-novel")
    stems = ("reliability", "risk-coverage")
    assert {f"figures/base-to-novel/{stem}.{end}" for stem in stems for end in ("png", "svg")} <= kept
    assert "tables/base-to-novel-calibration.csv" in e2e_record.artifacts(results, comparison, "tables")


def test_they_travel_with_exports(arena: tuple[Path, Path], export: Path, tmp_path: Path) -> None:
    suite, results = arena
    assert call("import", export, "--results", tmp_path / "results").code == 0

    def kept(folder: Path) -> dict[str, dict[str, bytes]]:
        return {
            e2e_record.name(run): {
                name: e2e_record.read(folder, run, name) for name in e2e_record.artifacts(folder, run, "predictions")
            }
            for run in e2e_record.runs(folder)
        }

    assert kept(tmp_path / "results") == kept(results)
    before = {path: path.stat().st_mtime_ns for path in export.rglob("*.parquet")}
    assert len(before) == 4
    assert call("export", suite, "--out", export, "--results", results).code == 0
    assert {path: path.stat().st_mtime_ns for path in export.rglob("*.parquet")} == before


def test_damaged_ones_are_refused_before_anything_is_imported(export: Path, tmp_path: Path) -> None:
    path = next(export.rglob("*.parquet"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    try:
        assert f"{path} is damaged" in complaint("import", export, "--results", tmp_path / "results")
    finally:
        path.write_bytes(whole)
    assert not (tmp_path / "results").exists()


def test_they_are_left_out_on_request(arena: tuple[Path, Path], tmp_path: Path) -> None:
    suite, results = arena
    succeed("compare", suite, *WORDS, "--no-predictions", cwd=tmp_path)
    for run in e2e_record.runs(tmp_path / "results"):
        assert not e2e_record.artifacts(tmp_path / "results", run, "predictions")
    assert e2e_record.figures(tmp_path / "results") == e2e_record.figures(results)
