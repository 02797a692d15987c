"""One frozen CLIP: its towers, its weights, and exact accelerations."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Names of `backbone.clip`, which had this module's name in 0.1.0."""
    if name in ("Backbone", "Prompts"):
        from promptarena.benchmark.backbone import clip

        return getattr(clip, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
