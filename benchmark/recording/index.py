"""What the record says about runs, as plain values: who runs what (RecordedRun), and what came out (StoredResult).

Nothing here imports MLflow: its runs come in as arguments, so the tables can be made where MLflow is not installed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.recording import names
from promptarena.benchmark.recording.owner import Owner
from promptarena.benchmark.recording.schema import stored_result

if TYPE_CHECKING:
    from mlflow.entities import Run


Status = Literal["finished", "running", "failed"]


@dataclass(frozen=True)
class RecordedRun:
    """The run that stands for a key: the newest finished one, else the one to resume.

    `owner_alive` is True while the process of a running run lives; `duplicates` counts its key's other finished runs.
    """

    run_id: str
    key: str
    status: Status
    owner_alive: bool
    duplicates: int = 0
    error: str | None = None


def index_of(runs: Iterable["Run"]) -> dict[str, RecordedRun]:
    """For each `run_key` among MLflow runs (in any order) the run that stands for it."""
    by_key: dict[str, list[Run]] = {}
    for run in runs:
        if names.RUN_KEY.name in run.data.tags:
            by_key.setdefault(names.RUN_KEY.read(run.data.tags), []).append(run)
    return {key: _standing(key, several) for key, several in by_key.items()}


def results_of(runs: Iterable["Run"]) -> list[StoredResult]:
    """The newest finished run of every key, oldest first, with how many other finished runs the key has."""
    by_key: dict[str, list[Run]] = {}
    for run in runs:
        if names.RUN_KEY.name in run.data.tags and run.info.status == "FINISHED":
            by_key.setdefault(names.RUN_KEY.read(run.data.tags), []).append(run)
    newest = [(max(several, key=_age), len(several) - 1) for several in by_key.values()]
    newest.sort(key=lambda pair: _age(pair[0]))
    results = [(stored_result(run), others) for run, others in newest]
    return [replace(result, duplicates=result.duplicates + others) for result, others in results]


def _standing(key: str, runs: list["Run"]) -> RecordedRun:
    finished = [run for run in runs if run.info.status == "FINISHED"]
    if finished:
        return RecordedRun(max(finished, key=_age).info.run_id, key, "finished", False, len(finished) - 1)
    open_runs = [_unfinished(key, run) for run in sorted(runs, key=_age, reverse=True)]
    return next((run for run in open_runs if run.owner_alive), open_runs[0])


def _unfinished(key: str, run: "Run") -> RecordedRun:
    if run.info.status in ("FAILED", "KILLED"):
        return RecordedRun(run.info.run_id, key, "failed", False, error=names.ERROR.read(run.data.tags) or "killed")
    owner = Owner.of(run.data.tags)
    return RecordedRun(run.info.run_id, key, "running", owner is not None and owner.alive())


def _age(run: "Run") -> tuple[int, str]:
    ended = run.info.end_time if run.info.status == "FINISHED" else None
    return (ended or run.info.start_time, run.info.run_id)
