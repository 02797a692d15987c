"""Results that are not there are refused in one line."""

from pathlib import Path

import pytest
from export_folders import write
from exported import exported

import promptarena as pa
from promptarena.loading import exported_results


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(pa.UserError, match="no record in"):
        pa.load_results(tmp_path)
    with pytest.raises(pa.UserError, match="unknown suite 'min'"):
        pa.load_results(tmp_path, "min")
    export = write(tmp_path, exported())
    with pytest.raises(pa.UserError, match="no export is of suite mini"):
        pa.load_results(export)


def test_exports_are_read_together(tmp_path: Path) -> None:
    folders = [write(tmp_path / str(seed), exported(seed=seed)) for seed in (1, 2)]
    found = exported_results(folders, "small")
    assert len(found) == 2
    assert set(found.frame["seed"]) == {1, 2}
    (section,) = found.sections()
    assert section.board.tables[0].rows
