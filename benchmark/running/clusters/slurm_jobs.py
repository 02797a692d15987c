"""Runs as jobs of SLURM, submitted by submitit in arrays.

A job runs a share of the runs on the devices that SLURM gives it, and hands in what comes of them: results into
results/outbox, checkpoints into results/checkpoints. Whether a run is finished is known from there only; SLURM is asked
just which jobs are still to come or at work. So jobs do not need the command that submitted them, and any later one
goes on from what they left.
"""

import io
import itertools
import json
import shutil
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from promptarena.benchmark.core.errors import UserError, first_line
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.running.clusters.parcel import Parcel
from promptarena.benchmark.running.clusters.slurm_job import Job
from promptarena.benchmark.running.execution import ExecutionConfig
from promptarena.benchmark.running.launcher import Done, EpochDone, Event, Quiet, RunFailedError, Started
from promptarena.benchmark.running.launchers.registry import Workers
from promptarena.benchmark.running.launchers.slurm import SlurmOptions, minutes_of
from promptarena.benchmark.running.outbox import CURVES, OUTCOME, STARTED, Outbox
from promptarena.benchmark.running.schedule import Schedule

POLL_SECONDS = 1.0
ASK_SECONDS = 5.0
"""How often SLURM is asked for its jobs; each question costs the cluster's controller."""

GONE_AFTER = 3
"""A job counts as gone when SLURM did not list it so many times in a row: what it handed in last may come late."""

MOST_LOSSES = 3
"""A run fails when so many of its jobs have gone in a row without finishing an epoch."""


@dataclass(frozen=True)
class Array:
    """An array of jobs that was submitted, as a file of the results folder remembers it.

    Args:
        name: The name of its jobs, which no other array has.
        tasks: The keys of the runs of each job.
    """

    name: str
    tasks: tuple[tuple[str, ...], ...]


@dataclass
class _Open:
    """A run that is with a job. `place`: the name of the job's array, and its number there."""

    run: PlannedRun
    place: tuple[str, int]
    started: bool = False
    epochs: int = 0
    losses: int = 0


class _Following:
    """Follows the jobs by what they hand in.

    Args:
        results: The results folder.
        folder: The folder of the jobs' traces and logs.
        ask: As for `SlurmArrays`.
    """

    def __init__(self, results: Path, folder: Path, ask: Callable[[], frozenset[tuple[str, int]] | None]) -> None:
        self.runs: dict[str, _Open] = {}
        self._outbox = Outbox(results)
        self._folder = folder
        self._ask = ask
        self._asked = time.monotonic()
        self._absent: Counter[tuple[str, int]] = Counter()

    def look(self) -> Iterator[Event]:
        """The events since the last look. What runs handed in stays until it is recorded."""
        there = self._outbox.files()
        for key, each in list(self.runs.items()):
            if not each.started and not there.isdisjoint({f"{key}{STARTED}", f"{key}{CURVES}", f"{key}{OUTCOME}"}):
                each.started = True
                yield Started(each.run)
            for curve in self._outbox.curves(key) if f"{key}{CURVES}" in there else ():
                if curve["epoch"] > each.epochs:
                    each.epochs, each.losses = int(curve["epoch"]), 0
                    yield EpochDone(each.run, dict(curve))
            if f"{key}{OUTCOME}" in there and (outcome := self._outbox.outcome(key)) is not None:
                del self.runs[key]
                yield Done(each.run, outcome)

    def lost(self) -> list[_Open]:
        """The runs whose jobs are gone; SLURM is asked now and then only."""
        if time.monotonic() - self._asked < ASK_SECONDS:
            return []
        self._asked = time.monotonic()
        alive = self._ask()
        if alive is None:  # its controller does not answer, which says nothing about the jobs
            return []
        places = {each.place for each in self.runs.values()}
        self._absent = Counter({place: self._absent[place] + 1 for place in places - alive})
        return [each for each in self.runs.values() if self._absent[each.place] >= GONE_AFTER]

    def again(self, lost: Sequence[_Open]) -> tuple[list[PlannedRun], list[Done]]:
        """What becomes of runs whose jobs are gone.

        Args:
            lost: The runs.

        Returns:
            Those to be submitted again, and those that failed.

        Raises:
            UserError: A job ended before it began.
        """
        again, failed = [], []
        for each in lost:
            name, number = each.place
            if not (self._folder / name / f"{number}.trace").exists():
                raise UserError(self._never_began(name, number))
            each.losses += 1
            if each.losses < MOST_LOSSES:
                again.append(each.run)
                continue
            del self.runs[each.run.key]
            reason = f"{MOST_LOSSES} jobs of it ended without a result; their logs are in {self._folder}"
            failed.append(Done(each.run, RunFailedError(reason, "", users_fault=False)))
        return again, failed

    def _never_began(self, name: str, number: int) -> str:
        for log in sorted((self._folder / name / "logs").glob(f"*{number}_log.out")):
            if lines := log.read_text(encoding="utf-8", errors="replace").split("\n"):
                last = next((line for line in reversed(lines) if line.strip()), "it is empty")
                return f"job {number} of SLURM array {name} ended before it began; its log {log}: {last.strip()}"
        return (
            f"job {number} of SLURM array {name} ended and left nothing in {self._folder / name}; was it cancelled, or "
            "do the nodes not see this folder? Choose --results on a file system that they share"
        )


