"""Asks a method's class for what a plan needs. Whatever a plugin does then, the error names its method."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from promptarena.benchmark.core.errors import NotReadyError, UserError, message_of, one_line
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.learner import Config
from promptarena.benchmark.plugins.registry import Method


class MethodFailedError(UserError):
    """A method did something that its runs cannot be planned or recorded with; other methods can be run."""


@contextmanager
def asking(method: str, what: str, *, users: bool = False) -> Iterator[None]:
    """Run a plugin's code inside.

    Args:
        method: The method's name.
        what: What is asked for, such as "preset".
        users: Whether a UserError may be due to the user's own input; it then passes unchanged.

    Raises:
        MethodFailedError: The code inside raised anything, or ended the process.
        NotReadyError: As it was raised.
    """
    try:
        yield
    except (NotReadyError, MethodFailedError):
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, UserError):
            if users:
                raise
            raise MethodFailedError(f"method {method!r}: {what}: {message_of(error)}") from error
        raise MethodFailedError(f"method {method!r}: {what} raised {one_line(error)}") from error


def preset_of(method: Method, task: TrainingTask) -> tuple[Config, Recipe]:
    """A method's published settings for a task.

    Args:
        method: The method.
        task: The task.

    Returns:
        Configuration and recipe.

    Raises:
        MethodFailedError: The method does not give them.
    """
    with asking(method.name, "preset"):
        given: Any = method.learner.preset(task)
        expected: tuple[type[Any], ...] = (method.learner.config_type, Recipe)
        if not (isinstance(given, tuple) and len(given) == len(expected)):
            raise TypeError(f"it returned {_kind(given)}, not a configuration and a recipe")
        for value, kind in zip(given, expected, strict=True):
            if not isinstance(value, kind):
                raise TypeError(f"it returned {_kind(value)} in the place of a {kind.__name__}")
        return given[0], given[1]


def reads_of(method: Method, config: Config, backbone_digest: str) -> Mapping[str, Path]:
    """The files that decide a method's results.

    Args:
        method: The method.
        config: Its configuration.
        backbone_digest: SHA-256 of the backbone's weights.

    Returns:
        The path of each file, by what it holds.

    Raises:
        MethodFailedError: The method does not give them.
        NotReadyError: A file has to be created first.
    """
    with asking(method.name, "reads"):
        found: Any = method.learner.reads(config, backbone_digest)
        pairs = isinstance(found, Mapping) and all(
            isinstance(name, str) and isinstance(path, Path) for name, path in found.items()
        )
        if not pairs:
            raise TypeError(f"it returned {_kind(found)}, not paths by name")
        return dict(found)


def ablations_of(method: Method) -> Mapping[str, Mapping[str, Any]]:
    """The settings of a method's ablations by name.

    Raises:
        MethodFailedError: They are of another form.
    """
    with asking(method.name, "ablations"):
        declared: Any = method.learner.ablations
        fits = isinstance(declared, Mapping) and all(
            isinstance(name, str) and isinstance(settings, Mapping) and all(isinstance(key, str) for key in settings)
            for name, settings in declared.items()
        )
        if not fits:
            raise TypeError("they are not settings by name")
        return {name: dict(settings) for name, settings in declared.items()}


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
