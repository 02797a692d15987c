"""A launcher is found by its file alone."""

from pathlib import Path

import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.running import launchers
from promptarena.benchmark.running.launchers.registry import all_launchers, find_launcher

MINE = """
from promptarena.benchmark.running.launchers.registry import LauncherKind

LAUNCHER = LauncherKind("mine", lambda *_: None)
"""


def test_one_file_more_is_one_launcher_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.setattr(launchers, "__path__", [*launchers.__path__, str(tmp_path)])
    assert [kind.name for kind in all_launchers()] == ["local", "slurm", "ray", "mine"]
    assert find_launcher("mine").make(None, None, None) is None  # type: ignore[arg-type]


def test_options_have_defaults_and_say_what_they_are() -> None:
    for kind in all_launchers():
        kind.options()
        assert all(field.description for field in kind.options.model_fields.values())


def test_an_unknown_launcher_is_refused() -> None:
    with pytest.raises(UserError, match="unknown launcher 'sge'"):
        find_launcher("sge")
