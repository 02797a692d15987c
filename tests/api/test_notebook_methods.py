"""Methods that are defined in a cell of a notebook."""

from pathlib import Path

import promptarena as pa


def test_a_class_of_a_cell_is_compared_and_its_source_is_kept(results: pa.Results, folder: Path) -> None:
    (kept,) = (folder / "results" / "plugins").rglob("mylearner.py")
    text = kept.read_text()
    assert "SCALE = 0.5" in text
    assert text.index("def offset") < text.index("class MyLearner")


def test_two_classes_of_one_cell_and_a_base_class_are_named_as_they_are_listed(results: pa.Results) -> None:
    assert sorted(results.frame["method"].unique()) == ["coop", "mylearner", "twice-as", "zeroshot"]
