"""The boards that are made from predictions, by the names that commands and files have for them."""

from collections.abc import Iterable

from promptarena.benchmark.core.errors import unknown

CALIBRATION = "calibration"
TEMPERATURE = "temperature"
PER_CLASS = "per-class"
SELECTIVE = "selective"
OOD = "ood"
FAR = "far-ood"
PAIRED = "paired"
CONFUSIONS = "confusions"
SEEDS = "seeds"

BOARDS = (CALIBRATION, TEMPERATURE, PER_CLASS, SELECTIVE, OOD, FAR, PAIRED, CONFUSIONS, SEEDS)
"""All of them, in the order in which they are shown."""


def check_boards(names: Iterable[str]) -> None:
    """Raise UserError for a name that is no board."""
    for name in names:
        if name not in BOARDS:
            raise unknown("board", name, BOARDS)
