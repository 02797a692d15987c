"""Real clusters on this machine's loopback, for the tests of launchers: started, used and stopped by a test."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from e2e_command import wait_until

CONF = """
ClusterName=one_machine
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdTimeout=10
KillWait=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=2,batch_sched_delay=1,requeue_delay=1
SlurmctldPort={ports[0]}
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 State=UNKNOWN
PartitionName=main PriorityTier=1 Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PreemptMode=REQUEUE
PartitionName=urgent Nodes=n1,n2 PriorityTier=10 MaxTime=INFINITE State=UP PreemptMode=OFF
"""


def require(*programs: str) -> None:
    """Skip the test where Debian's packages are not installed."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} here")


def free_port() -> int:
    """A port of the loopback that nothing listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class Slurm:
    """A SLURM with two nodes of one core each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hidden = folder / "hidden"
        """A folder in which the nodes do not see what this machine sees, where the system lets them differ."""
        self.hides = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
        self.variables = {"SLURM_CONF": str(folder / "slurm.conf")}

    def call(self, *command: str) -> str:
        done = subprocess.run(command, env=os.environ | self.variables, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def jobs(self) -> list[tuple[str, str]]:
        """The number and state of each job that is queued or at work."""
        return [tuple(line.split()) for line in self.call("squeue", "-h", "-r", "-o", "%i %T").splitlines()]  # type: ignore[misc]

    def node(self, name: str) -> None:
        """Start a node's daemon."""
        command = ["slurmd", "-N", name, "-f", self.variables["SLURM_CONF"]]
        if self.hides:
            inside = f"mount -t tmpfs none {shlex.quote(str(self.hidden))} && exec {shlex.join(command)}"
            command = ["unshare", "--mount", "bash", "-c", inside]
        self.call(*command)

    def kill_node(self, name: str) -> None:
        """End a node's daemon with SIGKILL."""
        pid = (self.folder / f"slurmd.{name}.pid").read_text().strip()
        subprocess.run(["kill", "-9", pid], check=False)


@contextmanager
def slurm(folder: Path) -> Iterator[Slurm]:
    """A SLURM that is ready for jobs. Needs root."""
    require("slurmctld", "slurmd", "munged", "sbatch")
    if os.getuid() != 0:
        pytest.skip("SLURM's daemons are started as root")
    for name in ("state", "spool", "log", "hidden"):
        (folder / name).mkdir(parents=True)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    host = subprocess.run(["hostname", "-s"], capture_output=True, text=True, check=True).stdout.strip()
    (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder, ports=[free_port() for _ in range(3)]))
    found = Slurm(folder)
    files = (f"--{name}-file={folder}/munge.{name}" for name in ("key", "log", "pid", "seed"))
    found.call("munged", "--force", f"--socket={folder}/munge.socket", *files)
    try:
        found.call("slurmctld", "-f", found.variables["SLURM_CONF"])
        time.sleep(1)
        found.node("n1")
        found.node("n2")
        wait_until(lambda: "idle" in found.call("sinfo", "-h", "-o", "%T"), seconds=60)
        yield found
    finally:
        found.call("scancel", "--me")
        for name in ("slurmd.n1", "slurmd.n2", "slurmctld", "munge"):
            if (path := folder / f"{name}.pid").exists():
                subprocess.run(["kill", path.read_text().strip()], check=False)


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL database; its address for SQLAlchemy."""
    pytest.importorskip("psycopg2")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found or os.getuid() != 0:
        pytest.skip("there is no PostgreSQL of Debian's here, or this user is not root")
    port, programs = free_port(), found[-1]

    def as_postgres(*command: str) -> None:
        shell = ["su", "-s", "/bin/bash", "postgres", "-c", shlex.join(command)]
        subprocess.run(shell, check=True, capture_output=True, cwd="/")

    # Not in pytest's folder: each pytest that starts closes it to other users.
    with tempfile.TemporaryDirectory(prefix="promptarena-postgresql-") as name:
        folder = Path(name)
        shutil.chown(folder, "postgres", "postgres")
        as_postgres(str(programs / "initdb"), "-D", f"{folder}/data", "-A", "trust", "-U", "mlflow", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        control = (str(programs / "pg_ctl"), "-D", f"{folder}/data", "-w", "-t", "120")
        as_postgres(*control, "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"
        finally:
            as_postgres(*control, "-m", "immediate", "stop")


class TrackingServer:
    """`mlflow server` on a database, to be started."""

    _process: subprocess.Popen[bytes] | None = None

    def __init__(self, database: str, folder: Path) -> None:
        self._port, self._log = free_port(), folder / "server.log"
        self._command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port)),
            *("--workers", "1", "--backend-store-uri", database),
            *("--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")),
        ]
        self.uri = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        without_jobs = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # seven processes of no use here
        with self._log.open("a") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=without_jobs)
        wait_until(self._answers, seconds=300)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            time.sleep(0.2)
            return False

    def kill(self) -> None:
        """End it and its workers with SIGKILL."""
        if self._process is None or self._process.poll() is not None:
            return
        process = psutil.Process(self._process.pid)
        for each in (*process.children(recursive=True), process):
            each.kill()
        self._process.wait()
