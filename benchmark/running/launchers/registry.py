"""The launchers of comparisons: each is a module of this folder that has a value called LAUNCHER.

A new launcher is one new file here. It is then a choice of `--launcher`, and its options become options of the command.
All modules here are imported to list the launchers, so a launcher imports slow libraries inside its functions.
"""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from promptarena.benchmark.core.config_files import check, read_toml
from promptarena.benchmark.core.errors import unknown
from promptarena.benchmark.running import launchers

if TYPE_CHECKING:
    from promptarena.benchmark.running.execution import ExecutionConfig
    from promptarena.benchmark.running.launcher import Launcher


class Options(BaseModel):
    """The options of a launcher, each with a default and a description; a subclass has the fields.

    Field `time` of launcher `slurm` is `--slurm-time` of the command, and `time` in a TOML file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Workers:
    """What the user requests of the workers on each machine, whatever the launcher.

    Args:
        count: Their number; None: one per slot of a GPU, or per CPU core.
        per_gpu: Most workers on one GPU; None: one.
        devices: The devices by name; empty: all.
    """

    count: int | None = None
    per_gpu: int | None = None
    devices: tuple[str, ...] = ()


@dataclass(frozen=True)
class LauncherKind:
    """One launcher.

    Args:
        name: Its name in `--launcher`.
        make: Makes it from how runs are carried out, the workers, and an instance of `options`. It raises UserError
            when it cannot be used here.
        options: Its options.
        place: Its position in help; launchers with the same position are sorted by name.
    """

    name: str
    make: Callable[["ExecutionConfig", Workers, Any], "Launcher"]
    options: type[Options] = Options
    place: int = 100


def all_launchers() -> tuple[LauncherKind, ...]:
    """The launchers that the modules of this folder declare, ordered by `place`, then by `name`."""
    names = (module.name for module in pkgutil.iter_modules(launchers.__path__, f"{launchers.__name__}."))
    found = (getattr(import_module(name), "LAUNCHER", None) for name in names)
    declared = (each for each in found if isinstance(each, LauncherKind))
    return tuple(sorted(declared, key=lambda each: (each.place, each.name)))


def find_launcher(name: str) -> LauncherKind:
    """The launcher with this name.

    Args:
        name: The name, as in `--launcher`.

    Raises:
        UserError: No module declares it. The message suggests similar names.
    """
    known = {each.name: each for each in all_launchers()}
    if name not in known:
        raise unknown("launcher", name, known)
    return known[name]


@dataclass(frozen=True)
class Launching:
    """What the user says about where runs are carried out.

    Args:
        launcher: The launcher's name.
        workers: The workers on each machine.
        options: An instance of the launcher's options.
    """

    launcher: str
    workers: Workers
    options: Options

    def made_when_needed(self, execution: "ExecutionConfig") -> Callable[[], "Launcher"]:
        """Gives the launcher, which is made at the first call: where all runs are recorded, none is needed.

        Args:
            execution: How runs are carried out.

        Raises:
            UserError: It cannot be used here. What the user chose is tried at once.
        """
        launch = cache(lambda: find_launcher(self.launcher).make(execution, self.workers, self.options))
        if self.launcher != "local" or self.workers.devices or execution.device not in ("auto", "cpu"):
            launch()
        return launch


def launching_of(
    launcher: str, workers: Workers, given: dict[str, Any], file: Path | None = None, style: str = "--{}"
) -> Launching:
    """Check what the user says.

    Args:
        launcher: The launcher's name.
        workers: The workers on each machine.
        given: Values of its options by field.
        file: A TOML file with values for fields that are not in `given`.
        style: How the user writes a launcher's name, for messages.

    Returns:
        The checked values.

    Raises:
        UserError: A name or value is wrong.
    """
    kind = find_launcher(launcher)
    table = read_toml(file) if file else {}
    where = f"{file}" if file and not given else style.format("launcher") + f" {launcher}"
    return Launching(kind.name, workers, check(where, table | given, kind.options))
