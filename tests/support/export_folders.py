"""Folders of exported runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from exported import OUTLINE

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording.exports.checksummed import content_digest
from promptarena.benchmark.recording.exports.exported_run import ExportedRun
from promptarena.benchmark.recording.exports.folder import (
    read_export,
    write_manifest,
    write_run,
)


def write(folder: Path, *runs: ExportedRun) -> Path:
    for run in runs:
        write_run(folder, run)
    write_manifest(folder, OUTLINE)
    return folder


def path_of(folder: Path, run: ExportedRun) -> Path:
    return folder / "runs" / f"{run.run_key}.json"


def rewritten(path: Path, *, reseal: bool, **changes: Any) -> None:
    """Change fields of a file, with a digest that fits or the old one."""
    document = json.loads(path.read_text()) | changes
    if reseal:
        document["digest"] = content_digest(document)
    path.write_text(json.dumps(document))


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as error:
        read_export(folder)
    assert "\n" not in str(error.value)
    return str(error.value)
