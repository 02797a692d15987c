from pathlib import Path

import pytest
from notebook_cells import CELL, SMALL, run_cell

import promptarena as pa


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="session")
def results(folder: Path) -> pa.Results:
    learner = run_cell(CELL, "<cell 1>")["MyLearner"]
    return pa.compare(methods=["zeroshot", learner], results=folder / "results", **SMALL)  # type: ignore[list-item]
