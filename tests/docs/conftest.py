import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_command import succeed

FIRST = ("--methods", "zeroshot", "coop", "--datasets", "digits", "textures", "--protocols", "base-to-novel")


@pytest.fixture(scope="session")
def first_record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of what pages and notebooks compare first, with two seeds."""
    folder = tmp_path_factory.mktemp("first")
    succeed("compare", *FIRST, "--seeds", "1", "2", "--workers", "1", cwd=folder)
    return folder / "results"


@pytest.fixture
def compared(first_record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with that record: what code compares first is there already."""
    import mlflow

    shutil.copytree(first_record, tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield tmp_path
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # a page sets it, also in the environment
