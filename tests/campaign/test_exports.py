"""Exports with any value changed: refused in one line before anything is written, or recorded whole and shown."""

import json
from pathlib import Path
from typing import Any

from e2e_inside import call
from exported import OUTLINE, exported, planned
from hostile import changed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.recording.exports.checksummed import content_digest
from promptarena.benchmark.recording.exports.exported_run import ExportedRun
from promptarena.benchmark.recording.exports.folder import Manifest

EXAMPLES = 300
IMPORTED = 60
DOCUMENTS = [json.loads(run.content()) for run in (exported(), exported("zeroshot", None))]


def sealed(document: Any) -> Any:
    """The document with the digest of its content, where it has one."""
    try:
        return document | {"digest": content_digest(document)}
    except (UnicodeError, RecursionError):
        return document


def write(folder: Path, runs: list[Any], manifest: Any = None) -> Path:
    """An export of these documents, whatever they hold."""
    (folder / "runs").mkdir(parents=True)
    for number, run in enumerate(runs):
        key = run.get("run_key") if isinstance(run.get("run_key"), str) else ""
        name = key if len(key) == 64 and key.isalnum() and key.isascii() else digest(number)
        (folder / "runs" / f"{name}.json").write_text(json.dumps(run))
    listed = {path.stem: json.loads(path.read_text()).get("digest") for path in (folder / "runs").iterdir()}
    if manifest is None:
        manifest = json.loads(Manifest.checksummed(suite=OUTLINE, count=0, runs={}, files={}).content())
        manifest = sealed(manifest | {"count": len(listed), "runs": listed})
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def refused(ended: Any) -> bool:
    """Whether a command refused its input in one line; else it must have succeeded."""
    if ended.code == 0:
        return False
    assert ended.code == 2, ended
    (line,) = ended.err.splitlines()
    assert line.startswith("promptarena: ")
    assert line.isprintable()
    return True


def test_changed_exports(here: Path, tally: Any) -> None:
    accepted: list[Any] = []
    count = 0

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(st.sampled_from(DOCUMENTS).flatmap(changed))
    def try_one(document: Any) -> None:
        nonlocal count
        count += 1
        document = sealed(document)
        folder = write(here / f"export {count}", [document])
        if refused(call("leaderboard", "small", "--from", folder)):
            # Some exports have nothing to show in a table; only what cannot be read is refused by both.
            results = here / f"results {count}"
            code = call("import", folder, "--results", results) if not _readable(folder) else None
            if code is not None:
                assert refused(code)
                assert not results.exists(), "something was written"
                return
        accepted.append(document)

    try_one()
    tally("exports", count)
    assert len(accepted) > count // 20, "the generator makes nothing that is accepted"
    together = {}
    for number, document in enumerate(accepted[:IMPORTED]):
        document = sealed(document | {"run_key": digest("accepted", number), "run_id": f"run-{number}"})
        together[document["run_key"]] = document
    folder = write(here / "accepted", list(together.values()))
    ended = call("import", folder)
    assert ended.code == 0, ended.err
    assert f"{len(together)} imported" in ended.out
    recorded = _exported_again(here)
    assert recorded.keys() == together.keys()
    for key, document in together.items():
        expected = json.loads(ExportedRun.model_validate_json(json.dumps(document)).content())
        for name in expected.keys() - {"digest"}:  # of the same content, which may have been written in another form
            assert recorded[key][name] == expected[name], name


def test_changed_manifests(here: Path, tally: Any) -> None:
    runs = [DOCUMENTS[0]]
    whole = json.loads((write(here / "whole", runs) / "manifest.json").read_text())
    count = 0

    @settings(max_examples=100, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(changed(whole))
    def try_one(manifest: Any) -> None:
        nonlocal count
        count += 1
        folder = write(here / f"export {count}", runs, sealed(manifest))
        refused(call("leaderboard", "small", "--from", folder))

    try_one()
    tally("exports", count)


def _readable(folder: Path) -> bool:
    from promptarena.benchmark.core.errors import UserError
    from promptarena.benchmark.recording.exports.folder import read_export

    try:
        read_export(folder)
    except UserError:
        return False
    return True


def _exported_again(here: Path) -> dict[str, Any]:
    """The recorded runs as the record would export them, by key."""
    from promptarena.benchmark.recording.record import Record, RecordPlace

    record = Record.open_existing(RecordPlace(here / "results"))
    runs = [ExportedRun.of(stored, record.recall(stored.run_id)) for stored in record.results(planned().spec.suite)]
    return {run.run_key: json.loads(run.content()) for run in runs}
