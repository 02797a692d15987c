"""Finished runs as plain JSON files, each sealed by a SHA-256 over its content; needs neither torch nor MLflow.

A folder holds runs/KEY.json, a file per run, and manifest.json, which lists them with their digests and says how the
suite's tables are laid out. Beside them, in files/KEY/, lie predictions, and trained tensors if they were asked for.
"""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import StringConstraints, model_validator

from promptarena.benchmark.core.config_files import read_bytes, read_json_model
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.keys import file_digest
from promptarena.benchmark.core.suite_layout import SuiteLayout
from promptarena.benchmark.recording.exports.checksummed import SCHEMA_VERSION, Checksummed, Digest, content_digest
from promptarena.benchmark.recording.exports.exported_run import ExportedRun
from promptarena.benchmark.recording.exports.holdable import Count
from promptarena.benchmark.recording.predictions import FILE_PATTERN, FOLDER

MANIFEST = "manifest.json"

LEARNER_FILES = ("learned.safetensors", "split.json")
"""What is exported of a learner, if that was asked for."""

FileName = Annotated[str, StringConstraints(pattern=rf"^(learned\.safetensors|split\.json|{FILE_PATTERN})$")]
"""A file beside a run: of its learner, or predictions/DATASET.SUBSET.parquet."""


class NewerSchemaError(UserError):
    """A file was written by a later version of promptarena."""


class Manifest(Checksummed):
    """What an export holds: the digest of each run by its key, the SHA-256 of each further file by KEY and name."""

    suite: SuiteLayout
    count: Count
    runs: dict[Digest, Digest]
    files: dict[Digest, dict[FileName, Digest]]

    @model_validator(mode="after")
    def _counts(self) -> Self:
        if self.count != len(self.runs):
            raise ValueError(f"it counts {self.count} runs but lists {len(self.runs)}")
        if unknown := set(self.files) - set(self.runs):
            raise ValueError(f"it lists files of runs that it does not list: {', '.join(sorted(unknown))}")
        if hidden := [title for title in self.suite.titles.values() if not title.isprintable()]:
            raise ValueError(f"the title {ascii(hidden[0])[:60]} holds control or invisible characters")
        return self


@dataclass(frozen=True)
class Export:
    """A whole, verified export."""

    folder: Path
    manifest: Manifest
    runs: tuple[ExportedRun, ...]

    def files(self, run_key: str) -> dict[str, Path]:
        """The files that lie beside a run, by name."""
        return {name: _file(self.folder, run_key, name) for name in self.manifest.files.get(run_key, {})}


