"""The notebooks in examples/ run from top to bottom, each in a folder of its own.

Those that compare anew show that comparisons run in a notebook; the one that reads results is given them.
"""

import contextlib
import io
import json
import linecache
import sys
import types
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "examples").glob("*.ipynb"))


def cells(notebook: Path, kind: str) -> list[str]:
    """The sources of a notebook's cells of a kind."""
    found = json.loads(notebook.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in found["cells"] if cell["cell_type"] == kind]


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["first_comparison", "reading_results", "your_method"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_without_outputs(notebook: Path) -> None:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert content["nbformat"] == 4
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in content["cells"])
    assert cells(notebook, "markdown")[0].startswith("# ")


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if notebook.stem == "reading_results":
        request.getfixturevalue("compared")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    module = types.ModuleType(f"notebook_{notebook.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for number, source in enumerate(cells(notebook, "code")):
        name = f"<cell {number} of {notebook.stem}>"
        monkeypatch.setitem(linecache.cache, name, (len(source), None, source.splitlines(keepends=True), name))
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, name, "exec"), module.__dict__)
