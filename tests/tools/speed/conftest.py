import importlib

import pytest


@pytest.fixture(autouse=True)
def _no_time_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round is one call, and what other tests left is not searched for garbage, which takes seconds in a long run."""
    monkeypatch.setattr(importlib.import_module("tools.speed.measure"), "SHORT", 0.0)
    monkeypatch.setattr("gc.unfreeze", lambda: None)
