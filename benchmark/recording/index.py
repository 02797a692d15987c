"""What the record says about runs, as plain values: who runs what (RecordedRun), and what came out (StoredResult).

MLflow is not imported here, so tables of exported runs can be made where it is not installed.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.recording import names
from promptarena.benchmark.recording.access import StoreAccess
from promptarena.benchmark.recording.owner import Owner
from promptarena.benchmark.recording.readers import Run
from promptarena.benchmark.recording.schema import stored_result

Status = Literal["finished", "running", "failed"]


@dataclass(frozen=True)
class RecordedRun:
    """The run that stands for a key: the newest finished one, else the one to resume.

    Attributes:
        run_id: Its id in MLflow.
        key: The key of the planned run.
        status: How far it is.
        owner_alive: Whether it is running and the process that runs it still lives.
        duplicates: The number of other finished runs with its key.
        error: Why it failed; None unless it failed.
        train_key: The key of its training.
        learned: SHA-256 of the file of its trained learner; empty if that is not recorded.
    """

    run_id: str
    key: str
    status: Status
    owner_alive: bool
    duplicates: int = 0
    error: str | None = None
    train_key: str = ""
    learned: str = ""


class RunIndex:
    """Finds recorded runs by their keys, in the store as it is now."""

    def __init__(self, access: StoreAccess) -> None:
        self._access = access

    def of_suite(self, suite: str) -> dict[str, RecordedRun]:
        """Every recorded run of a suite by its key.

        Args:
            suite: The suite's name.

        Returns:
            For each key the run that stands for it.

        Raises:
            UserError: The record cannot be read.
        """
        with self._access.explained("read the record"):
            experiment = self._access.find_experiment(suite)
            return self._index_of(self._access.reader.search(experiment)) if experiment else {}

    def of_key(self, experiment: str, key: str) -> RecordedRun | None:
        """The run that stands for a key.

        Args:
            experiment: The id of the suite's experiment.
            key: The key of a planned run.

        Returns:
            The run; None when no run with this key was ever begun.
        """
        return self._index_of(self._access.reader.search(experiment, (names.RUN_KEY, key))).get(key)

    def _index_of(self, runs: Iterable[Run]) -> dict[str, RecordedRun]:
        return index_of(runs, self._access.store.now)


def index_of(runs: Iterable[Run], now: Callable[[], float] = time.time) -> dict[str, RecordedRun]:
    """Choose the run that stands for each key.

    Args:
        runs: MLflow runs, in any order; those without a key are left out.
        now: The store's time, in seconds since the epoch.

    Returns:
        The chosen run of each key.
    """
    by_key: dict[str, list[Run]] = {}
    for run in runs:
        if names.RUN_KEY.name in run.data.tags:
            by_key.setdefault(names.RUN_KEY.read(run.data.tags), []).append(run)
    return {key: _standing(key, several, now) for key, several in by_key.items()}


def results_of(runs: Iterable[Run]) -> list[StoredResult]:
    """The newest finished run of every key.

    Args:
        runs: MLflow runs, in any order; unfinished ones and those without a key are left out.

    Returns:
        A result for each key, that of the oldest run first. `duplicates` counts the key's other finished runs.

    Raises:
        UserError: Tags or metrics of a finished run are missing or damaged.
    """
    by_key: dict[str, list[Run]] = {}
    for run in runs:
        if names.RUN_KEY.name in run.data.tags and run.info.status == "FINISHED":
            by_key.setdefault(names.RUN_KEY.read(run.data.tags), []).append(run)
    newest = [(max(several, key=_age), len(several) - 1) for several in by_key.values()]
    newest.sort(key=lambda pair: _age(pair[0]))
    results = [(stored_result(run), others) for run, others in newest]
    return [replace(result, duplicates=result.duplicates + others) for result, others in results]


def _standing(key: str, runs: list[Run], now: Callable[[], float]) -> RecordedRun:
    finished = [run for run in runs if run.info.status == "FINISHED"]
    if finished:
        newest = max(finished, key=_age)
        return RecordedRun(
            newest.info.run_id,
            key,
            "finished",
            owner_alive=False,
            duplicates=len(finished) - 1,
            train_key=newest.data.tags.get(names.TRAIN_KEY.name, ""),
            learned=names.FILES.read(newest.data.tags).get(names.LEARNED_FILE, ""),
        )
    open_runs = [_unfinished(key, run, now) for run in sorted(runs, key=_age, reverse=True)]
    return next((run for run in open_runs if run.owner_alive), open_runs[0])


def _unfinished(key: str, run: Run, now: Callable[[], float]) -> RecordedRun:
    if run.info.status in ("FAILED", "KILLED"):
        return RecordedRun(run.info.run_id, key, "failed", False, error=names.ERROR.read(run.data.tags) or "killed")
    owner = Owner.of(run.data.tags)
    return RecordedRun(run.info.run_id, key, "running", owner is not None and owner.alive(now))


def _age(run: Run) -> tuple[int, str]:
    ended = run.info.end_time if run.info.status == "FINISHED" else None
    return (ended or run.info.start_time, run.info.run_id)
