"""Several exports taken together."""

from collections.abc import Sequence
from pathlib import Path

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.exported_run import ExportedRun
from promptarena.benchmark.exports import Export
from promptarena.benchmark.sealed import content_digest


def merged(exports: Sequence[Export]) -> list[ExportedRun]:
    """The runs of several exports of one suite, one per key: the newest, with the others counted as its duplicates.

    Raises UserError when two exports hold one run with different content.
    """
    by_id: dict[tuple[str, str], tuple[ExportedRun, Path]] = {}
    for export in exports:
        for run in export.runs:
            known, folder = by_id.setdefault((run.run_key, run.run_id), (run, export.folder))
            if _without_duplicates(known) != _without_duplicates(run):
                raise UserError(
                    f"run {run.run_key}.json differs between {folder} and {export.folder}, though both say that it is "
                    f"run {run.run_id}; one was changed: leave one out"
                )
            if run.duplicates > known.duplicates:
                by_id[run.run_key, run.run_id] = (run, export.folder)
    by_key: dict[str, list[ExportedRun]] = {}
    for run, _ in by_id.values():
        by_key.setdefault(run.run_key, []).append(run)
    return [_newest(runs) for _, runs in sorted(by_key.items())]


def _newest(runs: Sequence[ExportedRun]) -> ExportedRun:
    newest = max(runs, key=lambda run: (run.finished_at, run.run_id))
    others = sum(1 + run.duplicates for run in runs) - 1
    return newest if others == newest.duplicates else _counting(newest, others)


def _counting(run: ExportedRun, duplicates: int) -> ExportedRun:
    changed = run.model_copy(update={"duplicates": duplicates})
    return changed.model_copy(update={"digest": content_digest(changed.model_dump(mode="json"))})


def _without_duplicates(run: ExportedRun) -> ExportedRun:
    return run.model_copy(update={"duplicates": 0, "digest": ""})
