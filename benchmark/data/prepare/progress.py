"""How long work tells how far it is, without printing anything itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["wait", "download", "check", "unpack", "build"]


@dataclass(frozen=True)
class Step:
    """Where one step stands: `done` of the `total` bytes (None: not known) of the file `name`.

    In "wait" another process is at work on the dataset `name`. `done` goes back when a download has to start anew.
    """

    kind: Kind
    name: str
    done: int
    total: int | None


Progress = Callable[[Step], None]
"""What is called now and then while a step goes on, and once at its end."""


def unheard(step: Step) -> None:
    """A Progress that nobody looks at."""
