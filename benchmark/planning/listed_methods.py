"""The cards of all methods, with their trainable parameters on a CLIP of choice. Built-in ones need no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plugins.cards import MethodCard, method_cards

if TYPE_CHECKING:
    from promptarena.benchmark.backbone.clip import Backbone
    from promptarena.benchmark.plugins.registry import Broken


def listed_methods(
    plugins: Sequence[Path] = (), architecture: str | None = None
) -> "tuple[dict[str, MethodCard], tuple[Broken, ...]]":
    """The cards of the built-in methods, those of installed packages, and those of the files given.

    Args:
        plugins: Python files that define methods.
        architecture: open_clip's name of the CLIP on which trainable parameters are counted; None: the miniature's.

    Returns:
        The cards by name, from the oldest method to the newest, and the plugins that cannot be used.

    Raises:
        UserError: The architecture is unknown, or a file cannot be used.
    """

    def backbone() -> "Backbone":
        from promptarena.benchmark.planning.contexts import Measure

        return Measure(architecture or load_suite("mini").backbone.given_architecture)

    return method_cards(backbone, plugins, kept=architecture is None)
