"""Where the package's data folders are, in an editable install as in a wheel.

`importlib.resources` does not find folders without code in an editable install, so they are found beside the harness.
"""

from pathlib import Path

from promptarena import benchmark

_PACKAGE = Path(benchmark.__file__).resolve().parent.parent

DATASETS = _PACKAGE / "datasets"
"""Dataset cards, suites, class names, role tables and the miniature."""

MINIATURE = DATASETS / "mini"
"""The embedded miniature: its model and its image sources."""

PUBLISHED = _PACKAGE / "results" / "published"
"""Numbers from papers, a CSV file per protocol."""
