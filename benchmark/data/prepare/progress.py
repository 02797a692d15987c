"""How long work reports its progress; it prints nothing itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["wait", "download", "check", "unpack", "build"]


@dataclass(frozen=True)
class Step:
    """The progress of one step: `done` of the `total` bytes (None: unknown) of the file `name`.

    "wait" means that another process is preparing the dataset `name`. `done` decreases when a download starts again.
    """

    kind: Kind
    name: str
    done: int
    total: int | None


Progress = Callable[[Step], None]
"""A function that is called from time to time during a step, and once at its end."""


def unheard(step: Step) -> None:
    """A Progress that does nothing."""
