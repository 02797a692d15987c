"""A comparison on a real Ray cluster: machines are killed and join; the same bytes come out."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import e2e_command
import e2e_record
import psutil
import pytest
from clusters import free_port
from e2e_command import end, run, start, start_forked, succeed, wait_until
from e2e_world import make_world
from forked import Command

pytestmark = pytest.mark.cluster

RUNS = ("--protocols", "base-to-novel", "--seeds", "1", "--methods", "coop")
PLUGIN = """
import time
from pathlib import Path

from promptarena.methods.coop import CoOp


class Mine(CoOp):
    ablations = {{}}

    def begin_epoch(self, epoch, *rest):
        while epoch > 1 and Path({hold!r}).exists():
            time.sleep(0.1)
        super().begin_epoch(epoch, *rest)
"""
"""A method that is trained no further than its first epoch while there is a file."""


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMPTARENA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), epochs=50)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "mine.py"
    path.write_text(PLUGIN.format(hold=str(held(path))))
    return path


def held(plugin: Path) -> Path:
    """The file that holds the plugin's training."""
    return plugin.with_name("hold")


@pytest.fixture(scope="module")
def undisturbed(suite: Path, plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    succeed("compare", suite, *RUNS, "mine", "--plugin", plugin, cwd=folder)
    return e2e_record.figures(folder / "results")


class Machines:
    """A Ray cluster whose head has no cores, so that runs are on the machines that are added."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, **self._place()}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self.address: str = self._cluster.address
        self.head: Any = self._cluster.head_node
        self.end = self._cluster.shutdown

    def add(self) -> Any:
        """Another machine, of one core."""
        return self._cluster.add_node(num_cpus=1, **self._place())

    def _place(self) -> dict[str, Any]:
        """Where a machine listens. The ports are fixed, as Ray waits only 15 s for agents to say which they chose."""
        agents = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
        return {"node_ip_address": "127.0.0.1"} | {name: free_port() for name in agents}


@contextmanager
def machines() -> Iterator[Machines]:
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RAY_raylet_start_wait_time_s", "RAY_gcs_rpc_server_connect_timeout_s"):
            patch.setenv(name, "120")  # a busy machine is not a fault
        patch.setenv("RAY_agent_register_timeout_ms", "120000")
        found = Machines()
        try:
            found.add()
            yield found
        finally:
            found.end()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Machines]:
    """A head and one machine."""
    with machines() as found:
        yield found


def kill(node: Any, process: str = "raylet") -> None:
    """`kill -9` the process of Ray that a machine cannot do without."""
    (started,) = node.all_processes[process]
    psutil.Process(started.process.pid).kill()


def compare(command: Any, suite: Path, plugin: Path, cluster: Machines, folder: Path) -> Any:
    """Begin or run the comparison of all tests on a cluster."""
    options = ("--plugin", plugin, "--launcher", "ray", "--ray-address", cluster.address)
    return command("compare", suite, *RUNS, "mine", *options, cwd=folder)


def wait_for_checkpoints(command: Command, folder: Path, count: int) -> None:
    """Wait until so many runs have finished an epoch and none has ended."""
    found = folder / "results" / "checkpoints"
    wait_until(lambda: not command.alive() or len(list(found.glob("*/*.safetensors"))) >= count)
    assert command.alive(), command.wait()


def test_a_machine_is_killed_and_another_joins(
    cluster: Machines, suite: Path, plugin: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    lost = cluster.add()
    command = compare(start_forked, suite, plugin, cluster, tmp_path)
    wait_for_checkpoints(command, tmp_path, 2)
    kill(lost)
    cluster.add()
    ended = command.wait()
    assert ended.code == 0, ended.out + ended.err
    assert ended.err == ""
    assert e2e_record.figures(tmp_path / "results") == undisturbed
    assert list((tmp_path / "results" / "checkpoints").iterdir()) == []


def test_the_cluster_is_lost_and_the_command_goes_on_with_another(
    cluster: Machines, suite: Path, plugin: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    with machines() as other:
        held(plugin).touch()  # Ray takes half a minute to see that a cluster is gone: the command must not end before
        try:
            command = compare(start_forked, suite, plugin, other, tmp_path)
            wait_for_checkpoints(command, tmp_path, 1)
            kill(other.head, "gcs_server")
            ended = command.wait()
        finally:
            held(plugin).unlink()
    assert ended.code == 2, ended.out + ended.err
    (line,) = ended.err.splitlines()
    assert f"the Ray cluster {other.address} does not answer any more" in line
    ended = compare(run, suite, plugin, cluster, tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert e2e_record.figures(tmp_path / "results") == undisturbed


def refusal(cluster: Machines, suite: Path, folder: Path, *before: str, **variables: str) -> str:
    """The one line of a command that is refused, where this code is run before it."""
    command = "\n".join((*before, "from promptarena.benchmark.cli.main import main", "main()"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(e2e_command, "COMMAND", (e2e_command.COMMAND[0], "-c", command))
        options = ("--launcher", "ray", "--ray-address", cluster.address)
        ended = end(start("compare", suite, *RUNS, *options, cwd=folder, **variables))
    assert ended.code == 2, ended.out + ended.err
    assert not list(folder.rglob("*.safetensors")), "nothing ran"
    (line,) = ended.err.splitlines()
    return line


def test_what_a_machine_does_not_see_is_one_line(cluster: Machines, suite: Path, tmp_path: Path) -> None:
    line = refusal(cluster, suite, tmp_path, PROMPTARENA_CACHE="/proc/none")
    assert "cannot write the cache /proc/none" in line
    shutil.copytree(suite.parent, tmp_path / "world")
    here = Path("/proc/self/cwd")  # another folder in each process
    line = refusal(cluster, here / "world" / suite.name, tmp_path)
    assert "worker machine" in line
    assert "does not see the data of noisy: " in line
    assert str(here / "world" / "pictures" / "noisy") in line


VERSION = """
import importlib.metadata as packages
version = packages.version
packages.version = lambda name: "0.0.1" if name == "promptarena" else version(name)
"""
METHOD = """
from promptarena.benchmark.plugins import source_digest
digest = source_digest.code_digest
source_digest.code_digest = lambda tree: digest(tree)[::-1]
"""


@pytest.mark.parametrize(
    ("different", "reason"),
    [
        (VERSION, "has promptarena 0.1.0, the command 0.0.1; install the same on both"),
        ("import platform; platform.python_version = lambda: '3.1.4'", "the command 3.1.4; install the same on both"),
        ("import ray; ray.__version__ = '1.2.3'", "Ray: 1.2.3"),
        (METHOD, "has other code of method"),
    ],
    ids=["promptarena", "Python", "Ray", "method"],
)
def test_what_differs_there_is_one_line(
    different: str, reason: str, cluster: Machines, suite: Path, tmp_path: Path
) -> None:
    # Set as the launcher sets it, since here Ray is imported first; and a plan that was kept has the true digests.
    variables = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "PROMPTARENA_CACHE": str(tmp_path / "cache")}
    assert reason in refusal(cluster, suite, tmp_path, different, **variables)


def test_an_unreachable_cluster_is_one_line(suite: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    ended = run("compare", suite, *RUNS, "--launcher", "ray", "--ray-address", "127.0.0.1:1", cwd=tmp_path)
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert "no Ray cluster answers at 127.0.0.1:1" in line
