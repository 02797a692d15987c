"""What the commands on exported runs do and print. None needs torch; the leaderboard does not need MLflow either."""

import json
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from rich.progress import track
from safetensors import SafetensorError, safe_open

from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.core.config_files import read_bytes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import digest, file_digest
from promptarena.benchmark.core.runs import RunResult, StoredResult
from promptarena.benchmark.planning.suites import Suite, layout_of, load_suite
from promptarena.benchmark.recording.exports.exported_run import ExportedRun
from promptarena.benchmark.recording.exports.folder import (
    LEARNER_FILES,
    Export,
    FileName,
    NewerSchemaError,
    has_file,
    merged,
    read_export,
    read_manifest,
    read_run,
    write_file,
    write_manifest,
    write_run,
)
from promptarena.benchmark.recording.predictions import check_predictions, file_name, target_of
from promptarena.benchmark.recording.record import ParentRuns, Record, RecordPlace, RunTakenError
from promptarena.benchmark.report.keep import keep_sections
from promptarena.benchmark.report.sections import sections_of

Item = TypeVar("Item")

ALWAYS_LEFT = LEARNER_FILES
"""What every run of earlier versions left, also one that trains nothing."""


def export_record(suite_name: str, out: Path, place: RecordPlace, *, with_learners: bool = False) -> None:
    """Write those finished runs of a suite that the folder `out` lacks to it, and print how many.

    `with_learners` adds the trained tensors and the few-shot splits. Raises UserError when nothing is recorded, when
    the folder holds another suite, or when tensors or a split are missing or damaged.
    """
    suite = load_suite(suite_name)
    record = Record.open_existing(place)
    stored = record.results(suite.name)
    if not stored:
        raise UserError(f"nothing is recorded for suite {suite.name} in {record.shown}; run: promptarena compare")
    new = write_export(suite, record, stored, out, with_learners=with_learners)
    terminal.console().print(f"{len(stored)} runs of suite {suite.name} are in {out}, {new} of them new.")


def write_export(
    suite: Suite, record: Record, stored: Sequence[StoredResult], out: Path, *, with_learners: bool
) -> int:
    """Write these runs to the folder `out` if it lacks them or has older or damaged ones. Returns their number.

    Other runs of the suite in the folder stay.
    """
    manifest = read_manifest(out)
    if manifest and manifest.suite.name != suite.name:
        raise UserError(f"{out} holds runs of suite {manifest.suite.name}; export {suite.name} to another folder")
    if with_learners:  # before anything is written: an export that ends half-way would lack its manifest
        for result in _shown(stored, "verifying"):
            _check_files(record, result)
    new = 0
    for result in _shown(stored, "exporting"):
        if not _has(out, result):
            write_run(out, ExportedRun.of(result, record.recall(result.run_id)))
            new += 1
        _add_files(record, result, out, with_learners=with_learners)
    write_manifest(out, layout_of(suite))
    return new


def _has(out: Path, result: StoredResult) -> bool:
    """Whether the folder has exactly this run, or a newer one with its key."""
    try:
        run = read_run(out, result.run_key)
    except NewerSchemaError:
        raise
    except UserError:
        return False
    if run.run_id == (result.imported_from or result.run_id):
        return run.duplicates == result.duplicates
    return run.finished_at > result.finished_at


def _add_files(record: Record, result: StoredResult, out: Path, *, with_learners: bool) -> None:
    """Add the predictions of a run that the folder lacks and, `with_learners`, the files of its learner."""
    if read_run(out, result.run_key).run_id != (result.imported_from or result.run_id):
        return
    names: list[FileName] = [file_name(target) for target in result.predictions]
    names = [name for name in names if not has_file(out, result.run_key, name)]
    if with_learners:
        names += record.artifacts(result.run_id) & set(LEARNER_FILES)
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            write_file(out, result.run_key, name, record.artifact(result.run_id, name, Path(folder)))


def _check_files(record: Record, result: StoredResult) -> None:
    """See that the record has a run's files as the run left them. Raises UserError when one is missing or damaged."""
    there = record.artifacts(result.run_id)
    expected: Collection[str] = result.files
    if not expected:  # recorded before the digests were kept; every run of this record left its files
        expected = there & set(LEARNER_FILES) if result.imported_from else ALWAYS_LEFT
    for name in expected:
        what = f"{name} of run {result.run_id} ({result.label} on {result.dataset})"
        advice = "delete the run in MLflow to have it run again, or export without --with-learners"
        if name not in there:
            raise UserError(f"{what} is missing in the record; {advice}")
        with tempfile.TemporaryDirectory() as folder:
            path = record.artifact(result.run_id, name, Path(folder))
            known = result.files.get(name)
            whole = file_digest(path) == known if known else _opens(path)
        if not whole:
            raise UserError(f"{what} is damaged; {advice}")


