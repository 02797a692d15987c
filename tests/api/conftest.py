from pathlib import Path

import pytest
from notebook_cells import CELL, SMALL, run_cell

import promptarena as pa


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="session")
def results(folder: Path) -> pa.Results:
    """One comparison for all tests: two methods of the package, a class of a cell, and one that is derived from it."""
    more = '\n\nclass Twice_As(MyLearner):\n    """Twice the offset."""\n\n    about = MyLearner.about\n'
    cell = run_cell(CELL + more, "<cell 1>")
    return pa.compare(
        methods=["zeroshot", "coop", cell["MyLearner"], cell["Twice_As"]],  # type: ignore[list-item]
        settings={"coop.recipe.epochs": 2},
        results=folder / "results",
        **SMALL,
    )
