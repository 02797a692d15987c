"""Checksums of exported files."""

import json
from pathlib import Path
from typing import Any

import pytest
from export_folders import path_of, refusal, rewritten, write
from exported import OUTLINE, exported

from promptarena.benchmark.recording.exports.folder import (
    read_export,
    write_file,
    write_manifest,
    write_run,
)


def test_the_digest_is_what_the_docs_say_it_is() -> None:
    import hashlib

    document = json.loads(exported().content())
    named = document.pop("digest")
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == named


@pytest.mark.parametrize(
    ("field", "value"), [("backbone", "other"), ("duplicates", 1), ("recipe", {}), ("scores", []), ("surprise", 1)]
)
def test_a_changed_file_is_refused_by_name(tmp_path: Path, field: str, value: Any) -> None:
    run = exported()
    rewritten(path_of(write(tmp_path, run), run), reseal=False, **{field: value})
    assert f"{run.run_key}.json was changed" in refusal(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 700])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, size: int) -> None:
    run = exported()
    path = path_of(write(tmp_path, run), run)
    path.write_bytes(path.read_bytes()[:size])
    assert f"{run.run_key}.json is not whole" in refusal(tmp_path)


def test_damaged_tensors_are_refused(tmp_path: Path) -> None:
    run = exported()
    (tmp_path / "learned.safetensors").write_bytes(b"tensors")
    write_run(tmp_path / "out", run)
    write_file(tmp_path / "out", run.run_key, "learned.safetensors", tmp_path / "learned.safetensors")
    write_manifest(tmp_path / "out", OUTLINE)
    export = read_export(tmp_path / "out")
    path = export.files(run.run_key)["learned.safetensors"]
    assert path.read_bytes() == b"tensors"
    path.write_bytes(b"other tensors")
    assert str(path) in refusal(tmp_path / "out")
