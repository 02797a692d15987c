"""A method's file stands alone: it knows the backbone's interface, and another method only by building on it."""

import ast
from pathlib import Path

import pytest

METHODS = Path(__file__).parents[2] / "methods"
FILES = [path for path in sorted(METHODS.glob("*.py")) if path.name != "__init__.py"]
INTERFACE = {
    "backbone.clip",
    "backbone.head_roles",
    "backbone.towers",
    "backbone.trainable",
    "core.classes",
    "core.errors",
    "core.paths",
    "core.recipe",
    "plugins.edits",
    "plugins.learner",
    "plugins.logistic",
    "plugins.role_masks",
    "plugins.templates",
}
each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def imports(tree: ast.AST) -> list[tuple[str, str]]:
    """(module, name) of every `from module import name`."""
    return [
        (node.module or "", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]


@each
def test_it_knows_the_harness_by_its_interface_only(path: Path) -> None:
    harness = "promptarena.benchmark."
    used = {module.removeprefix(harness) for module, _ in imports(ast.parse(path.read_text())) if harness in module}
    assert used <= INTERFACE


@each
def test_it_knows_another_method_only_to_build_on_it(path: Path) -> None:
    tree = ast.parse(path.read_text())
    bases = {
        base.id
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name)
    }
    taken: dict[str, set[str]] = {}
    for module, name in imports(tree):
        if module.startswith("promptarena.methods"):
            taken.setdefault(module, set()).add(name)
    for module, names in taken.items():
        assert names & bases, f"takes {names} of {module} without a class built on it"
        assert not any(name.startswith("_") for name in names), names
