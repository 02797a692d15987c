"""Where the package's data folders are, both in an editable install and in a wheel.

In an editable install, `importlib.resources` does not find folders without code. The paths are therefore relative to
the folder of `benchmark`.
"""

from pathlib import Path

from promptarena import benchmark

_PACKAGE = Path(benchmark.__file__).resolve().parent.parent

DATASETS = _PACKAGE / "datasets"
"""Dataset cards, suites, class names, head role tables and the miniature."""

METHODS = _PACKAGE / "methods"
"""The files of the built-in methods."""

MINIATURE = DATASETS / "mini"
"""The embedded miniature: its model and its image sources."""

PUBLISHED = _PACKAGE / "results" / "published"
"""Numbers from papers, one CSV file per protocol."""
