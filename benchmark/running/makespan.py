"""How long a comparison takes on a number of workers, by simulating how its runs are given out."""

import heapq
from dataclasses import dataclass

from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.running.schedule import Schedule


@dataclass(frozen=True)
class Makespan:
    """The outcome of a simulation; all in the unit of the schedule's sizes.

    Args:
        length: When the last run ends.
        work: The sum over all runs.
        longest: The longest single training with the runs that share it, which one worker carries out.
        workers: Number of workers.
    """

    length: float
    work: float
    longest: float
    workers: int

    @property
    def bound(self) -> float:
        """No order of the runs is faster: the mean share of a worker, or the longest training."""
        return max(self.work / self.workers, self.longest)


def simulate(schedule: Schedule, workers: int, start: float = 0.0) -> Makespan:
    """Let workers take runs as in a comparison.

    Args:
        schedule: The runs and their sizes; it is empty afterwards.
        workers: Number of workers (>= 1).
        start: What each group of runs costs besides, e.g. for loading the backbone.

    Returns:
        The length, beside what bounds it from below.
    """
    trainings: dict[str, float] = {}
    for run in schedule.runs():
        trainings[run.train_key] = trainings.get(run.train_key, 0.0) + schedule.size(run)
    free = [0.0] * workers
    while schedule:
        taken: list[PlannedRun] = schedule.take()
        heapq.heappush(free, heapq.heappop(free) + start + sum(map(schedule.size, taken)))
    return Makespan(max(free), sum(trainings.values()), max(trainings.values(), default=0.0), workers)
