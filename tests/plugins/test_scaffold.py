"""The files of a new method: written whole or not at all, under a name that nothing else has."""

import ast
from pathlib import Path

import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.plugins.scaffold import write_method


@pytest.mark.parametrize("name", ["my-idea", "my_idea", "idea2"])
def test_what_is_written_is_a_method_of_that_name(name: str, tmp_path: Path) -> None:
    written = write_method(name, tmp_path / "new", ())
    assert written.name == name.replace("_", "-")
    assert load_registry((written.plugin,)).get(written.name).learner.about.title
    ast.parse(written.test.read_text())


@pytest.mark.parametrize("name", ["2fast", "class", "", "_x", "a b", "../up", "learner", "all", "coop", "json"])
def test_a_name_that_cannot_be_used_is_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        write_method(name, tmp_path / "new", ("coop",))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_files_are_never_overwritten(tmp_path: Path) -> None:
    written = write_method("mine", tmp_path, ())
    written.plugin.unlink()
    written.test.write_text("own")
    with pytest.raises(UserError, match=r"test_mine.py exists already"):
        write_method("mine", tmp_path, ())
    assert written.test.read_text() == "own"
    assert not written.plugin.exists()
