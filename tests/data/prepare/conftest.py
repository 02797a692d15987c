"""A server whose faults a test chooses, and the downloads of a new folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_server import FaultyServer, faulty_server
from fetching import QUICK

from promptarena.benchmark.data.prepare.downloads import Downloads
from promptarena.benchmark.data.prepare.progress import unheard


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with faulty_server() as running:
        yield running


@pytest.fixture
def downloads(tmp_path: Path) -> Downloads:
    return Downloads(tmp_path / "downloads", QUICK, unheard)
