"""A digest of the code that decides a method's results.

The digest enters every run's key, so a change of the digest makes all recorded runs of the method run again. It
therefore leaves out what cannot change a result: comments, formatting, docstrings, annotations, the `about` card, and
the local names of imports. Everything else counts, such as a constant, an operator or a default value, except for the
rewritten modules of `same_figures`.
"""

import ast
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.plugins.learner import Config, Learner
from promptarena.benchmark.plugins.same_figures import SAME_FIGURES

HARNESS = "promptarena"
OUR_METHODS = "promptarena.methods"
CARD = "about"
_UNREAD = frozenset({"annotation", "returns", "type_comment", "type_params", "ctx", "kind"})


def method_digest(learner: type[Learner]) -> str:
    """SHA-256 (64 hex digits) of a method's code.

    Covers the file of the class, those of its base classes below `Learner`, and the modules of the same package whose
    functions, constants or modules these files import. The harness itself is covered by `TRAINING_VERSION` and
    `PROTOCOL_VERSION`.

    Args:
        learner: The method's class.

    Returns:
        The digest. It does not depend on the Python version, the release of promptarena or the place of installation.

    Raises:
        OSError: The source of the class cannot be read.
        TypeError: The class has no source file.
        SyntaxError: A file is not Python.
    """
    own = learner.mro()[: learner.mro().index(Learner)]
    waiting = dict.fromkeys(cls.__module__ for cls in own if cls.__module__ != "builtins")
    files = {cls.__module__: Path(inspect.getfile(cls)) for cls in own if cls.__module__ in waiting}
    digests: dict[str, str] = {}
    while waiting:
        name = next(iter(waiting))
        del waiting[name]
        source = _read(files[name].read_bytes())
        digests[name] = SAME_FIGURES.get(source.digest, source.digest)
        for helper in _helpers(source.imports, name):
            # Imports may be cyclic, so a module that was digested is not queued again.
            if helper not in digests:
                waiting[helper] = None
                files.setdefault(helper, Path(inspect.getfile(sys.modules[helper])))
    return digest(*sorted(digests.values()))


class _Source(NamedTuple):
    """What a file's text says: the digest of its code, and its imports."""

    digest: str
    imports: tuple[ast.Import | ast.ImportFrom, ...]


@cache
def _read(text: bytes) -> _Source:
    """Methods share files, and a process asks for the methods many times; a changed file has another text."""
    tree = ast.parse(text)
    imports = tuple(node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom))
    return _Source(code_digest(tree), imports)


def code_digest(code: str | ast.Module) -> str:
    """SHA-256 of a module's syntax tree, without the parts that cannot change a result.

    Args:
        code: The module's text or its tree.

    Returns:
        64 hexadecimal digits.

    >>> code_digest("x: int = 2  # two") == code_digest("x = 2")
    True
    >>> code_digest("x = 2") == code_digest("x = 3")
    False
    """
    tree = ast.parse(code) if isinstance(code, str) else code
    return digest(_plain(tree, _imported_names(tree)))


def _plain(node: Any, names: dict[str, str]) -> Any:
    """A node as nested lists of plain values: its type and its non-empty fields.

    `ast.dump` is not used because its text differs between Python versions. Empty fields are left out because a newer
    Python may add fields, which are empty for older code.
    """
    if isinstance(node, list):
        return [_plain(item, names) for item in node if not _is_for_people(item)]
    if isinstance(node, ast.Name):
        return ["Name", names.get(node.id, node.id)]
    if isinstance(node, ast.AnnAssign) and node.value is not None:  # `x: int = 2` is `x = 2`
        return ["Assign", ["targets", [_plain(node.target, names)]], ["value", _plain(node.value, names)]]
    if isinstance(node, ast.AST):
        fields = [
            [name, _plain(value, names)]
            for name, value in ast.iter_fields(node)
            if name not in _UNREAD and value is not None and value != []
        ]
        return [type(node).__name__, *fields]
    return f"{type(node).__name__} {node!r}"


def _is_for_people(statement: Any) -> bool:
    """Whether a statement is an import, a docstring or a method's card."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)
    if isinstance(statement, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == CARD for target in statement.targets)
    return (
        isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.target.id == CARD
    )


def _imported_names(tree: ast.Module) -> dict[str, str]:
    """The object that each imported name of a file refers to.

    A name from promptarena or from a relative import counts without its module, so that moving a module changes no
    digest. Any other name counts with its module, because `relu` of one library is not `relu` of another.
    """
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: f"import {alias.name}" for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            place = "" if node.level or module.split(".")[0] == HARNESS else module
            names |= {alias.asname or alias.name: f"import {place}:{alias.name}" for alias in node.names}
    return names


def _helpers(imports: Iterable[ast.Import | ast.ImportFrom], name: str) -> Iterator[str]:
    """The loaded modules of the package from which the module `name` imports more than learners and configurations.

    Imports of learners need no digest here: a base class is covered already, and an unrelated learner decides nothing.
    Imports of configurations need none either: the values of the settings are in the run's key.
    """
    package = OUR_METHODS if name.startswith(f"{OUR_METHODS}.") else name.split(".")[0]
    imported: list[str] = []
    for node in imports:
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        else:
            base = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(base, name.rpartition(".")[0]) if node.level else base
            values = {alias.name: getattr(sys.modules.get(base), alias.name, None) for alias in node.names}
            imported += [f"{base}.{alias}" for alias, value in values.items() if isinstance(value, ModuleType)]
            if not all(isinstance(value, type) and issubclass(value, Learner | Config) for value in values.values()):
                imported.append(base)
    yield from (module for module in imported if module.startswith(f"{package}.") and module in sys.modules)
