"""Finds method plugins: those of installed packages (entry-point group `promptarena.methods`) and single files.

Built-in methods register in the same way as those of any other package. A plugin that cannot be loaded, or whose name
is taken, is listed as broken with the reason; the others work all the same.
"""

import importlib.metadata
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from promptarena.benchmark.backbone.shared_state import SharedState
from promptarena.benchmark.core.errors import UserError, message_of, one_line, unknown
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.plugins.cards import ALL, GROUP, OURS
from promptarena.benchmark.plugins.families import GROUPS
from promptarena.benchmark.plugins.learner import About, Config, Learner
from promptarena.benchmark.plugins.source_digest import method_digest


@dataclass(frozen=True)
class Method:
    """A registered method.

    Args:
        name: Its name in commands and tables.
        learner: Its class.
        origin: Name and version of the package it comes from, such as "promptarena 1.0", or the plugin's file.
        distribution: Name and version of the package; empty for a single file.
        source: SHA-256 of its code (see `source_digest`).
    """

    name: str
    learner: type[Learner]
    origin: str
    distribution: str
    source: str


@dataclass(frozen=True)
class Broken:
    """A plugin that cannot be used, and why (one line)."""

    name: str
    origin: str
    reason: str

    def error(self) -> UserError:
        """The error for a user who named it."""
        return UserError(f"method {self.name!r} of {self.origin} cannot be used: {self.reason}")


class Registry:
    """Methods by name, from the oldest to the newest."""

    def __init__(self, methods: Iterable[Method], broken: Iterable[Broken]) -> None:
        self.methods = {method.name: method for method in sorted(methods, key=_by_year)}
        self.broken = {entry.name: entry for entry in broken}

    def get(self, name: str) -> Method:
        """The method of a name.

        Args:
            name: The method's name.

        Returns:
            The method.

        Raises:
            UserError: The name is unknown (similar names are suggested), or the plugin is broken (with the reason).
        """
        if name in self.methods:
            return self.methods[name]
        if name in self.broken:
            raise self.broken[name].error()
        raise unknown("method", name, self.methods)


def load_registry(plugins: Sequence[Path] = ()) -> Registry:
    """Find all methods: the built-in ones, those of other installed packages, and those in single files.

    Args:
        plugins: Python files that define learners.

    Returns:
        The registry. Plugins of installed packages that cannot be used are in its `broken`.

    Raises:
        UserError: A file in `plugins` cannot be used. It is an error because the user named the file.
    """
    methods: dict[str, Method] = {}
    broken: list[Broken] = []
    # Built-in methods come first, so that no other package can take the name of one.
    for point, package in sorted(_points(), key=lambda found: found[1].name != OURS):
        distribution = f"{package.name} {package.version}" if package.name else ""
        origin = distribution or point.value
        try:
            with nullcontext() if package.name == OURS else _importing():
                loaded = point.load()
            method = _method(point.name, loaded, origin, distribution)
        except (Exception, SystemExit) as error:  # importing a plugin runs its code, which may raise anything
            broken.append(Broken(point.name, origin, one_line(error)))
            continue
        if point.name in methods:
            broken.append(Broken(point.name, origin, f"the name is taken by {methods[point.name].origin}"))
        else:
            methods[point.name] = method
    for path in plugins:
        for method in _from_file(path):
            if method.name in methods:
                raise UserError(f"{path}: method {method.name!r} is taken by {methods[method.name].origin}; rename it")
            methods[method.name] = method
    return Registry(methods.values(), broken)


def _by_year(method: Method) -> tuple[int, str]:
    return method.learner.about.year, "" if not method.learner.seeded else method.name


class _Package(NamedTuple):
    """What an entry point belongs to; empty if it does not say so."""

    name: str
    version: str


def _points() -> list[tuple[importlib.metadata.EntryPoint, _Package]]:
    """The entry points, each with its package, whose name and version are read from its files once, not for each."""
    packages = {id(None): _Package("", "")}
    found = []
    for point in importlib.metadata.entry_points(group=GROUP):
        if point.dist is not None and id(point.dist) not in packages:
            packages[id(point.dist)] = _Package(point.dist.name, point.dist.version)
        found.append((point, packages[id(point.dist)]))
    return found


def _method(name: str, learner: object, origin: str, distribution: str = "") -> Method:
    if not (isinstance(learner, type) and issubclass(learner, Learner)):
        raise TypeError(f"{learner!r} is not a subclass of promptarena.benchmark.plugins.learner.Learner")
    if name in (ALL, *GROUPS):
        raise ValueError(f"{name!r} stands for several methods; choose another name")
    about = getattr(learner, "about", None)
    if not (isinstance(about, About) and isinstance(about.year, int)):
        raise TypeError(f"{learner.__name__} has no `about` card (an About with a year)")
    texts = (about.title, about.paper, about.venue, about.url, about.parity, *about.assumed)
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise TypeError(f"the `about` card of {learner.__name__} holds something other than a line of text")
    config_type: object = learner.config_type
    if not (isinstance(config_type, type) and issubclass(config_type, Config)):
        raise TypeError(f"the config_type of {learner.__name__} is not a subclass of Config")
    if not isinstance(learner.seeded, bool):
        raise TypeError(f"{learner.__name__}.seeded is not True or False")
    return Method(name, learner, origin, distribution, method_digest(learner))


def _from_file(path: Path) -> list[Method]:
    """The learners of a file: those in its `__all__` if it has one, else all.

    A single one takes the file's name, several take their class names in lower case.
    """
    module = _import_file(path)
    public = getattr(module, "__all__", None)
    learners = [
        value
        for value in dict.fromkeys(filter(inspect.isclass, vars(module).values()))
        if issubclass(value, Learner) and value.__module__ == module.__name__
        if public is None or value.__name__ in public
    ]
    if not learners:
        raise UserError(f"{path}: defines no subclass of promptarena.plugin.Learner")
    try:
        if len(learners) == 1:
            return [_method(path.stem.replace("_", "-"), learners[0], str(path))]
        return [_method(learner.__name__.lower(), learner, str(path)) for learner in learners]
    except (Exception, SystemExit) as error:  # a class may run code of its own when its attributes are read
        raise UserError(f"{path}: {message_of(error) or one_line(error)}") from error


@contextmanager
def _importing() -> Iterator[None]:
    """Import a plugin inside. What it changes for all methods is restored; RuntimeError then says what it was."""
    before = SharedState()
    changed = ""
    try:
        yield
        changed = before.changes()
    finally:
        before.restore()
    if changed:
        raise RuntimeError(f"importing it changes {changed}, which all methods share")


def _import_file(path: Path) -> ModuleType:
    if not os.path.isfile(path):
        raise UserError(f"no plugin file {path}")
    name = f"promptarena_plugin_{digest(str(path.resolve()))[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _importing():
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # importing a plugin runs its code, which may raise anything
        del sys.modules[name]
        raise UserError(f"{path}: cannot be imported: {one_line(error)}") from error
    return module
