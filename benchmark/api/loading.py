"""Loads the results of finished runs, from a record or from exports."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.suite_layout import SuiteLayout
from promptarena.outcomes import Results

if TYPE_CHECKING:
    from promptarena.benchmark.planning.suites import Suite
    from promptarena.benchmark.recording.exports.folder import Export
    from promptarena.benchmark.recording.place import RecordPlace
    from promptarena.benchmark.recording.record import Record


def load_results(place: str | Path = "results", suite: str | Path = "mini") -> Results:
    """Load the finished runs of a suite.

    Args:
        place: A results folder, the folder of an export, or the address of an MLflow store.
        suite: A built-in suite's name, or the path of a suite's TOML file.

    Returns:
        The results.

    Raises:
        UserError: There is no record or export, or it cannot be read.

    >>> import promptarena as pa
    >>> pa.load_results("no/such/folder")
    Traceback (most recent call last):
    promptarena.benchmark.core.errors.UserError: no record in no/such/folder; ...
    """
    from promptarena.benchmark.recording.place import RecordPlace

    if "://" in str(place):
        return recorded_results(RecordPlace(Path("results"), str(place)), suite)
    folder = Path(place)
    if (folder / "manifest.json").is_file():
        return exported_results([folder], suite)
    return recorded_results(RecordPlace(folder), suite)


def recorded_results(place: "RecordPlace", suite: str | Path, keys: Collection[str] | None = None) -> Results:
    """The results of a suite in a record.

    Args:
        place: Where the record is.
        suite: As in `load_results`.
        keys: Only runs with these keys; None: all.

    Returns:
        The results.

    Raises:
        UserError: There is no record, or it cannot be read.
    """
    from promptarena.benchmark.recording.record import Record
    from promptarena.lookups import load_suite

    own = load_suite(suite)
    return results_in(Record.open_existing(place), own, str(suite), keys)


def results_in(record: "Record", suite: "Suite", called: str, keys: Collection[str] | None = None) -> Results:
    """The results of a suite in an open record.

    Args:
        record: The record.
        suite: The suite.
        called: What commands call the suite.
        keys: Only runs with these keys; None: all.

    Returns:
        The results.

    Raises:
        UserError: The record cannot be read.
    """
    from promptarena.benchmark.planning.suites import layout_of
    from promptarena.benchmark.recording.kept_predictions import of_record
    from promptarena.benchmark.report.recorded import documents_of, unfinished_notes

    stored = record.results(suite.name, keys)
    return Results(
        layout_of(suite),
        stored,
        lambda: documents_of(record, stored),
        title=suite.title,
        called=called,
        notes=lambda: unfinished_notes(record, suite.name),
        predictions=of_record(record, stored),
        nothing=f"nothing is recorded for suite {suite.name}",
        where=record.shown,
    )


def exported_results(folders: Sequence[Path], suite: str | Path) -> Results:
    """The results of a suite in exports; its tables equal those of a record with the same runs.

    Args:
        folders: The folders of the exports.
        suite: As in `load_results`; or the name of a suite that is not on this machine but in the exports.

    Returns:
        The results.

    Raises:
        UserError: An export is damaged, or the exports have no such suite or lay it out differently.
    """
    from promptarena.benchmark.recording.exports.folder import merged, read_export
    from promptarena.benchmark.recording.kept_predictions import of_exports

    exports = [read_export(folder) for folder in folders]
    layout = _layout(str(suite), exports)
    ours = [export for export in exports if export.manifest.suite.name == layout.name]
    return Results(
        layout,
        [run.stored() for run in merged(ours)],
        list,
        called=str(suite),
        predictions=of_exports(ours),
        nothing=f"nothing is exported for suite {layout.name}",
        where=", ".join(map(str, folders)),
    )


def _layout(name: str, exports: "Sequence[Export]") -> SuiteLayout:
    """The layout of a suite's tables: from the suite on this machine, else from the exports, which must then agree."""
    from promptarena.benchmark.planning.suites import layout_of, list_suites, load_suite, without_limit

    there = {export.manifest.suite.name: export.manifest.suite for export in exports}
    own = without_limit(name)
    if own in list_suites() or own.endswith(".toml"):
        layout = layout_of(load_suite(name))
        if layout.name not in there:
            raise UserError(f"no export is of suite {layout.name}; name one of: {', '.join(sorted(there))}")
        return layout
    if name not in there:
        raise unknown("exported suite", name, there)
    for export in exports:
        if export.manifest.suite.name == name and export.manifest.suite != there[name]:
            raise UserError(
                f"the exports lay suite {name} out differently ({export.folder}); name the suite's TOML file instead"
            )
    return there[name]
