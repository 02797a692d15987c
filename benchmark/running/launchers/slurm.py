"""The launcher of SLURM clusters: arrays of jobs on a file system that the nodes share with this machine."""

import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from promptarena.benchmark.running.launchers.registry import LauncherKind, Options, Workers

if TYPE_CHECKING:
    from promptarena.benchmark.running.execution import ExecutionConfig
    from promptarena.benchmark.running.launcher import Launcher

Line = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Count = Annotated[int, Field(ge=1)]


class SlurmOptions(Options):
    """What is requested of SLURM; None leaves it to the cluster's own default."""

    partition: Line | None = Field(None, description="Partition of the jobs.")
    account: Line | None = Field(None, description="Account that pays.")
    qos: Line | None = Field(None, description="Quality of service.")
    constraint: Line | None = Field(None, description="Features that a node must have.")
    time: str = Field("24:00:00", description="Time limit of a job, D-HH:MM:SS; it is requeued and goes on.")
    gpus_per_node: Count | None = Field(None, description="GPUs of a job; all are used. Without: CPU cores.")
    cpus_per_task: Count | None = Field(None, description="CPU cores of a job (default: two per worker).")
    mem: Line | None = Field(None, description="Memory of a job, such as 32GB.")
    jobs: int = Field(64, ge=1, description="Most jobs at the same time (default: 64).")
    setup: Line | None = Field(None, description="Shell command before the work, such as 'module load cuda'.")
    on_stop: Literal["leave", "cancel"] = Field("leave", description="What Ctrl-C does with the jobs: leave or cancel.")

    @field_validator("time")
    @classmethod
    def _time(cls, text: str) -> str:
        minutes_of(text)
        return text


def minutes_of(text: str) -> int:
    """The minutes of a time limit as SLURM writes it.

    Args:
        text: MM, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS.

    Returns:
        Minutes, rounded up.

    Raises:
        ValueError: It is none of these, or nothing.

    >>> minutes_of("1-02:30:00"), minutes_of("8:00:00"), minutes_of("90")
    (1590, 480, 90)
    """
    if not (found := re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)):
        raise ValueError("write a time limit as D-HH:MM:SS, HH:MM:SS or minutes")
    days, *rest = found.groups()
    numbers = [int(part) for part in rest if part is not None]
    if days is not None:
        hours, minutes, seconds = (*numbers, 0, 0)[:3]
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:
        hours, (minutes, seconds) = 0, (*numbers, 0)[:2]
    total = (int(days or 0) * 24 + hours) * 3600 + minutes * 60 + seconds
    if not total:
        raise ValueError("a job needs some time")
    return -(-total // 60)


def _make(execution: "ExecutionConfig", workers: Workers, options: SlurmOptions) -> "Launcher":
    from promptarena.benchmark.running.clusters.slurm_jobs import SlurmArrays

    return SlurmArrays.find(execution, workers, options)


LAUNCHER = LauncherKind("slurm", _make, SlurmOptions, place=2)
