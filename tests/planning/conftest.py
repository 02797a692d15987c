from pathlib import Path

import pytest
from e2e_world import make_world


@pytest.fixture
def suite(tmp_path: Path) -> str:
    return str(make_world(tmp_path / "world", seeds=(1, 2)))
