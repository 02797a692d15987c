"""Results as tables, plots and reports, and loaded from where they are kept."""

import subprocess
import sys
from pathlib import Path

import pytest

import promptarena as pa


def test_results_are_tables_plots_and_a_report(results: pa.Results, folder: Path) -> None:
    board = results.leaderboard()
    assert list(board.to_frame().columns) == ["base_pct", "novel_pct", "hm_pct"]
    assert {table.key for table in board.board.tables} == {"average", "digits", "cost"}, "only what has results"
    assert "<table" in board._repr_html_()
    assert "\\begin{table" in board.to_latex()
    assert "| Method" in board.to_markdown()
    assert "Mean ranks" in repr(results.statistics("zeroshot"))
    assert results.plot("bars").axes
    assert results.plot("dots", width=3.3).get_figwidth() == 3.3
    with pytest.raises(pa.UserError, match=r"unknown plot of these results .bar..*bars"):
        results.plot("bar")
    with pytest.raises(pa.UserError, match="few-shot"):
        results.leaderboard("few-shot")
    assert results.report(folder / "r.html").read_text().lower().startswith("<!doctype html>")
    assert "mini" in repr(results.distances()) or results.distances().board.tables


def test_results_are_loaded_from_a_folder_an_address_and_an_export(results: pa.Results, folder: Path) -> None:
    place = folder / "results"
    loaded = pa.load_results(place)
    assert set(results.frame["run_id"]) <= set(loaded.frame["run_id"])
    assert len(pa.load_results(f"sqlite:///{place / 'mlflow.db'}")) == len(loaded)
    command = [sys.executable, "-m", "promptarena.benchmark.cli.main", "export", "--out", str(folder / "export")]
    subprocess.run([*command, "--results", str(place)], check=True, capture_output=True)
    assert pa.load_results(folder / "export").frame["correct"].sum() == loaded.frame["correct"].sum()


def test_plots_from_predictions_are_of_the_average_of_a_dataset_or_of_a_method(results: pa.Results) -> None:
    for name in ("reliability", "risk-coverage"):
        average, alone = results.plot(name), results.plot(name, dataset="digits")
        assert len(average.axes) == len(alone.axes) == 2
        assert "average over 1 dataset" in average.get_suptitle()
        with pytest.raises(pa.UserError, match=r"unknown dataset .*digit.*digits"):
            results.plot(name, dataset="digit")
    method = results.frame["label"].iloc[0]
    matrices = results.plot("confusion", dataset="digits", method=method)
    assert [axes.get_title() for axes in matrices.axes] == ["Base classes", "Novel classes"]
    with pytest.raises(pa.UserError, match="dataset of a confusion matrix"):
        results.plot("confusion", method=method)
    with pytest.raises(pa.UserError, match="method of a confusion matrix"):
        results.plot("confusion", dataset="digits", method="coop")
