"""Where in a method's own code an exception was raised."""

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from promptarena.benchmark.plugins.learner import Learner

_HARNESS = Path(__file__).resolve().parents[1]


def place_of(error: BaseException, learner: type[Learner]) -> str:
    """The last line of the method's own code that an exception passed.

    Args:
        error: The exception, which was raised.
        learner: The method.

    Returns:
        File, line and function, such as "tilt.py, line 31, in text_features"; empty if it passed none.
    """
    folders = {path.parent for path in _files(learner)}
    for each in _chain(error):
        own = [frame for frame in traceback.extract_tb(each.__traceback__) if _folder(frame.filename) in folders]
        if own:
            return f"{Path(own[-1].filename).name}, line {own[-1].lineno}, in {own[-1].name}"
    return ""


def traced(error: BaseException) -> str:
    """The traceback of an exception, as Python prints it."""
    return "".join(traceback.format_exception(error))


def _files(learner: type[Learner]) -> Iterator[Path]:
    """The files of the method and of the methods that it is made from."""
    for each in learner.__mro__[: learner.__mro__.index(Learner)]:
        file = getattr(sys.modules.get(each.__module__), "__file__", None)
        if file and not Path(file).resolve().is_relative_to(_HARNESS):
            yield Path(file).resolve()


def _folder(file: str) -> Path:
    return Path(file).resolve().parent


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The exception, then those that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
