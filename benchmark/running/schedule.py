"""Decides which runs a worker gets next."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from promptarena.benchmark.core.runs import PlannedRun

Group = list[list[PlannedRun]]


class Schedule:
    """The runs to be run, in groups that a worker gets as a whole or in part.

    Runs that share a training stay together. A group is all seeds of one method on one dataset, in one protocol and
    with the same number of shots: they take equally long and are scored on the same images, which are then read once
    for the whole group. Methods are not grouped together: their test images, frozen features and frozen tokens are
    shared through the cache up to its limits, and larger groups would leave workers idle at the end.
    """

    def __init__(
        self,
        runs: Iterable[PlannedRun],
        sizes: Mapping[str, float],
        workers: int,
        claim: Callable[[PlannedRun], bool] = lambda _: True,
    ) -> None:
        """Group the runs.

        Args:
            runs: The runs.
            sizes: The duration of each run by its key, in any unit.
            workers: Number of groups that are worked on at the same time.
            claim: Asked for each run just before it is given out; False: another process has it, so it is left out.
        """
        self._claim = claim
        self._sizes = sizes
        self._workers = workers
        trainings: dict[str, list[PlannedRun]] = {}
        for run in runs:
            trainings.setdefault(run.train_key, []).append(run)
        groups: dict[tuple[str, ...], Group] = {}
        for training in trainings.values():
            spec = training[0].spec
            group = (spec.label, spec.protocol, spec.dataset, spec.subset, str(spec.shots))
            groups.setdefault(group, []).append(training)
        self._groups = list(groups.values())

    def __bool__(self) -> bool:
        return bool(self._groups)

    def runs(self) -> list[PlannedRun]:
        """The runs that are not given out yet."""
        return [run for group in self._groups for training in group for run in training]

    def size(self, run: PlannedRun) -> float:
        """The duration of a run, in the unit of `sizes`."""
        return self._sizes[run.key]

    def take(self) -> list[PlannedRun]:
        """The next runs for a free worker: part of the longest group, at most 1 / workers of the remaining work, but at
        least one training.

        The longest group comes first, so that no long one is left at the end. While much is left to do, whole groups
        are given out. Towards the end, or with fewer groups than workers, the seeds of a group go to different workers.

        Returns:
            The runs, all claimed; empty when no run is left.
        """
        while self._groups:
            if taken := [run for run in self._next() if self._claim(run)]:
                return taken
        return []

    def _next(self) -> list[PlannedRun]:
        group = max(self._groups, key=self._size)
        share = sum(map(self._size, self._groups)) / self._workers
        count = 1
        while count < len(group) and self._size(group[: count + 1]) <= share:
            count += 1
        taken = [run for training in group[:count] for run in training]
        del group[:count]
        if not group:
            self._groups.remove(group)
        return taken

    def put_back(self, runs: Sequence[PlannedRun], *, alone: bool) -> None:
        """Take back runs that were given out but not run; `alone`: each will be given out alone."""
        if alone:
            self._groups += [[[run]] for run in runs]
            return
        trainings: dict[str, list[PlannedRun]] = {}
        for run in runs:
            trainings.setdefault(run.train_key, []).append(run)
        if trainings:
            self._groups.append(list(trainings.values()))

    def _size(self, group: Group) -> float:
        return sum(self._sizes[run.key] for training in group for run in training)
