"""What the commands on exported runs do and print. None needs torch; the leaderboard does not need MLflow either."""

import json
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from rich.progress import track
from safetensors import SafetensorError, safe_open

from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import digest, file_digest
from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.core.suite_layout import SuiteLayout
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
from promptarena.benchmark.recording.exports.importing import Files, files_of, import_runs, verify
from promptarena.benchmark.recording.predictions import file_name
from promptarena.benchmark.recording.record import ParentRuns, Record, RecordPlace
from promptarena.benchmark.report.keep import keep_sections
from promptarena.benchmark.report.sections import sections_of

Item = TypeVar("Item")

AT_ONCE = 50
"""Runs that are imported together: few enough that other commands wait for a second at most."""

ALWAYS_LEFT = LEARNER_FILES
"""What every run of earlier versions left, also one that trains nothing."""


def export_record(
    suite_name: str, out: Path, place: RecordPlace, *, with_learners: bool = False, predictions: bool = True
) -> None:
    """Write those finished runs of a suite that the folder `out` lacks to it, and print how many.

    `with_learners` adds the trained tensors and the few-shot splits, `predictions` what was predicted for each image.
    Raises UserError when nothing is recorded, when the folder holds another suite, or when tensors or a split are
    missing or damaged.
    """
    suite = load_suite(suite_name)
    record = Record.open_existing(place)
    stored = record.results(suite.name)
    if not stored:
        raise UserError(f"nothing is recorded for suite {suite.name} in {record.shown}; run: promptarena compare")
    new = write_export(suite, record, stored, out, with_learners=with_learners, predictions=predictions)
    terminal.console().print(f"{len(stored)} runs of suite {suite.name} are in {out}, {new} of them new.")


def write_export(
    suite: Suite,
    record: Record,
    stored: Sequence[StoredResult],
    out: Path,
    *,
    with_learners: bool,
    predictions: bool = True,
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
    with tempfile.TemporaryDirectory() as folder:
        for result in _shown(stored, "exporting"):
            there = _there(out, result)
            if there is None:
                there = ExportedRun.of(result, record.recall(result.run_id))
                write_run(out, there)
                new += 1
            if there.run_id == (result.imported_from or result.run_id):
                names = _predictions(result, out) if predictions else []
                if with_learners:
                    names += record.artifacts(result.run_id) & set(LEARNER_FILES)
                for name in names:
                    write_file(out, result.run_key, name, record.artifact(result.run_id, name, Path(folder)))
    write_manifest(out, layout_of(suite))
    return new


def _there(out: Path, result: StoredResult) -> ExportedRun | None:
    """The run of this key in the folder, if it is exactly this one or a newer one; else None."""
    try:
        run = read_run(out, result.run_key)
    except NewerSchemaError:
        raise
    except UserError:
        return None
    if run.run_id == (result.imported_from or result.run_id):
        return run if run.duplicates == result.duplicates else None
    return run if run.finished_at > result.finished_at else None


def _predictions(result: StoredResult, out: Path) -> list[FileName]:
    """The files of a run's predictions that `out` lacks."""
    names = (file_name(target) for target in result.predictions)
    return [name for name in names if not has_file(out, result.run_key, name)]


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
    files = files_of([export])
    for run in _shown(export.runs, "verifying"):
        verify(run, files[run.run_key, run.run_id])
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
    runs: dict[str, list[tuple[ExportedRun, Files]]] = {}
    for suite, exports in by_suite.items():
        files = files_of(exports)
        runs[suite] = [(run, files[run.run_key, run.run_id]) for run in merged(exports)]
    for run, beside in _shown([pair for pairs in runs.values() for pair in pairs], "verifying"):
        verify(run, beside)
    record = Record.open(place)
    for suite, exports in by_suite.items():
        new = _import(exports[0].manifest.suite, runs[suite], record)
        terminal.console().print(
            f"{len(runs[suite])} runs of suite {suite}: {new} imported, {len(runs[suite]) - new} recorded already."
        )
    terminal.console().print(f"Recorded in {record.shown}.")


def _import(layout: SuiteLayout, runs: Sequence[tuple[ExportedRun, Files]], record: Record) -> int:
    """Record runs of one suite as one comparison, with its tables. Returns how many this process recorded."""
    recorded = record.index(layout.name)
    keys = sorted(run.run_key for run, _ in runs)
    missing = [pair for pair in runs if (known := recorded.get(pair[0].run_key)) is None or known.status != "finished"]
    parents = _Parents(record, layout.name, [run for run, _ in runs])
    imported = 0
    for start in _shown(range(0, len(missing), AT_ONCE), "importing"):
        part = missing[start : start + AT_ONCE]
        imported += import_runs(record, part, {run.spec.label: parents.of(run.spec.label) for run, _ in part})
    record.adopt(layout.name, keys, parents.of)
    comparison = parents.made or record.unfinished(layout.name, digest(keys))
    if comparison is None:
        return imported
    results = record.results(layout.name, keys)
    try:
        sections = sections_of(layout, results)
    except UserError as error:
        terminal.console(stderr=True).print(f"promptarena: no tables are recorded with the imported runs: {error}")
    else:
        keep_sections(record, comparison, sections)
    return imported


class _Parents:
    """The runs that imported runs hang under, made when they are first asked for."""

    def __init__(self, record: Record, suite: str, runs: Sequence[ExportedRun]) -> None:
        self._record, self._suite, self._runs = record, suite, runs
        self._methods = {run.spec.label: run.planned().spec.name for run in runs}
        self._known: dict[str, ParentRuns] = {}
        self.made: str | None = None

    def of(self, label: str) -> ParentRuns:
        """The parents of the runs with a label."""
        if self.made is None:
            description = f"Imported: {', '.join(self._methods)}; {len(self._runs)} runs"
            key = digest(sorted(run.run_key for run in self._runs))
            self.made = self._record.comparison(self._suite, key, description)
        if label not in self._known:
            self._known[label] = ParentRuns(self.made, self._record.method_run(self.made, self._methods[label]))
        return self._known[label]


def _shown(items: Sequence[Item], action: str) -> Iterator[Item]:
    """The items, with a progress bar at a terminal."""
    console = terminal.console(stderr=True)
    yield from track(items, action, console=console, transient=True, disable=not console.is_terminal)
