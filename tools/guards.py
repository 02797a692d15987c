"""The guards against faults, read from `guards.toml`. `mutations.py` takes them out."""

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Mutation:
    """A guard that is taken out.

    Args:
        kind: The kind of fault that the guard is against.
        path: The file, relative to the repository.
        guard: The guard's text, which the file has once.
        without: What replaces it.
        test: The test that must fail, as pytest takes it.
    """

    kind: str
    path: str
    guard: str
    without: str
    test: str


MUTATIONS = tuple(
    Mutation(**row) for row in tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["guard"]
)
