"""The registry: built-in methods, other packages' and single files, none of which can spoil the others."""

import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tiny

from promptarena.benchmark.backbone.shared_state import SharedState
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.plugins.cards import GROUP
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.methods.coop import CoOp

BUILT_IN = {"zeroshot", "linear-probe", "coop", "maple"}
LEARNER = """
from promptarena.benchmark.plugins.learner import About, Learner

class {name}(Learner):
    about = About("{name}", "A paper", "A venue", {year}, "https://example.org")
"""

Install = Callable[..., None]


class Point:
    """What the registry reads of an entry point."""

    def __init__(self, name: str, loads: Any) -> None:
        self.name = name
        self.value = f"stranger:{name}"
        self.dist = type("Distribution", (), {"name": "stranger", "version": "0.3"})
        self._loads = loads

    def load(self) -> Any:
        if isinstance(self._loads, BaseException):
            raise self._loads
        return self._loads


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Adds entry points of another package, before the installed ones."""
    real = importlib.metadata.entry_points

    def add(**points: Any) -> None:
        added = [Point(name, loads) for name, loads in points.items()]
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [*added, *real(group=group)])

    return add


def plugin(folder: Path, *names: str, file: str = "my_method.py", year: object = 2024) -> Path:
    path = folder / file
    path.write_text("".join(LEARNER.format(name=name, year=year) for name in names))
    return path


def test_built_in_methods_register_as_any_package_does() -> None:
    registry = load_registry()
    named = {point.name for point in importlib.metadata.entry_points(group=GROUP)}
    assert set(registry.methods) >= BUILT_IN & named
    coop = registry.get("coop")
    assert coop.learner is CoOp
    assert coop.origin.startswith("promptarena ")
    years = [method.learner.about.year for method in registry.methods.values()]
    assert years == sorted(years)


def test_another_packages_method_is_found(install: Install) -> None:
    install(toy=tiny.Linear)
    found = load_registry().get("toy")
    assert (found.learner, found.origin) == (tiny.Linear, "stranger 0.3")


class CardlessLearner(tiny.Linear):
    about: Any = "a string"


class WrongYearLearner(tiny.Linear):
    about = tiny.About("Toy", "Toy", "Nowhere", "2000", "https://example.org")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("loads", "reason"),
    [
        (ImportError("no module\nnamed x"), "ImportError: no module"),
        (RuntimeError(), "RuntimeError"),
        (SystemExit(3), "SystemExit: 3"),
        (dict, "is not a subclass"),
        (CardlessLearner, "has no `about` card"),
        (WrongYearLearner, "has no `about` card"),
    ],
)
def test_a_broken_package_is_listed_with_its_reason_and_harms_nobody(install: Install, loads: Any, reason: str) -> None:
    install(toy=loads)
    registry = load_registry()
    assert set(registry.methods) >= BUILT_IN
    assert "toy" not in registry.methods
    broken = registry.broken["toy"]
    assert reason in broken.reason
    assert "\n" not in broken.reason
    with pytest.raises(UserError, match=r"method 'toy' of stranger 0\.3 cannot be used: "):
        registry.get("toy")


def test_a_taken_name_stays_with_its_owner(install: Install) -> None:
    install(coop=tiny.Linear)
    registry = load_registry()
    assert registry.get("coop").learner is CoOp
    assert "taken by promptarena" in registry.broken["coop"].reason


def test_near_names_are_suggested() -> None:
    with pytest.raises(UserError, match=r"unknown method 'cop'; did you mean coop"):
        load_registry().get("cop")


def test_a_file_with_one_learner_is_named_like_the_file(tmp_path: Path) -> None:
    path = plugin(tmp_path, "Mine")
    found = load_registry([path]).get("my-method")
    assert (found.learner.__name__, found.origin) == ("Mine", str(path))


def test_a_file_with_several_names_them_like_their_classes(tmp_path: Path) -> None:
    registry = load_registry([plugin(tmp_path, "Mine", "Yours")])
    assert {"mine", "yours"} <= set(registry.methods)


def test_a_file_says_in_all_which_learners_are_compared(tmp_path: Path) -> None:
    path = plugin(tmp_path, "Mine", "Yours")
    path.write_text(path.read_text() + '\n__all__ = ["Yours"]\n')
    registry = load_registry([path])
    assert registry.get("my-method").learner.__name__ == "Yours"
    assert not {"mine", "yours"} & set(registry.methods)


def test_an_imported_learner_is_not_the_files_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from promptarena.methods.coop import CoOp\n\nclass Better(CoOp):\n    pass\n\nAlias = Better\n")
    registry = load_registry([path])
    assert registry.get("mine").learner.__name__ == "Better"


def test_the_source_digest_follows_the_file(tmp_path: Path) -> None:
    path = plugin(tmp_path, "Mine")
    before = load_registry([path]).get("my-method").source
    assert load_registry([path]).get("my-method").source == before
    path.write_text(path.read_text() + "changed = True\n")
    assert load_registry([path]).get("my-method").source != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "defines no subclass"),
        ("import nothing_of_the_kind\n", "cannot be imported: ModuleNotFoundError"),
        ("def (\n", "cannot be imported: SyntaxError"),
        ("raise SystemExit(1)\n", "cannot be imported: SystemExit"),
        (
            "from promptarena.benchmark.plugins.learner import Learner\nclass Bare(Learner): ...\n",
            "has no `about` card",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    before: dict[str, ModuleType] = dict(sys.modules)
    with pytest.raises(UserError, match=message) as caught:
        load_registry([path])
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    if "imported" in message:
        assert not {name for name in set(sys.modules) - set(before) if name.startswith("promptarena_plugin")}


def test_a_file_that_is_missing_taken_or_not_python_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no plugin file"):
        load_registry([tmp_path / "none.py"])
    with pytest.raises(UserError, match=r"method 'coop' is taken by promptarena .*; rename it"):
        load_registry([plugin(tmp_path, "Mine", file="coop.py")])
    with pytest.raises(UserError, match="not a Python file"):
        load_registry([plugin(tmp_path, "Mine", file="notes.txt")])


CHANGES = (
    "torch.set_default_dtype(torch.float64)",
    "torch.set_num_threads(7)",
    "torch.set_grad_enabled(False)",
    "torch.nn.functional.normalize = len",
    "torch.set_flush_denormal(True); raise ValueError",
)


@pytest.mark.parametrize("change", CHANGES)
def test_a_plugin_whose_import_changes_torch_is_refused_and_torch_restored(change: str, tmp_path: Path) -> None:
    before = SharedState()
    path = tmp_path / "changing.py"
    path.write_text(f"import torch\n{change}\n")
    with pytest.raises(UserError, match="cannot be imported"):
        load_registry([path])
    assert not before.changes()
