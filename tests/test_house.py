"""The rooms of the repository: how full they are, what they import, and that the wheel has them all."""

import ast
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARK = ROOT / "benchmark"
TESTS = ROOT / "tests"
MODULES = sorted(BENCHMARK.rglob("*.py"))
METHODS = sorted((ROOT / "methods").glob("*.py"))
READING = ("leaderboard", "statistics.board", "published.load", "plots.all_figures", "report.page", "recording.record")


def test_imports_run_downwards_only() -> None:
    checked = subprocess.run([sys.executable, ROOT / "tools" / "check_imports.py"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "3 kept, 0 broken" in checked.stdout


@pytest.mark.parametrize("module", READING)
def test_reading_results_loads_no_torch(module: str) -> None:
    code = f"import sys, promptarena.benchmark.{module}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_room_holds_more_than_twenty_modules() -> None:
    counts = Counter(path.parent for path in MODULES)
    assert {str(room.relative_to(ROOT)): count for room, count in counts.items() if count > 20} == {}


def test_no_module_is_longer_than_350_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: length for name, length in lengths.items() if length > 350} == {}


def test_no_module_lies_outside_the_rooms() -> None:
    """Except the former names of modules that plugins import, kept for one release."""
    former = {"method", "recipe", "errors", "insertions", "registry", "templates", "towers", "cards"}
    assert {path.stem for path in BENCHMARK.glob("*.py")} == {"__init__", *former}


def test_the_wheel_has_every_room() -> None:
    """An editable install works without the list, so nothing else would notice that a room is missing."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent for path in MODULES}
    rooms = {"promptarena." + ".".join(folder.relative_to(ROOT).parts) for folder in folders - {BENCHMARK / "api"}}
    others = {"promptarena", "promptarena.methods", "promptarena.datasets", "promptarena.results"}
    assert set(settings["packages"]) == rooms | others
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_every_room_says_what_it_holds() -> None:
    for path in BENCHMARK.rglob("__init__.py"):
        assert path.read_text().startswith('"""'), path


def test_datasets_holds_no_code() -> None:
    """With an `__init__.py`, `import sentence_transformers` would find this folder in place of its own dependency."""
    assert list((ROOT / "datasets").rglob("*.py")) == []


def has_function(path: Path) -> bool:
    """Whether a module has a function: one without is a table, a set of names, or the former name of a module."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return path.stem != "__init__" and any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in nodes)


def its_tests(module: Path) -> list[Path]:
    """The test files of a module: test_MODULE.py, one for each subject (test_MODULE_SUBJECT.py), or a folder MODULE/.

    What prints a command may also be tested in `end_to_end`, as a user types it.
    """
    room = module.parent.relative_to(BENCHMARK if module.is_relative_to(BENCHMARK) else ROOT)
    command = room.parts[0] == "cli"
    folders = [TESTS / "cli", TESTS / "cli" / "commands", TESTS / "end_to_end"] if command else [TESTS / room]
    names = (f"test_{module.stem}.py", f"test_{module.stem}_*.py", f"{module.stem}/test_*.py")
    return [path for folder in folders for name in names for path in folder.glob(name)]


@pytest.mark.parametrize(
    "module", [path for path in (*MODULES, *METHODS) if has_function(path)], ids=lambda path: "/".join(path.parts[-2:])
)
def test_every_module_has_its_tests_where_they_are_looked_for(module: Path) -> None:
    assert its_tests(module), f"tests of {module.relative_to(ROOT)} would be in tests/.../test_{module.stem}.py"


def test_tests_lie_in_the_rooms_they_test() -> None:
    rooms = {path.name for path in BENCHMARK.iterdir() if path.is_dir()}
    others = {"campaign", "docs", "end_to_end", "golden", "methods", "recorded_before", "support", "tools"}
    found = {path.name for path in TESTS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert found <= rooms | others


def test_no_test_file_is_longer_than_350_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in TESTS.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 350} == {}