def read_export(folder: Path) -> Export:
    """Read an export and verify every file in it.

    Args:
        folder: The folder of the export.

    Returns:
        The export.

    Raises:
        UserError: A file is missing, changed, cut short, not listed, of a newer schema, or outside the folder; the
            message names the first one.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise UserError(
            f"{folder} holds no {MANIFEST}: no export, or one that did not end; give promptarena export again"
        )
    found = {path.stem for path in (folder / "runs").glob("*.json")}
    if stray := sorted(found - set(manifest.runs)):
        path = folder / "runs" / f"{stray[0]}.json"
        raise UserError(f"{path} is not listed in {MANIFEST}; give promptarena export again, or remove the file")
    runs = []
    for key, digest in sorted(manifest.runs.items()):
        run = read_run(folder, key)
        if run.digest != digest:
            raise UserError(f"{_run(folder, key)} is not the file that {MANIFEST} lists; export it again")
        if run.suite != manifest.suite.name:
            raise UserError(f"{_run(folder, key)} is of suite {run.suite}, not {manifest.suite.name}; export it again")
        runs.append(run)
    for key, listed in manifest.files.items():
        for name, digest in listed.items():
            path = _inside(folder, _file(folder, key, name))
            if file_digest(path) != digest:
                raise UserError(f"{path} is damaged: its digest is not the one in {MANIFEST}; export it again")
    return Export(folder, manifest, tuple(runs))


def read_manifest(folder: Path) -> Manifest | None:
    """Read the manifest of an export.

    Args:
        folder: The folder of the export.

    Returns:
        The manifest; None where there is none.

    Raises:
        UserError: It is damaged, or of a newer schema.
    """
    path = folder / MANIFEST
    return _read(path, folder, Manifest) if os.path.exists(path) else None


def read_run(folder: Path, key: str) -> ExportedRun:
    """Read a run of an export.

    Args:
        folder: The folder of the export.
        key: The run's key.

    Returns:
        The run.

    Raises:
        UserError: Its file is missing, damaged, of a newer schema, or that of another run.
    """
    path = _run(folder, key)
    run = _read(path, folder, ExportedRun)
    if run.run_key != key:
        raise UserError(f"{path} holds the run {run.run_key}; its name must be the run's key; export it again")
    return run


def write_run(folder: Path, run: ExportedRun) -> None:
    """Add a run to an export, atomically; it replaces a run of the same key and the files of that one.

    Args:
        folder: The folder of the export.
        run: The run.

    Raises:
        UserError: It cannot be written.
    """
    shutil.rmtree(folder / "files" / run.run_key, ignore_errors=True)
    write_atomically(_run(folder, run.run_key), run.content())


def write_file(folder: Path, run_key: str, name: FileName, source: Path) -> None:
    """Add a file of a run to an export, atomically.

    Args:
        folder: The folder of the export.
        run_key: The run's key.
        name: What it is called there.
        source: The file to copy.

    Raises:
        UserError: It cannot be written.
    """
    write_atomically(_file(folder, run_key, name), source)


def has_file(folder: Path, run_key: str, name: FileName) -> bool:
    """Whether a file of this name lies beside a run."""
    return _file(folder, run_key, name).exists()


def write_manifest(folder: Path, layout: SuiteLayout) -> Manifest:
    """List all runs and files of a folder, atomically; the export is complete with it.

    Args:
        folder: The folder of the export.
        layout: How the tables of the suite are laid out.

    Returns:
        The manifest.

    Raises:
        UserError: A run is damaged, or the manifest cannot be written.
    """
    keys = sorted(path.stem for path in (folder / "runs").glob("*.json"))
    runs = {key: read_run(folder, key).digest for key in keys}
    files = {key: {name: file_digest(_file(folder, key, name)) for name in _names(folder, key)} for key in keys}
    listed = {key: named for key, named in files.items() if named}
    manifest = Manifest.checksummed(suite=layout, count=len(runs), runs=runs, files=listed)
    write_atomically(folder / MANIFEST, manifest.content())
    return manifest


Model = TypeVar("Model", bound=Checksummed)


def _read(path: Path, folder: Path, model: type[Model]) -> Model:
    content = read_bytes(_inside(folder, path))
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not whole: {error}; export it again") from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"{path} has schema version {version}, this promptarena reads {SCHEMA_VERSION}; upgrade promptarena, or "
            "export it again with this version"
        )
    if isinstance(document, dict) and "digest" in document and document["digest"] != _digest(path, document):
        raise UserError(f"{path} was changed: its content does not have the digest that it names; export it again")
    return read_json_model(path, content, model)


def _digest(path: Path, document: dict[str, Any]) -> str:
    try:
        return content_digest(document)
    except (ValueError, RecursionError) as error:  # half a character, or values nested too deep to be written again
        raise UserError(f"{path} holds what is no valid text, or is nested too deep; export it again") from error


def _inside(folder: Path, path: Path) -> Path:
    """The path. Raises UserError when a link leads out of the folder."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{path} leads out of {folder}; an export holds its files itself")
    return path


def _run(folder: Path, key: str) -> Path:
    return folder / "runs" / f"{key}.json"


def _file(folder: Path, key: str, name: str) -> Path:
    return folder / "files" / key / name


def _names(folder: Path, key: str) -> list[FileName]:
    """The files that lie beside a run."""
    predictions = sorted(path.name for path in _file(folder, key, FOLDER).glob("*.parquet"))
    learner: list[FileName] = [name for name in LEARNER_FILES if _file(folder, key, name).exists()]
    return [*learner, *(f"{FOLDER}/{name}" for name in predictions)]


def merged(exports: Sequence[Export]) -> list[ExportedRun]:
    """Put exports of one suite together.

    Args:
        exports: The exports.

    Returns:
        The newest run of each key, sorted by key; the other runs of the key are counted as its duplicates.

    Raises:
        UserError: Two exports hold the same run with different content.
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
