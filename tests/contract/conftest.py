import pytest
import trials

from promptarena.benchmark.contract.kit import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return trials.world(tmp_path_factory.mktemp("world"))
