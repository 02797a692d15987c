"""Class names: how they are written into prompts, and which of them no method can separate."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

IMAGENET_CLASSES = 1000

IMAGENET_REPEATED = frozenset({"crane", "maillot", "missile", "sunglasses"})
"""Names that stand for two classes each in lists of ImageNet's classes: the first two in WordNet's words, the last two
in CLIP's list. Published figures are taken with them, so they are reported and not refused."""

_JOINERS = "\u200c\u200d"
"""Zero-width characters that spell words in some languages; other invisible characters are refused."""


def readable(name: str) -> str:
    """A class name as it goes into a prompt: every `_` becomes a space."""
    return name.replace("_", " ")


def spoken(name: str) -> str:
    """What CLIP's tokenizer leaves of a name.

    Args:
        name: A class name.

    Returns:
        The name in lower case and one form of Unicode, with single spaces and none at its ends. Names with the same
        result make the same prompt; empty for a name of blanks.
    """
    plain = "".join(letter for letter in readable(name) if letter not in _JOINERS)
    lowered = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", plain).lower())
    return " ".join(lowered.split())


def check_class_names(names: Sequence[str]) -> None:
    """Check that every class has a name of its own.

    Args:
        names: The names in label order.

    Raises:
        ValueError: A name is blank or holds an invisible character, or two names make the same prompt. ImageNet's
            repeated names are allowed in a list of its 1,000 classes, and in a shorter list that repeats several of
            them, such as that of a subset of its classes.
    """
    for label, name in enumerate(names):
        if not spoken(name):
            raise ValueError(f"the name of class {label} is blank: {name!r}; give it a name")
        if hidden := next(filter(_is_invisible, name), None):
            raise ValueError(
                f"the name of class {label}, {name!r}, holds the invisible character U+{ord(hidden):04X}; remove it"
            )
    allowed = repeated_names(names)
    first: dict[str, int] = {}
    for label, name in enumerate(names):
        same = first.setdefault(spoken(name), label)
        if same != label and spoken(name) not in allowed:
            raise ValueError(
                f"classes {same} and {label}, {names[same]!r} and {name!r}, have the same name in a prompt; rename "
                "one: no method could separate them by name"
            )


def repeated_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names that stand for two classes of ImageNet, and of lists of some of its classes.

    Args:
        names: The names in label order.

    Returns:
        The repeated names, sorted.
    """
    counted = Counter(map(spoken, names))
    repeated = tuple(sorted(name for name in IMAGENET_REPEATED if counted[name] == 2))
    # In a shorter list one such name may be a mistake; several are ImageNet's.
    return repeated if len(names) == IMAGENET_CLASSES or len(repeated) > 1 else ()


def repeated_note(names: Sequence[str]) -> str | None:
    """A line for the user about ImageNet's repeated names; None when there are none."""
    repeated = repeated_names(names)
    if not repeated or len(names) != IMAGENET_CLASSES:
        return None
    return f"two classes are called {', two '.join(repeated)}; no method can separate these by name"


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts names as a person does: without regard to case, and numbers by their value."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts if part]


def _is_invisible(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") and letter not in _JOINERS