def _opens(path: Path) -> bool:
    """Whether a file without a known digest is complete as far as its format says."""
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="numpy"):
                return True
        json.loads(path.read_bytes())
    except (SafetensorError, ValueError, RecursionError):
        return False
    return True


def check_export(folder: Path) -> None:
    """Verify an export as `import` would, and that its runs may stand in one leaderboard; print what it holds.

    Raises UserError for the first thing that is wrong. Nothing is written.
    """
    export = read_export(folder)
    for run in export.runs:
        _result(run, _files([export], run))
    layout = export.manifest.suite
    sections_of(layout, [run.stored() for run in merged([export])])
    labels = list(dict.fromkeys(run.spec.label for run in export.runs))
    terminal.console().print(
        f"{folder}: {len(export.runs)} runs of suite {layout.name} are whole: {', '.join(labels)}.", markup=False
    )


def import_exports(folders: Sequence[Path], place: RecordPlace) -> None:
    """Add those runs of exports that the record lacks to it, and print how many.

    Everything is verified before anything is written. After an interruption, the same call continues.
    """
    by_suite: dict[str, list[Export]] = {}
    for export in map(read_export, folders):
        by_suite.setdefault(export.manifest.suite.name, []).append(export)
    runs = {suite: merged(exports) for suite, exports in by_suite.items()}
    for suite, exports in by_suite.items():
        for run in runs[suite]:
            _result(run, _files(exports, run))
    record = Record.open(place)
    for suite, exports in by_suite.items():
        new = _import(exports, runs[suite], record)
        terminal.console().print(
            f"{len(runs[suite])} runs of suite {suite}: {new} imported, {len(runs[suite]) - new} recorded already."
        )
    terminal.console().print(f"Recorded in {record.shown}.")


def _import(exports: Sequence[Export], runs: Sequence[ExportedRun], record: Record) -> int:
    """Record the runs of these exports of one suite as one comparison. Returns how many this process recorded."""
    layout = exports[0].manifest.suite
    recorded = record.index(layout.name)
    missing = [run for run in runs if run.run_key not in recorded or recorded[run.run_key].status != "finished"]
    if not missing:
        return 0
    keys = sorted(run.run_key for run in runs)
    labels = list(dict.fromkeys(run.spec.label for run in runs))
    description = f"Imported: {', '.join(labels)}; {len(keys)} runs"
    comparison = record.comparison(layout.name, digest(keys), description)
    imported = 0
    for run in _shown(missing, "importing"):
        planned = run.planned()
        parents = ParentRuns(comparison, record.method_run(comparison, planned.spec.name))
        try:
            run_id = record.begin(planned, parents, run.backbone, run.miniature, run.imported())
        except RunTakenError:  # by another import, since the record was read
            continue
        record.finish(run_id, _result(run, _files(exports, run)), run.finished_at)
        imported += 1
    results = record.results(layout.name, keys)
    try:
        sections = sections_of(layout, results)
    except UserError as error:
        terminal.console(stderr=True).print(f"promptarena: no tables are recorded with the imported runs: {error}")
    else:
        keep_sections(record, comparison, sections)
    return imported


def _result(run: ExportedRun, files: Mapping[str, bytes]) -> RunResult:
    """What came out of an exported run. Raises UserError when the predictions beside it are not its own."""
    targets = {name: target for name in files if (target := target_of(name))}
    result = replace(
        run.result({name: content for name, content in files.items() if name not in targets}),
        predictions={target: files[name] for name, target in targets.items()},
    )
    try:
        check_predictions(result)
    except ValueError as error:
        raise UserError(f"run {run.run_key}: {error}; export it again") from error
    return result


def _files(exports: Sequence[Export], run: ExportedRun) -> dict[str, bytes]:
    """The files that any of the exports has for exactly this run."""
    return {
        name: read_bytes(path)
        for export in exports
        for there in export.runs
        if there.run_key == run.run_key and there.run_id == run.run_id
        for name, path in export.files(run.run_key).items()
    }


def _shown(items: Sequence[Item], action: str) -> Iterator[Item]:
    """The items, with a progress bar at a terminal."""
    console = terminal.console(stderr=True)
    yield from track(items, action, console=console, transient=True, disable=not console.is_terminal)
