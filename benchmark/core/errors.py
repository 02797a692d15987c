"""Errors that are the user's to mend: the command line prints them in one line and exits with code 2."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input: the message says what is wrong, where, and what to do."""


class NotReadyError(UserError):
    """A method needs a file that the user has to make first. Where nobody asked for the method by name, it is left
    out."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """A UserError for a name that is not among `known`, with near names suggested."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"
    return UserError(f"unknown {kind} {name!r}; {hint}")


def first_line(error: BaseException) -> str:
    """What an error says, for a message of one line.

    Args:
        error: any error; some libraries write many lines, or none.

    Returns:
        The first line of its message, or the name of its type where it has no message.
    """
    return str(error).splitlines()[0] if str(error) else type(error).__name__