@dataclass(frozen=True)
class SlurmArrays:
    """A launcher: jobs of SLURM.

    Args:
        execution: How runs are carried out; the nodes see its results folder.
        per_job: The workers of each job.
        options: What is requested of SLURM.
        ask: Asks SLURM which jobs are queued or at work, as (name, number in its array); None when it does not answer.
    """

    execution: ExecutionConfig
    per_job: Workers
    options: SlurmOptions
    ask: Callable[[], frozenset[tuple[str, int]] | None] = field(default=lambda: _listed(_squeue()))

    @classmethod
    def find(cls, execution: ExecutionConfig, workers: Workers, options: SlurmOptions) -> "SlurmArrays":
        """The SLURM of this machine.

        Args:
            execution: How runs are carried out.
            workers: The workers of each job.
            options: What is requested of SLURM.

        Raises:
            UserError: There is no SLURM here, or submitit is missing.
        """
        if workers.devices:
            raise UserError("--devices: SLURM gives each job its devices; say how many with --slurm-gpus-per-node")
        if shutil.which("sbatch") is None or shutil.which("squeue") is None:
            raise UserError("no SLURM here: there is no command sbatch; use a login node of the cluster")
        try:
            import submitit  # noqa: F401
        except ImportError as error:
            raise UserError("--launcher slurm needs submitit; pip install 'promptarena[slurm]'") from error
        return cls(execution, workers, options)

    @property
    def _slots(self) -> int:
        """The number of workers of a job."""
        if self.per_job.count:
            return self.per_job.count
        if self.options.gpus_per_node:
            return self.options.gpus_per_node * (self.per_job.per_gpu or 1)
        return self.options.cpus_per_task or 1

    @property
    def workers(self) -> int:
        """The number of workers of all jobs that are at work at the same time."""
        return self.options.jobs * self._slots

    def preview(self, schedule: Schedule, seconds: Callable[[PlannedRun], float]) -> tuple[str, ...]:
        """See Launcher."""
        shares = list(self._shares(schedule))
        if not shares:
            return ()
        parts = [f"partition {self.options.partition}"] if self.options.partition else []
        parts += [f"{self.options.gpus_per_node} GPUs each"] if self.options.gpus_per_node else []
        parts += [f"time limit {self.options.time}", f"at most {self.options.jobs} at the same time"]
        longest = max(sum(map(seconds, share)) for share in shares) / self._slots
        total = sum(seconds(run) for share in shares for run in share) / self._slots
        hours = f"expected: {total / 3600:.1f} job hours, the longest job {longest / 3600:.1f} h"
        return (f"Would submit an array of {len(shares)} jobs ({', '.join(parts)}).", f"{hours}." if total else "")

    def _shares(self, schedule: Schedule) -> Iterator[list[PlannedRun]]:
        """The runs of each job: what its workers would take."""
        while schedule:
            taken = [run for _ in range(self._slots) for run in schedule.take()]
            if taken:
                yield taken

    def launch(self, schedule: Schedule) -> Generator[Event, None, None]:
        """See Launcher. Jobs of earlier commands that are still to come or at work keep their runs."""
        following = _Following(self.execution.results, self._folder, self.ask)
        try:
            earlier = self._earlier()
            shares = list(self._shares(schedule))
            for run in itertools.chain(*shares):
                if run.key in earlier:
                    following.runs[run.key] = _Open(run, earlier[run.key])
            new = [own for share in shares if (own := [run for run in share if run.key not in earlier])]
            if new:
                self._submit(new, schedule, following)
            while following.runs:
                yield from following.look()
                if lost := following.lost():
                    again, failed = following.again(lost)
                    yield from failed
                    if again:
                        self._submit([[run] for run in again], schedule, following)
                if following.runs:
                    time.sleep(POLL_SECONDS)
                    yield Quiet()
        finally:
            if self.options.on_stop == "cancel" and following.runs:
                for name in {each.place[0] for each in following.runs.values()}:
                    _cancel(name)

    @property
    def _folder(self) -> Path:
        return self.execution.results / "slurm"

    def _earlier(self) -> dict[str, tuple[str, int]]:
        """The jobs of earlier commands that SLURM still knows, by the keys of their runs; arrays that are over are
        forgotten."""
        alive = self.ask()
        found: dict[str, tuple[str, int]] = {}
        for path in sorted(self._folder.glob("*.json")):
            array = Array(**json.loads(path.read_text(encoding="utf-8")))
            live = [number for number in range(len(array.tasks)) if alive is None or (array.name, number) in alive]
            found |= {key: (array.name, number) for number in live for key in array.tasks[number]}
            if not live:
                path.unlink(missing_ok=True)
                shutil.rmtree(self._folder / array.name, ignore_errors=True)
        return found

    def _submit(self, shares: Sequence[Sequence[PlannedRun]], schedule: Schedule, following: "_Following") -> None:
        """Submit an array with a job for each share."""
        import submitit

        name = f"promptarena-{uuid.uuid4().hex[:8]}"
        folder = self._folder / name
        parcel = Parcel.pack(self.execution, itertools.chain(*shares))
        # On GPUs a job uses those that it sees. The cores that it sees may be more than it was given.
        workers = self.per_job if self.options.gpus_per_node else replace(self.per_job, count=self._slots)
        jobs = []
        for number, share in enumerate(shares):
            sizes = {run.key: schedule.size(run) for run in share}
            jobs.append(Job(parcel, workers, tuple(share), sizes, folder / f"{number}.trace"))
        # Remembered before it is submitted: a command that ends in between leaves no jobs that no one knows of.
        array = Array(name, tuple(tuple(run.key for run in share) for share in shares))
        write_atomically(self._folder / f"{name}.json", json.dumps(vars(array)))
        try:
            executor = submitit.SlurmExecutor(folder / "logs", max_num_timeout=1000)
            executor.update_parameters(**self._parameters(name))
            with redirect_stderr(io.StringIO()), executor.batch():  # what sbatch says is in the error, too
                for job in jobs:
                    executor.submit(job)
        except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError, OSError) as error:
            (self._folder / f"{name}.json").unlink(missing_ok=True)
            raise UserError(f"SLURM refuses the jobs: {_reason(error)}") from error
        for number, share in enumerate(shares):
            for run in share:
                losses = following.runs[run.key].losses if run.key in following.runs else 0
                following.runs[run.key] = _Open(run, (name, number), losses=losses)

    def _parameters(self, name: str) -> dict[str, Any]:
        options = self.options
        given = {
            "partition": options.partition,
            "account": options.account,
            "qos": options.qos,
            "constraint": options.constraint,
            "gpus_per_node": options.gpus_per_node,
            "cpus_per_task": options.cpus_per_task or (2 * self._slots if options.gpus_per_node else self._slots),
            "mem": options.mem,
            "setup": [options.setup] if options.setup else None,
        }
        return {
            **{parameter: value for parameter, value in given.items() if value is not None},
            "job_name": name,
            "time": minutes_of(options.time),
            "array_parallelism": options.jobs,
            "additional_parameters": {"requeue": True},
            "stderr_to_stdout": True,
        }


def _listed(answer: str | None) -> frozenset[tuple[str, int]] | None:
    """The jobs in squeue's answer by name and number; a job that is no array counts as number 0."""
    if answer is None:
        return None
    rows = (line.rsplit(maxsplit=1) for line in answer.splitlines() if line.strip())
    return frozenset((name, int(number) if number.isdigit() else 0) for name, number in rows)


def _squeue() -> str | None:
    """The user's jobs that are queued or at work, a line each; None when SLURM does not answer."""
    try:
        command = ["squeue", "--noheader", "--array", "--me", "--format=%j %K"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def _cancel(name: str) -> None:
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(["scancel", f"--name={name}"], capture_output=True, timeout=60, check=False)


def _reason(error: Exception) -> str:
    """What sbatch says, from an error of submitit."""
    lines = [line.strip() for line in str(error).splitlines() if "error" in line.lower()]
    return lines[-1].removeprefix("sbatch: ") if lines else first_line(error)
