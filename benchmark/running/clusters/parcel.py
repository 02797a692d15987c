"""What workers on other machines get by value: the suite, plugin files and role tables, and the versions to check.

Data, weights and the cache stay where they are: workers find them by their paths, and say which one they do not see.
"""

import os
import platform
import shutil
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from promptarena.benchmark.core.config_files import read_bytes
from promptarena.benchmark.core.errors import UserError, message_of
from promptarena.benchmark.core.files import is_missing, write_atomically
from promptarena.benchmark.core.paths import DATASETS
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.data.cards import SplitName, names_a_file
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.planning.suites import Suite, without_limit
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.running.execution import CHECKPOINT, ExecutionConfig, training_folder
from promptarena.benchmark.running.kept_learners import LEARNER_FILE, TRAINING_FILE

SAME = ("promptarena", "torch", "numpy")
"""Packages whose version must be the same on all machines: they decide figures."""


def versions(*others: str) -> dict[str, str]:
    """The versions of Python and of the packages that must be the same on all machines.

    Args:
        others: More packages.
    """
    return {"Python": platform.python_version()} | {name: _version(name) for name in (*SAME, *others)}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


@dataclass(frozen=True)
class Parcel:
    """Everything that runs need on another machine.

    Args:
        execution: How they run; its results folder is not used there.
        suite: The loaded suite; None for a built-in one, which every machine has with the package.
        built_in: The names of its cards that come with the package.
        plugins: The content of the plugin files, in order, by their paths.
        tables: The content of files that methods read, by their paths; those of the package are left out.
        versions: The versions of the machine that packs.
    """

    execution: ExecutionConfig
    suite: Suite | None
    built_in: tuple[str, ...]
    plugins: Mapping[str, bytes]
    tables: Mapping[str, bytes]
    versions: Mapping[str, str]

    @classmethod
    def pack(cls, execution: ExecutionConfig, runs: Iterable[PlannedRun], *packages: str) -> "Parcel":
        """Pack what runs need.

        Args:
            execution: How they run.
            runs: The runs.
            packages: Further packages whose versions must be the same.

        Raises:
            UserError: A file cannot be read.
        """
        registry, tables = load_registry(execution.plugins), dict[str, bytes]()
        for method, config, digest in {
            (run.spec.method, repr(run.config)): (run.spec.method, run.config, str(run.provenance["backbone"]))
            for run in runs
        }.values():
            learner = registry.get(method).learner
            for path in learner.reads(learner.config_type.model_validate(dict(config)), digest).values():
                if not path.resolve().is_relative_to(DATASETS):
                    tables[str(path)] = read_bytes(path)
        plugins = {str(path): read_bytes(path) for path in execution.plugins}
        suite = execution.loaded_suite() if names_a_file(without_limit(execution.suite)) else None
        names = suite.dataset_names if suite else ()
        built_in = tuple(name for name in names if suite and suite.card(name).built_in)
        return cls(execution, suite, built_in, plugins, tables, versions(*packages))

    def unpack(self, folder: Path) -> ExecutionConfig:
        """Lay the files out in a folder of this machine, which becomes the working directory.

        Args:
            folder: An empty folder.

        Returns:
            How runs are carried out here: unfinished trainings and plugins are in the folder.

        Raises:
            UserError: The versions differ, or a file cannot be written here.
        """
        self._check_versions()
        plugins = []
        for number, (path, content) in enumerate(self.plugins.items()):
            plugins.append(folder / "plugins" / str(number) / Path(path).name)  # two may have the same name
            write_atomically(plugins[-1], content)
        os.chdir(folder)
        for name, content in self.tables.items():
            table = Path(name)
            if is_missing(table):
                write_atomically(table, content)
            elif read_bytes(table) != content:
                raise UserError(f"{_here()} has another file {table} than the machine of the command; make them equal")
        suite = self.suite and self.suite.with_own_cards(self.built_in)
        return replace(self.execution, carried_suite=suite, results=folder, plugins=tuple(plugins))

    def _check_versions(self) -> None:
        own = versions(*(name for name in self.versions if name not in (*SAME, "Python")))
        for name, expected in self.versions.items():
            if own[name] != expected:
                raise UserError(f"{_here()} has {name} {own[name]}, the command {expected}; install the same on both")


def check_here(execution: ExecutionConfig, runs: Iterable[PlannedRun]) -> None:
    """Check that this machine sees what runs need, and has the same code of their methods.

    Args:
        execution: How they are carried out here, as `unpack` gives it.
        runs: The runs.

    Raises:
        UserError: Something is missing here or differs.
    """
    suite = execution.loaded_suite()
    registry, data = load_registry(execution.plugins), Data(execution.data_root)
    source = suite.backbone
    for path in (source.given_architecture, source.given_weights):
        if isinstance(path, Path) and is_missing(path):
            raise UserError(f"{_here()} does not see the file {path}; put it at the same path on every machine")
    splits: dict[tuple[str, SplitName], None] = {}
    for run in runs:
        method = registry.get(run.spec.method)
        if method.source != run.provenance["method_source"]:
            raise UserError(f"{_here()} has other code of method {run.spec.method}; install the same package there")
        splits |= {(run.spec.dataset, "train"): None, **{(target.dataset, "test"): None for target in run.spec.targets}}
    for name, split in splits:
        try:
            data.split(suite.card(name), split)
        except UserError as error:
            raise UserError(f"{_here()} does not see the data of {name}: {message_of(error)}") from error
    try:
        execution.cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{_here()} cannot write the cache {execution.cache}: {error.strerror}") from error


def _here() -> str:
    return f"worker machine {socket.gethostname()}"


class Scratch:
    """Files of unfinished trainings in a folder of a worker's machine, which come and go by value.

    Args:
        folder: The `results` folder of the worker.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[int, int]] = {}

    def put(self, run: PlannedRun, files: Mapping[str, bytes]) -> None:
        """Lay out what a run's training goes on from.

        Args:
            run: The run.
            files: As `training_files` gives them.
        """
        folder = training_folder(self._folder, run)
        for name, content in files.items():
            write_atomically(folder / name, content)
        if CHECKPOINT in files:
            self._known[run.train_key] = _state(folder / CHECKPOINT)

    def changed(self, run: PlannedRun) -> bytes | None:
        """The checkpoint of a run's training, if it is another one than at the last call.

        Args:
            run: The run.
        """
        path = training_folder(self._folder, run) / CHECKPOINT
        if not path.exists() or self._known.get(run.train_key) == (state := _state(path)):
            return None
        self._known[run.train_key] = state
        return path.read_bytes()

    def clear(self) -> None:
        """Remove all trainings."""
        shutil.rmtree(self._folder / "checkpoints", ignore_errors=True)
        self._known = {}


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def training_files(results: Path, run: PlannedRun) -> dict[str, bytes]:
    """What a run's training goes on from: its checkpoint, or the kept learner that was handed over.

    Args:
        results: The results folder.
        run: The run.

    Returns:
        The content of the files that are there, by name.
    """
    folder, found = training_folder(results, run), dict[str, bytes]()
    for name in (CHECKPOINT, LEARNER_FILE, TRAINING_FILE):
        with suppress(FileNotFoundError):
            found[name] = (folder / name).read_bytes()
    return found
