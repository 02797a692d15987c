"""Checks that a method plugin keeps the rules."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Names of `contract.kit`, which had this module's name in 0.1.0."""
    if name in ("Finding", "Rule", "check", "examine"):
        from promptarena.benchmark.contract import kit

        return getattr(kit, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
