"""A comparison on a real SLURM: jobs killed, preempted and lost, the command ended; the same bytes come out."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import e2e_record
import pytest
from clusters import Slurm, slurm
from e2e_command import run, start_forked, succeed, wait_until
from e2e_world import make_world
from forked import Command

from promptarena.benchmark.running.clusters.slurm_jobs import _listed

RUNS = ("--methods", "coop", "maple", "--protocols", "base-to-novel", "--seeds", "1")
SLURM = ("--launcher", "slurm", "--slurm-jobs", "2", "--slurm-time", "1:00:00")


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMPTARENA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    pytest.importorskip("submitit")
    with slurm(tmp_path_factory.mktemp("slurm")) as found:
        yield found


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"), epochs=60)


@pytest.fixture(scope="module")
def undisturbed(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    succeed("compare", suite, *RUNS, cwd=folder)
    return e2e_record.figures(folder / "results")


def checkpoints(folder: Path) -> dict[str, int]:
    found = (folder / "results" / "checkpoints").glob("*/checkpoint.safetensors")
    return {path.parent.name: path.stat().st_mtime_ns for path in found}


class Watched:
    """A command and its jobs."""

    def __init__(self, cluster: Slurm, folder: Path, command: Command) -> None:
        self.cluster, self.folder, self.command = cluster, folder, command

    def trains(self) -> str:
        """Wait until a job goes on with its training; its number, or nothing when the command has ended."""
        before = checkpoints(self.folder)

        def moved() -> bool:
            now = checkpoints(self.folder)
            return not self.command.alive() or any(before.get(key) != moment for key, moment in now.items())

        wait_until(moved, seconds=300)
        running = [number for number, state in self.cluster.jobs() if state == "RUNNING"]
        return running[0] if running else ""


def watched(cluster: Slurm, suite: Path, folder: Path) -> Watched:
    """The comparison of all tests, begun."""
    command = start_forked("compare", suite, *RUNS, *SLURM, cwd=folder, **cluster.variables)
    return Watched(cluster, folder, command)


@pytest.mark.cluster
def test_whatever_happens_to_jobs_and_command_the_bytes_are_the_same(
    cluster: Slurm, suite: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    began = watched(cluster, suite, tmp_path)
    done = []
    if job := began.trains():  # killed without notice: the command submits its runs again
        cluster.call("scancel", "--signal=KILL", "--full", job)
        done.append("killed")
    if began.trains():  # both nodes are taken by a partition that preempts
        cluster.call("sbatch", "-p", "urgent", "--array=0-1", "-o", "/dev/null", "--wrap", "sleep 3")
        done.append("preempted")
    if began.trains():
        os.kill(began.command.pid, signal.SIGINT)
        ended = began.command.wait()
        assert (ended.code, ended.err) == (130, "promptarena: stopped; the same command goes on from here\n")
        assert cluster.jobs(), "Ctrl-C leaves the jobs"
        done.append("ended")
    again = watched(cluster, suite, tmp_path)
    if again.trains():
        cluster.kill_node("n2")
        time.sleep(1)
        cluster.node("n2")
        done.append("node lost")
    while again.command.alive():
        for number in (number for number, state in cluster.jobs() if state == "PENDING"):
            cluster.call(
                "scontrol", "update", f"JobId={number}", "StartTime=now"
            )  # not two minutes after it was requeued
        time.sleep(1)
    ended = again.command.wait()
    assert ended.code == 0, ended.out + ended.err
    assert e2e_record.figures(tmp_path / "results") == undisturbed
    assert done == ["killed", "preempted", "ended", "node lost"], "the runs were too short for all of it"
    assert list((tmp_path / "results" / "outbox").iterdir()) == []
    assert checkpoints(tmp_path) == {}


@pytest.mark.cluster
def test_the_plan_says_what_would_be_submitted(cluster: Slurm, suite: Path, tmp_path: Path) -> None:
    (tmp_path / "slurm.toml").write_text('partition = "main"\ntime = "2:00:00"\njobs = 2\n')
    options = ("--launcher", "slurm", "--launcher-file", "slurm.toml", "--plan")
    cluster.call("scancel", "--me")  # what an earlier test may have left
    wait_until(lambda: not cluster.jobs(), seconds=60)
    planned = succeed("compare", suite, *RUNS, *options, cwd=tmp_path, **cluster.variables).out
    assert "Would submit an array of 2 jobs (partition main, time limit 2:00:00, at most 2 at the same" in planned
    assert cluster.jobs() == []


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--slurm-partition", "nowhere"), "SLURM refuses the jobs: .*nvalid partition"),
        (("--slurm-setup", "exit 3"), "ended before it began; its log"),
    ],
)
def test_a_mistake_is_one_line(cluster: Slurm, suite: Path, tmp_path: Path, options: Any, reason: str) -> None:
    ended = run("compare", suite, *RUNS, *SLURM, *options, cwd=tmp_path, **cluster.variables)
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert re.search(reason, line)


@pytest.mark.cluster
def test_a_results_folder_that_the_nodes_do_not_see_is_one_line(cluster: Slurm, suite: Path, tmp_path: Path) -> None:
    if not cluster.hides:
        pytest.skip("this system has no mount namespaces")
    results = cluster.hidden / "results"
    ended = run("compare", suite, *RUNS, *SLURM, "--results", results, cwd=tmp_path, **cluster.variables)
    assert ended.code == 2, ended.out + ended.err
    (line,) = ended.err.splitlines()
    assert f"left nothing in {results}" in line
    assert "do the nodes not see this folder? Choose --results on a file system that they share" in line


def test_squeues_answer_is_read() -> None:
    assert _listed("promptarena-1 3\npromptarena-2 N/A\nother job 5\n") == {
        ("promptarena-1", 3),
        ("promptarena-2", 0),
        ("other job", 5),
    }
    assert _listed("") == frozenset()
    assert _listed(None) is None
