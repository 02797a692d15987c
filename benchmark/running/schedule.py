"""Which runs a worker is given next."""

from collections.abc import Iterable, Mapping, Sequence

from promptarena.benchmark.core.runs import PlannedRun

Group = list[list[PlannedRun]]


class Schedule:
    """Runs that are to be carried out, in groups that a worker takes up as a whole or in part.

    Runs that share a training stay together. Beyond that, a group is the seeds of one method on one dataset, under one
    protocol and with as many images: they take as long as each other and are scored on the same images, which are then
    read once for all of them. Methods are not put together: their test images, frozen features and frozen tokens are
    shared through the cache up to its bounds, and larger groups would leave workers idle at the end.
    """

    def __init__(self, runs: Iterable[PlannedRun], sizes: Mapping[str, float], workers: int) -> None:
        """sizes: how long each run takes, by its key, in any unit."""
        self._sizes = sizes
        self._workers = workers
        trainings: dict[str, list[PlannedRun]] = {}
        for run in runs:
            trainings.setdefault(run.train_key, []).append(run)
        groups: dict[tuple[str, ...], Group] = {}
        for training in trainings.values():
            spec = training[0].spec
            alike = (spec.label, spec.protocol, spec.dataset, spec.subset, str(spec.shots))
            groups.setdefault(alike, []).append(training)
        self._groups = list(groups.values())

    def __bool__(self) -> bool:
        return bool(self._groups)

    def take(self) -> list[PlannedRun]:
        """The next runs for a worker that is free: of the longest group, so that none of the long ones is left over at
        the end, as many trainings as do not exceed the worker's share of all that is left, but one at least.

        So while there is much to do whole groups are given out, and towards the end, or when there are fewer groups
        than workers, the seeds of a group go to different workers.
        """
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
        """Runs that were given out and not carried out; `alone`: each will be given out by itself."""
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
