"""Killed at random moments, on full disks and eight at a time: the same command ends with the same record."""

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import e2e_record
import pytest
from e2e_world import make_world
from exported import OUTLINE, exported
from forked import Command, Parent

from promptarena.benchmark.recording.exports.exported_run import ExportedRun
from promptarena.benchmark.recording.exports.folder import write_manifest, write_run
from promptarena.benchmark.recording.record import Record, RecordPlace

Tally = Callable[[str, int], None]
KILLS_OF_IMPORTS = 46
KILLS_OF_COMPARISONS = 14
MOST_KILLS_OF_A_RECORD = 12
RUNS = 3


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parent]:
    folder = tmp_path_factory.mktemp("parent")
    made = Parent(folder)
    made.run("--help", cwd=folder)  # once it has imported everything, all commands begin equally fast
    yield made
    made.close()


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    for seed in range(RUNS):
        write_run(folder, exported(seed=seed))
    write_manifest(folder, OUTLINE)
    return folder


def recorded(results: Path) -> list[dict[str, Any]]:
    """The finished runs of a record as they would be exported, without their ids there."""
    record = Record.open_existing(RecordPlace(results))
    runs = [ExportedRun.of(stored, record.recall(stored.run_id)) for stored in record.results("small")]
    return sorted((json.loads(run.content()) for run in runs), key=lambda run: str(run["run_key"]))


def expected(export: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((export / "runs").iterdir())]


def sound(command: Command) -> None:
    """What a killed command wrote to its terminal before: no traceback."""
    assert "Traceback" not in command.wait().err


def test_imports_killed_at_random_moments(parent: Parent, export: Path, tmp_path: Path, tally: Tally) -> None:
    stream, kills, record = random.Random(20), 0, 0
    began = time.monotonic()
    assert parent.run("import", export, cwd=tmp_path).code == 0
    whole = time.monotonic() - began
    while kills < KILLS_OF_IMPORTS:
        record += 1
        folder = tmp_path / f"record {record}"
        folder.mkdir()
        for number in range(MOST_KILLS_OF_A_RECORD):
            command = parent.start("import", export, cwd=folder)
            # The first ones fall into the making of the record, later ones into its runs and tables.
            time.sleep(stream.uniform(0, whole / 3 if number < 4 else whole))
            killed = command.kill()
            sound(command)
            kills += killed
            if not killed or kills == KILLS_OF_IMPORTS:
                break
        ended = parent.run("import", export, cwd=folder)
        assert ended.code == 0, ended.err
        assert recorded(folder / "results") == expected(export)
        runs = e2e_record.runs(folder / "results")
        assert [run.info.status for run in runs] == ["FINISHED"] * RUNS
    tally("kills", kills)


def test_comparisons_killed_at_random_moments(parent: Parent, tmp_path: Path, tally: Tally) -> None:
    suite = make_world(tmp_path / "world", epochs=4)
    words = ("compare", suite, "--methods", "coop", "--protocols", "base-to-novel", "--seeds", 1, 2, "--workers", 2)
    (tmp_path / "undisturbed").mkdir()
    began = time.monotonic()
    ended = parent.run(*words, cwd=tmp_path / "undisturbed")
    assert ended.code == 0, ended.err
    whole = time.monotonic() - began
    stream, kills, record = random.Random(21), 0, 0
    while kills < KILLS_OF_COMPARISONS:
        record += 1
        folder = tmp_path / f"record {record}"
        folder.mkdir()
        while kills < KILLS_OF_COMPARISONS:
            command = parent.start(*words, cwd=folder)
            # Every other one within the first second; what is done stays done, so later ones come to the tables.
            time.sleep(stream.uniform(0, 1 if kills % 2 else whole))
            killed = command.kill()
            sound(command)
            if not killed:
                break
            kills += 1
        ended = parent.run(*words, cwd=folder)
        assert ended.code == 0, ended.err
        assert e2e_record.figures(folder / "results") == e2e_record.figures(tmp_path / "undisturbed" / "results")
    tally("kills", kills)


def test_full_disks(parent: Parent, export: Path, tmp_path: Path, tally: Tally) -> None:
    stream, tried = random.Random(22), 0
    (tmp_path / "whole").mkdir()
    assert parent.run("import", export, cwd=tmp_path / "whole").code == 0
    size = (tmp_path / "whole" / "results" / "mlflow.db").stat().st_size
    commands: tuple[tuple[tuple[object, ...], int], ...] = (
        (("import", export), size),
        (("leaderboard", "small", "--from", export, "--format", "json", "--out", "table.json"), 20_000),
        (("leaderboard", "small", "--from", export, "--format", "csv", "--out", "table.csv"), 4_000),
    )
    for words, most in commands:
        for _ in range(4 if words[0] == "import" else 6):
            folder = tmp_path / f"{tried}"
            folder.mkdir()
            ended = parent.run(*words, cwd=folder, limit=int(most * stream.uniform(0, 1)))
            tried += 1
            assert "Traceback" not in ended.err, ended.err
            if ended.code:
                assert ended.code == 2, ended
                assert len(ended.err.splitlines()) == 1, ended.err
                left = {path.name for path in folder.iterdir()} - {"results"}
                assert not left, "half a file"
            assert parent.run(*words, cwd=folder).code == 0
            if words[0] == "import":
                assert recorded(folder / "results") == expected(export)
    for words in (("methods", "list"), ("leaderboard", "small", "--from", export), ("--help",), ("published", "list")):
        ended = parent.run(*words, cwd=tmp_path, out=Path("/dev/full"))
        tried += 1
        assert ended.code == 2, ended
        assert ended.err == "promptarena: cannot write to standard output: No space left on device\n"
    tally("full disks", tried)


def test_eight_commands_at_once(parent: Parent, export: Path, tmp_path: Path, tally: Tally) -> None:
    commands = [parent.start("import", export, cwd=tmp_path) for _ in range(8)]
    for ended in [command.wait() for command in commands]:
        assert ended.code == 0, ended.err
        assert ended.err == ""
    assert recorded(tmp_path / "results") == expected(export)
    assert len(e2e_record.runs(tmp_path / "results")) == RUNS
    tally("commands at once", len(commands))
