"""`export --check`: what is whole is said to be, and what is not is named; nothing is written."""

from pathlib import Path

import pytest
from export_folders import path_of, rewritten, write
from exported import exported

from promptarena.benchmark.cli import main as cli
from promptarena.benchmark.cli.commands.export import check_export
from promptarena.benchmark.core.errors import UserError


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_export_that_is_whole_is_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "export", exported("coop", 1), exported("coop", 2), exported("maple", 1))
    before = files(tmp_path)
    cli.app(["export", "--out", str(folder), "--check"], standalone_mode=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "3 runs of suite small are whole: " in said
    assert "maple" in said
    assert files(tmp_path) == before


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    run = exported("coop", 1)
    folder = write(tmp_path / "export", run, exported("coop", 2))
    rewritten(path_of(folder, run), reseal=False, miniature=False)
    with pytest.raises(UserError, match=run.run_key):
        check_export(folder)
    with pytest.raises(UserError, match="no export"):
        check_export(tmp_path / "nothing")


def test_runs_that_may_not_stand_in_one_leaderboard_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "export", exported("coop", 1, epochs=5), exported("coop", 2, epochs=50))
    with pytest.raises(UserError, match="cannot average"):
        check_export(folder)
