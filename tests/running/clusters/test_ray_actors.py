"""A comparison on a real Ray cluster of two machines: one is killed in the middle, another joins; the same bytes."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import e2e_command
import e2e_record
import psutil
import pytest
from clusters import free_port
from e2e_command import end, run, start, succeed, wait_until
from e2e_world import make_world

pytestmark = pytest.mark.cluster

RUNS = ("--methods", "coop", "maple", "--protocols", "base-to-novel", "--seeds", "1")
PLUGIN = """
from promptarena.methods.coop import CoOp


class Mine(CoOp):
    ablations = {}
"""


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMPTARENA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), epochs=60)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "mine.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture(scope="module")
def undisturbed(suite: Path, plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    succeed("compare", suite, *RUNS[:3], "mine", *RUNS[3:], "--plugin", plugin, cwd=folder)
    return e2e_record.figures(folder / "results")


class Machines:
    """A Ray cluster whose head has no cores, so that runs are on the machines that are added."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, **self._place()}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address: str = self._cluster.address
        self.end = self._cluster.shutdown

    def add(self) -> Any:
        """Another machine, of one core."""
        return self._cluster.add_node(num_cpus=1, **self._place())

    def _place(self) -> dict[str, Any]:
        """Where a machine listens. The ports are fixed, as Ray waits only 15 s for agents to say which they chose."""
        agents = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
        return {"node_ip_address": "127.0.0.1"} | {name: free_port() for name in agents}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    pytest.importorskip("ray")
    for name in ("RAY_raylet_start_wait_time_s", "RAY_gcs_rpc_server_connect_timeout_s"):
        monkeypatch.setenv(name, "120")  # a busy machine is not a fault
    monkeypatch.setenv("RAY_agent_register_timeout_ms", "120000")
    found = Machines()
    try:
        yield found
    finally:
        found.end()


def kill_machine(node: Any) -> None:
    """`kill -9` a machine's raylet."""
    (raylet,) = node.all_processes["raylet"]
    psutil.Process(raylet.process.pid).send_signal(signal.SIGKILL)


def test_a_machine_is_killed_and_another_joins(
    cluster: Machines, suite: Path, plugin: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    first = cluster.add()
    cluster.add()
    options = ("--launcher", "ray", "--ray-address", cluster.address)
    process = start("compare", suite, *RUNS[:3], "mine", *RUNS[3:], "--plugin", plugin, *options, cwd=tmp_path)
    checkpoints = tmp_path / "results" / "checkpoints"
    wait_until(lambda: process.poll() is not None or len(list(checkpoints.glob("*/*.safetensors"))) == 2)
    assert process.poll() is None, process.communicate()
    kill_machine(first)
    cluster.add()
    ended = end(process)
    assert ended.code == 0, ended.out + ended.err
    assert ended.err == ""
    assert e2e_record.figures(tmp_path / "results") == undisturbed
    assert list(checkpoints.iterdir()) == []


def test_what_a_machine_does_not_see_is_one_line(cluster: Machines, suite: Path, tmp_path: Path) -> None:
    cluster.add()
    options = ("--launcher", "ray", "--ray-address", cluster.address)
    ended = run("compare", suite, *RUNS, *options, cwd=tmp_path, PROMPTARENA_CACHE="/proc/none")
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert "cannot write the cache /proc/none" in line


OTHER = (
    "import importlib.metadata as packages\n"
    "version = packages.version\n"
    "packages.version = lambda name: '0.0.1' if name == 'promptarena' else version(name)\n"
    "from promptarena.benchmark.cli.main import main\n"
    "if __name__ == '__main__': main()\n"
)


def test_another_version_there_is_one_line(
    cluster: Machines, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.add()
    monkeypatch.setattr(e2e_command, "COMMAND", (e2e_command.COMMAND[0], "-c", OTHER))
    ended = run("compare", suite, *RUNS, "--launcher", "ray", "--ray-address", cluster.address, cwd=tmp_path)
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert "has promptarena 0.1.0, the command 0.0.1; install the same on both" in line


def test_an_unreachable_cluster_is_one_line(suite: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    ended = run("compare", suite, *RUNS, "--launcher", "ray", "--ray-address", "127.0.0.1:1", cwd=tmp_path)
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert "no Ray cluster answers at 127.0.0.1:1" in line
