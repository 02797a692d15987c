"""Methods that are defined in a cell of a notebook."""

from pathlib import Path

from notebook_cells import CELL, SMALL, run_cell

import promptarena as pa


def test_a_class_of_a_cell_is_compared_and_its_source_is_kept(results: pa.Results, folder: Path) -> None:
    assert sorted(results.frame["method"].unique()) == ["mylearner", "zeroshot"]
    (kept,) = (folder / "results" / "plugins").rglob("mylearner.py")
    text = kept.read_text()
    assert "SCALE = 0.5" in text
    assert text.index("def offset") < text.index("class MyLearner")


def test_two_classes_of_one_cell_and_a_base_class_are_named_as_they_are_listed(folder: Path) -> None:
    more = CELL + '\n\nclass Twice_As(MyLearner):\n    """Twice the offset."""\n\n    about = MyLearner.about\n'
    cell = run_cell(more.replace("class MyLearner", "class Once").replace("MyLearner", "Once"), "<cell 6>")
    found = pa.compare(methods=[cell["Once"], cell["Twice_As"]], results=folder / "results", **SMALL)  # type: ignore[list-item]
    assert sorted(found.frame["method"].unique()) == ["once", "twice-as"]
