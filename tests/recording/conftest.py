from pathlib import Path

import pytest

from promptarena.benchmark.recording.record import Record, RecordPlace


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("record")


@pytest.fixture(scope="session")
def record(results: Path) -> Record:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return Record.open(RecordPlace(results))


@pytest.fixture
def suite(request: pytest.FixtureRequest) -> str:
    return request.node.name.removeprefix("test_")
