import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faulty_server import faulty_server
from preparing import OWN_ROWS, World

from promptarena.benchmark.data.cards import Card


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr("promptarena.benchmark.data.cards._CARDS", tmp_path / "cards")
    with faulty_server() as server:
        yield World(tmp_path, server)


@pytest.fixture
def official(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stands in for the module that divides datasets; `rebuilt` is what it makes of the published split."""
    asked: dict[str, Any] = {"folders": [], "rebuilt": None}

    def write_own_split(card: Card, folder: Path, out: Path) -> None:
        asked["folders"].append(folder)
        out.write_text(json.dumps(OWN_ROWS), encoding="utf-8")

    stand_in = SimpleNamespace(write_own_split=write_own_split, rebuild_split=lambda card, folder: asked["rebuilt"])
    monkeypatch.setitem(sys.modules, "promptarena.benchmark.data.prepare.rebuilt_splits", stand_in)
    return asked
