"""A method's digest changes with whatever decides its figures, and with nothing else."""

import importlib
import inspect
import sys
from pathlib import Path

import pytest

from promptarena.benchmark.plugins.registry import Registry, load_registry
from promptarena.benchmark.plugins.same_figures import SAME_FIGURES
from promptarena.benchmark.plugins.source_digest import code_digest, method_digest
from promptarena.methods.coop import CoOp
from promptarena.methods.maple import MaPLe
from promptarena.methods.rada import Rational
from promptarena.methods.rada_plus import RAdaCoOp

METHODS = Path(inspect.getfile(CoOp)).parent
METHOD = '''"""What it is."""

import torch.nn.functional as F
from promptarena.benchmark.plugins.learner import Config

RATE: float = 0.1


class Mine(Config):
    """What it is."""

    about = About("Mine", "A paper", "CVPR", 2026, "https://example.org")
    n_ctx: int = 4

    def scaled(self, x: Tensor) -> Tensor:
        """What it does."""
        return F.relu(x) * RATE + self.n_ctx
'''
SAME = {
    "a comment": ("return F", "# why\n        return F"),
    "a docstring": ('"""What it does."""', '"""Does more, in other words."""'),
    "no docstring": ('        """What it does."""\n', ""),
    "formatting": (
        "F.relu(x) * RATE + self.n_ctx",
        "(\n            F.relu(x) * RATE\n            + self.n_ctx\n        )",
    ),
    "quotes": ('"Mine", "A paper"', "'Mine', 'A paper'"),
    "an annotation": ("x: Tensor) -> Tensor", "x)"),
    "an annotation of a constant": ("RATE: float", "RATE"),
    "the card": ("2026", "2027"),
    "a module that moved": ("promptarena.benchmark.plugins.learner", "promptarena.benchmark.plugins.learner"),
    "an import's name": (
        "import torch.nn.functional as F\n",
        "import torch.nn.functional as fn\n",
    ),
    "an import that is not used": ("RATE:", "import math\nRATE:"),
}
OTHER = {
    "a constant": ("0.1", "0.2"),
    "a constant's type": ("0.1", '"0.1"'),
    "a default": ("n_ctx: int = 4", "n_ctx: int = 5"),
    "an operator": ("* RATE", "/ RATE"),
    "a function": ("F.relu", "F.gelu"),
    "a library": ("torch.nn.functional as F", "math as F"),
    "an attribute": ("self.n_ctx", "self.n_cls"),
    "a base": ("Mine(Config)", "Mine(Other)"),
    "an order": ("F.relu(x) * RATE", "RATE * F.relu(x)"),
}


def changed(old: str, new: str) -> str:
    assert METHOD.count(old) == 1
    text = METHOD.replace(old, new)
    return text.replace("F.relu", "fn.relu") if "as fn" in new else text


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_what_only_people_read_leaves_the_digest(change: tuple[str, str]) -> None:
    assert code_digest(changed(*change)) == code_digest(METHOD)


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER)
def test_what_decides_figures_changes_the_digest(change: tuple[str, str]) -> None:
    assert code_digest(changed(*change)) != code_digest(METHOD)


def test_each_change_gives_another_digest() -> None:
    digests = {code_digest(changed(*change)) for change in OTHER.values()}
    assert len(digests) == len(OTHER)


def test_every_python_version_gives_the_same_digest() -> None:
    """A value written down: `ast.dump` would give another one in Python 3.13."""
    assert code_digest(METHOD).startswith("916a6d802a3c3029")


def test_every_built_in_method_has_a_digest_of_its_own_code() -> None:
    registry: Registry = load_registry()
    files = {sys.modules[method.learner.__module__].__file__ for method in registry.methods.values()}
    assert len({method.source for method in registry.methods.values()}) >= len(files)


def write_package(folder: Path, monkeypatch: pytest.MonkeyPatch, factor: int) -> type:
    """A method in a package whose base and helper are in other modules of it."""
    package = folder / "strangers"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text(f"FACTOR = {factor}\n")
    (package / "base.py").write_text(
        "from promptarena.methods.coop import CoOp\nfrom .helper import FACTOR\n\n"
        "class Base(CoOp):\n    factor = FACTOR\n"
    )
    (package / "mine.py").write_text("from strangers.base import Base\n\nclass Mine(Base):\n    pass\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "strangers"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    learner: type = importlib.import_module("strangers.mine").Mine
    return learner


def test_bases_and_helpers_in_other_files_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = method_digest(write_package(tmp_path / "one", monkeypatch, factor=1))
    same = method_digest(write_package(tmp_path / "same", monkeypatch, factor=1))
    other = method_digest(write_package(tmp_path / "other", monkeypatch, factor=2))
    assert one == same != other


@pytest.mark.parametrize(("edited", "changes"), [(CoOp, True), (Rational, True), (MaPLe, False)])
def test_a_composed_method_counts_what_it_is_composed_of(
    edited: type, changes: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """MaPLe's file is imported beside CoOp's, for another composition."""
    before = method_digest(RAdaCoOp)
    real = inspect.getfile
    copy = tmp_path / "edited.py"
    copy.write_text(Path(real(edited)).read_text() + "\nEXTRA = 1\n")
    monkeypatch.setattr("inspect.getfile", lambda item: str(copy) if real(item) == real(edited) else real(item))
    assert (method_digest(RAdaCoOp) != before) == changes


def test_every_rewritten_module_is_one_of_now() -> None:
    """A row whose module has changed since says nothing any more."""
    modules = {code_digest(path.read_text(encoding="utf-8")) for path in METHODS.glob("*.py")}
    assert set(SAME_FIGURES) <= modules
    assert not set(SAME_FIGURES.values()) & set(SAME_FIGURES)


def test_a_rewritten_module_counts_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = load_registry(()).get("kgcoop").learner
    code = code_digest((METHODS / "kgcoop.py").read_text(encoding="utf-8"))
    before = method_digest(learner)
    monkeypatch.setitem(SAME_FIGURES, code, "another")
    moved = method_digest(learner)
    assert moved != before
    monkeypatch.setitem(SAME_FIGURES, code, code)
    assert method_digest(learner) == before
