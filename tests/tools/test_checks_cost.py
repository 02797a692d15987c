"""The tool times functions that are there, each once."""

import json
import os
import time
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from types import ModuleType

import pytest

from tools.checks_cost import CHECKS, CLOCK


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, names in CHECKS.items() for name in names])
def test_what_is_timed_is_a_function_of_its_module(path: str, name: str) -> None:
    module = import_module(f"promptarena.{path.removesuffix('.py').replace('/', '.')}")
    assert callable(attrgetter(name)(module))


def test_a_check_within_a_check_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECKS_COST", str(tmp_path))
    clock = ModuleType("clock")
    exec(CLOCK, vars(clock))
    inner = clock.timed("inner", lambda: time.sleep(0.02))
    outer = clock.timed("outer", lambda: inner())
    outer()
    spent = json.loads((tmp_path / f"{os.getpid()}.json").read_text())
    assert set(spent) == {"outer"}
    assert spent["outer"][1] >= 0.02
    inner()
    assert set(json.loads((tmp_path / f"{os.getpid()}.json").read_text())) == {"outer", "inner"}
