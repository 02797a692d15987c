"""Errors that the user can correct: the command line prints them in one line and exits with code 2."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: the message says what is wrong, where, and what to do."""


class NotReadyError(UserError):
    """A method needs a file that the user has to create first.

    The method is skipped unless the user requested it by name; then the error is reported.
    """


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Build the error for a name that does not exist.

    Args:
        kind: What the name stands for, such as "method".
        name: The unknown name.
        known: All names that exist.

    Returns:
        The error to raise. It suggests up to three similar names, or lists all when none is similar.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"
    return UserError(f"unknown {kind} {name!r}; {hint}")


def first_line(error: BaseException) -> str:
    """An error's message cut to one line.

    Args:
        error: Any error; some libraries write many lines, or none.

    Returns:
        The first line of its message, or the name of its type when the message is empty.
    """
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def message_of(error: BaseException) -> str:
    """An error's message as text that can be printed and recorded.

    Args:
        error: Any error; that of a plugin may fail to say what it is.

    Returns:
        Its message; characters that UTF-8 cannot hold are escaped.
    """
    try:
        message = str(error)
    except Exception as other:  # the code of a plugin
        message = f"(its message raised {type(other).__name__})"
    return printable(message)


def one_line(error: BaseException) -> str:
    """The type of an error and the first line of its message."""
    return f"{type(error).__name__}: {message_of(error)}".strip().splitlines()[0]


def printable(text: str) -> str:
    """A text in which characters that UTF-8 cannot hold are escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
