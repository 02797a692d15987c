"""The examples in the API's docstrings run as they stand."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

MODULES = (
    "promptarena",
    "promptarena.comparing",
    "promptarena.learners",
    "promptarena.loading",
    "promptarena.lookups",
    "promptarena.leaderboards",
    "promptarena.outcomes",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all examples, so that a comparison is run once."""
    return tmp_path_factory.mktemp("examples")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tried = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert tried.attempted > 0
    assert tried.failed == 0
