"""Comparisons from Python."""

import shutil
from pathlib import Path

import pytest
from notebook_cells import CELL, SMALL, run_cell

import promptarena as pa


def test_the_same_cell_runs_nothing_and_another_constant_is_another_method(results: pa.Results, folder: Path) -> None:
    again = run_cell(CELL, "<cell 2>")["MyLearner"]
    same = pa.compare(methods=["zeroshot", again], results=folder / "results", **SMALL)  # type: ignore[list-item]
    assert set(same.frame["run_id"]) == set(results.frame.query("method in ('zeroshot', 'mylearner')")["run_id"])
    changed = run_cell(CELL.replace("SCALE = 0.5", "SCALE = 0.25"), "<cell 3>")["MyLearner"]
    shutil.copytree(folder / "results", folder / "changed")  # tests look at what is in the other one
    pa.compare(methods=[changed], results=folder / "changed", **SMALL)  # type: ignore[list-item]
    assert len(pa.load_results(folder / "changed")) == len(results) + 1


def test_mistakes_are_one_line(folder: Path) -> None:
    with pytest.raises(pa.UserError, match="unknown method 'coopp'"):
        pa.compare(methods=["coopp"], results=folder / "none")
    with pytest.raises(pa.UserError, match="unknown precision 'fp8'"):
        pa.compare(methods="zeroshot", precision="fp8", results=folder / "of-no-precision", **SMALL)  # type: ignore[arg-type]
    with pytest.raises(pa.UserError, match="unknown precision 'fp8'"):
        pa.load_backbone(precision="fp8")  # type: ignore[arg-type]
    with pytest.raises(pa.UserError, match="no record in"):
        pa.load_results(folder / "none")
    assert not (folder / "none").exists()
    value = run_cell(CELL + "\nimport threading\nLOCK = threading.Lock()\n", "<cell 4>")
    learner = run_cell(CELL.replace("SCALE = 0.5", "SCALE = object()"), "<cell 5>")["MyLearner"] if value else None
    with pytest.raises(pa.UserError, match="uses SCALE, a object of the notebook"):
        pa.compare(methods=[learner], results=folder / "none", **SMALL)  # type: ignore[list-item]
