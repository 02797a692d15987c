"""Several commands on one tracking server with PostgreSQL, which is killed and started again: nothing lost or twice."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import e2e_command
import pytest
from clusters import TrackingServer, postgresql
from e2e_command import end, run, start, start_forked, succeed, wait_until
from e2e_world import SUITE, make_world
from mlflow import MlflowClient
from mlflow.entities import Run

pytestmark = pytest.mark.cluster

RUNS = ("--methods", "coop", "--protocols", "base-to-novel", "--workers", "1", "--seeds", "1", "2")


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    folder = tmp_path_factory.mktemp("server")
    with postgresql() as database:
        found = TrackingServer(database, folder)
        try:
            found.start()
            yield found
        finally:
            found.kill()


def runs_of(server: TrackingServer) -> list[Run]:
    client = MlflowClient(server.uri)
    experiment = client.get_experiment_by_name(f"promptarena/{SUITE}")
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id], "tags.level = 'run'"))


def test_four_commands_at_once_and_the_server_killed_in_the_middle(server: TrackingServer, tmp_path: Path) -> None:
    """Each command has a results folder of its own, as on machines of their own."""
    suite = make_world(tmp_path / "world", epochs=20)
    address = {"MLFLOW_TRACKING_URI": server.uri}
    folders = [tmp_path / str(number) for number in range(4)]
    for folder in folders:
        folder.mkdir()
    commands = [start_forked("compare", suite, *RUNS, cwd=folder, **address) for folder in folders]
    wait_until(lambda: any(each.info.status == "FINISHED" for each in runs_of(server)), seconds=900)
    server.kill()
    server.start()
    ended = [command.wait() for command in commands]
    assert [each.code for each in ended] == [0] * 4, [each.err for each in ended]
    succeed("compare", suite, *RUNS, cwd=tmp_path, **address)
    runs = runs_of(server)
    assert {each.info.status for each in runs} == {"FINISHED"}
    assert set(Counter(each.data.tags["run_key"] for each in runs).values()) == {1}
    assert len(runs) == 2
    assert MlflowClient(server.uri, server.uri).search_registered_models() == [], "the lock was given back"


IMPATIENT = (
    "import promptarena.benchmark.running.bookkeeper as kept\n"
    "kept.PATIENCE_SECONDS = 10.0\n"
    "from promptarena.benchmark.cli.main import main\n"
    "if __name__ == '__main__': main()\n"
)


def test_results_wait_for_a_server_that_stays_away(
    server: TrackingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is waited for 10 s rather than minutes."""
    monkeypatch.setattr(e2e_command, "COMMAND", (e2e_command.COMMAND[0], "-c", IMPATIENT))
    suite = make_world(tmp_path / "world", epochs=60)
    address = {"MLFLOW_TRACKING_URI": server.uri, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    command = start("compare", suite, *RUNS, cwd=tmp_path, **address)
    checkpoints = tmp_path / "results" / "checkpoints"
    wait_until(lambda: command.poll() is not None or any(checkpoints.glob("*/*.safetensors")), seconds=900)
    server.kill()
    ended = end(command)
    assert ended.code == 2
    assert "results wait in" in ended.err.splitlines()[-1]
    waiting = {path.name for path in (tmp_path / "results" / "outbox").iterdir()}
    assert waiting
    assert run("compare", suite, *RUNS, cwd=tmp_path, **address).code == 2
    server.start()
    succeed("compare", suite, *RUNS, cwd=tmp_path, **address)
    assert {each.info.status for each in runs_of(server)} == {"FINISHED"}
    assert list((tmp_path / "results" / "outbox").iterdir()) == []
