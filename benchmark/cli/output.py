"""Printing where the encoding of a terminal, pipe or file lacks a character, such as Latin-1 or the C locale."""

import codecs
import sys
from io import TextIOWrapper

PLAIN = {"–": "-", "—": "-", "±": "+-", "─": "-", "…": "...", "×": "x", "≤": "<=", "≥": ">=", "‘": "'", "’": "'"}
"""What stands for a character that cannot be printed; any other is printed as its code."""

HANDLER = "promptarena-plain"


def print_plainly_where_needed() -> None:
    """Let standard output and standard error replace the characters that their encoding lacks.

    Files that promptarena writes itself are always UTF-8.
    """
    codecs.register_error(HANDLER, _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a notebook or a test may have put something else there
            stream.reconfigure(errors=HANDLER)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(each) or _code(each) for each in lacking), error.end


def _code(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode()
