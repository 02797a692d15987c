"""Methods that are classes of a notebook or script: written to a plugin file, so that workers can import them.

A run's key then rests on that file: the source of the class and of what it uses from the notebook.
"""

import ast
import builtins
import inspect
import linecache
import re
import symtable
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.keys import digest

_PLAIN = (bool, int, float, str, bytes, tuple, list, dict, set, frozenset, type(None))


def plugin_of(learner: type, folder: Path) -> Path:
    """Write a class as a plugin file.

    Args:
        learner: The class of a method, defined in a notebook or script.
        folder: Where plugin files are kept.

    Returns:
        The file; the same source gives the same file.

    Raises:
        UserError: The source of the class, or of something it uses, is not known.
    """
    parts: dict[str, str] = {}
    _collect(learner.__name__, learner, learner.__module__, parts, learner.__name__)
    imports = [text for text in parts.values() if text.startswith(("import ", "from "))]
    others = [text for text in parts.values() if not text.startswith(("import ", "from "))]
    text = f'"""{learner.__name__}, as it was defined in a notebook."""\n\n' + "\n".join(imports) + "\n\n\n"
    # A base class of the notebook is in the file, too, but is not compared.
    text += "\n\n\n".join((f"__all__ = [{learner.__name__!r}]", *others)) + "\n"
    path = folder / digest(text)[:12] / f"{learner.__name__.lower()}.py"
    if not path.is_file():
        write_atomically(path, text)
    return path


def _collect(name: str, value: Any, module: str, parts: dict[str, str], learner: str) -> None:
    """Add the source of a global name of the notebook, after that of all it uses."""
    if name in parts:
        return
    if isinstance(value, ModuleType):
        parts[name] = f"import {value.__name__}" + (f" as {name}" if name != value.__name__ else "")
    elif isinstance(value, type | FunctionType) and value.__module__ == module:
        parts[name] = ""  # a class may use itself
        source = _source(value, learner)
        for used in _names(source):
            scope = vars(sys.modules[module])
            if used in scope and used != name:
                _collect(used, scope[used], module, parts, learner)
        del parts[name]  # so that it stands after what it uses
        parts[name] = source
    elif getattr(value, "__module__", None) and hasattr(value, "__qualname__") and "." not in value.__qualname__:
        alias = "" if value.__name__ == name else f" as {name}"
        parts[name] = f"from {value.__module__} import {value.__name__}{alias}"
    elif (imported := _typing_name(value)) is not None:
        parts[name] = f"from typing import {imported}" + (f" as {name}" if imported != name else "")
    elif isinstance(value, _PLAIN) and _is_literal(value):
        parts[name] = f"{name} = {value!r}"
    else:
        raise UserError(
            f"method {learner} uses {name}, a {type(value).__name__} of the notebook, whose source is not known; "
            "define it inside the class, or write the method to a file and give it as a plugin"
        )


def _source(value: Any, learner: str) -> str:
    """The source of a class or function, also where the notebook holds it and no file."""
    cells = _cells_with(value.__name__) if isinstance(value, type) else []
    lines = cells[-1] if cells else _lines_of(value)
    if not lines:
        try:
            return inspect.cleandoc("\n" + inspect.getsource(value))
        except (OSError, TypeError) as error:
            raise UserError(
                f"method {learner}: the source of {value.__name__} is not known; write it to a file and give that as a "
                "plugin"
            ) from error
    found = [node for node in ast.parse("".join(lines)).body if getattr(node, "name", "") == value.__name__]
    if not found:
        raise UserError(f"method {learner}: {value.__name__} is not defined at the top of its cell; define it there")
    node = found[-1]
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
    return "".join(lines[first - 1 : node.end_lineno]).rstrip()


def _lines_of(value: Any) -> list[str]:
    return linecache.getlines(value.__code__.co_filename) if isinstance(value, FunctionType) else []


def _cells_with(name: str) -> list[list[str]]:
    """The cells that define a class, the newest last. A class does not say where it was defined; Python keeps the
    lines of every cell."""
    cells = [entry[2] for file, entry in linecache.cache.items() if len(entry) == 4 and not Path(file).is_file()]
    return [lines for lines in cells if any(re.match(rf"class {name}\b", line) for line in lines)]


def _names(source: str) -> list[str]:
    """The global names that a source uses, in their order. A parameter is none, even if the notebook has that name."""
    found = [node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
    waiting, used = [symtable.symtable(source, "<cell>", "exec")], set[str]()
    while waiting:
        table = waiting.pop()
        waiting += table.get_children()
        used |= {each.get_name() for each in table.get_symbols() if each.is_global() or table.get_type() == "module"}
    return [name for name in dict.fromkeys(found) if name in used and not hasattr(builtins, name)]


def _typing_name(value: Any) -> str | None:
    name = getattr(value, "_name", None)
    return name if getattr(value, "__module__", "") == "typing" and isinstance(name, str) else None


def _is_literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError):
        return False
