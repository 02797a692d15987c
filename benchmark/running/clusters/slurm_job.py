"""What one job of SLURM does on its node."""

import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.running.clusters.parcel import Parcel, Scratch, check_here, training_files
from promptarena.benchmark.running.execution import CHECKPOINT, training_folder
from promptarena.benchmark.running.launcher import Done, EpochDone, Quiet, Started
from promptarena.benchmark.running.launchers.registry import Options, Workers, find_launcher
from promptarena.benchmark.running.outbox import Outbox
from promptarena.benchmark.running.schedule import Schedule
from promptarena.benchmark.running.serving import failure_of


@dataclass(frozen=True)
class Job:
    """What one job of an array does. It may be begun again at any time: it goes on from what it handed in.

    Args:
        parcel: What it needs.
        workers: Its workers on its node.
        runs: Its runs.
        sizes: The duration of each run by its key, in any unit.
        trace: A file that it writes as soon as it begins.
    """

    parcel: Parcel
    workers: Workers
    runs: tuple[PlannedRun, ...]
    sizes: Mapping[str, float]
    trace: Path

    def __call__(self) -> None:
        """Carry out the runs."""
        # Preemption and scancel: leave at once, without taking the workers' end for a failure of their runs.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        write_atomically(self.trace, b"")
        results = self.parcel.execution.results
        outbox = Outbox(results)
        left = [run for run in self.runs if outbox.outcome(run.key) is None]
        with tempfile.TemporaryDirectory(prefix="promptarena-") as folder:
            try:
                execution = self.parcel.unpack(Path(folder))
                check_here(execution, left)
                pool = find_launcher("local").make(execution, self.workers, Options())
            except UserError as error:
                for run in left:
                    outbox.post_outcome(run.key, failure_of(error))
                return
            scratch = Scratch(Path(folder))
            for run in left:
                scratch.put(run, training_files(results, run))
            curves: dict[str, dict[float, dict[str, float]]] = {}
            for event in pool.launch(Schedule(left, self.sizes, pool.workers)):
                match event:
                    case Started(run):
                        outbox.post_start(run.key)
                    case EpochDone(run, curve):
                        if (checkpoint := scratch.changed(run)) is not None:
                            write_atomically(training_folder(results, run) / CHECKPOINT, checkpoint)
                        known = curves.setdefault(run.key, {})
                        known[curve["epoch"]] = curve
                        outbox.post_curves(run.key, list(known.values()))
                    case Done(run, outcome):
                        outbox.post_outcome(run.key, outcome)
                    case Quiet():
                        pass

    def checkpoint(self) -> Any:
        """Called by submitit before the time limit: the same job is to be queued again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
