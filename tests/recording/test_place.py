"""Where a record is: what is named goes before the environment, and that before the folder."""

from pathlib import Path

import pytest

from promptarena.benchmark.recording.place import RecordPlace


def test_the_address_that_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert RecordPlace(tmp_path).elsewhere is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    assert RecordPlace(tmp_path).elsewhere is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://a")
    assert RecordPlace(tmp_path).elsewhere == "http://a"
    assert RecordPlace(tmp_path, "http://b").elsewhere == "http://b"


def test_the_file_of_a_relative_folder_does_not_follow_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert RecordPlace(Path("results")).database == tmp_path / "results" / "mlflow.db"
