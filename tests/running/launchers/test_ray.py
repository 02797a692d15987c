"""What is wrong with the options of the Ray launcher is said in one line."""

import importlib
from pathlib import Path
from typing import Any

import pytest
from e2e_inside import complaint

GIVEN = ("compare", "--methods", "zeroshot", "--launcher", "ray")


def test_mistakes_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--devices: Ray gives each worker its device" in complaint(*GIVEN, "--devices", "cuda:0")
    assert "--launcher ray: field 'actors' is 0" in complaint(*GIVEN, "--ray-actors", "0")


def test_without_ray_the_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = importlib.import_module

    def without(name: str, *rest: Any) -> Any:
        if name == "ray":
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib, "import_module", without)
    assert complaint(*GIVEN) == "--launcher ray needs Ray; pip install 'promptarena[ray]'"
