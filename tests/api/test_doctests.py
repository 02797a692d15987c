"""The examples in the API's docstrings run as they stand."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

MODULES = (
    "promptarena",
    "promptarena.comparing",
    "promptarena.learners",
    "promptarena.lookups",
    "promptarena.outcomes",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tried = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert tried.attempted > 0
    assert tried.failed == 0
