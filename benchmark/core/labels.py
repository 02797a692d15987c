"""How tables name a method. Labels are printed here only; nothing reads their parts from the printed text."""

import re
from dataclasses import dataclass

RECORDABLE = re.compile(r"(?!.* $)\w[\w .:-]*(/\w[\w .:-]*)*", re.ASCII)
"""Names that MLflow accepts as parts of a metric's name."""

Overrides = tuple[tuple[str, str], ...]
"""The user's `--set` values for a method as (name, value), sorted by name."""


@dataclass(frozen=True)
class Label:
    """What a row of a table is about. Its text is `str(label)`.

    >>> str(Label("coop", (("n_ctx", "4"),), "class feature", 16))
    'coop(n_ctx=4): class feature (16 shots)'

    Args:
        method: The method's name.
        overrides: The settings that the user changed.
        reading: The name of another way in which the same learner scores the same images; empty for the method's own.
        shots: Training images per class, where rows of one table differ in them; None otherwise.
    """

    method: str
    overrides: Overrides = ()
    reading: str = ""
    shots: int | None = None

    def __str__(self) -> str:
        changed = ", ".join(f"{name}={value}" for name, value in self.overrides)
        text = f"{self.method}({changed})" if changed else self.method
        if self.reading:
            text = f"{text}: {self.reading}"
        return visible(text if self.shots is None else f"{text} ({counted_shots(self.shots)})")


def visible(text: str) -> str:
    """A text in which nothing is hidden, for terminals, tables and figures.

    Args:
        text: Any text, perhaps of somebody else's export.

    Returns:
        The text with a space for each tab and line break, and a code point such as U+202E for each character that is
        invisible, or that a terminal would carry out.

    >>> visible("a\\x1b[31mb\\nc")
    'aU+001B[31mb c'
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else " " if each.isspace() else f"U+{ord(each):04X}" for each in text)


def counted_shots(count: int) -> str:
    """A number of shots in words: "1 shot", "16 shots"."""
    return f"{count} shot{'' if count == 1 else 's'}"
