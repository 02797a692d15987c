"""promptarena compares prompt learners for CLIP. The Python API: `import promptarena as pa`.

Importing it is fast: torch, MLflow and pandas are imported by what needs them.

>>> import promptarena as pa
>>> pa.__version__ >= "0.1"
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptarena.benchmark.core.errors import UserError
    from promptarena.comparing import compare
    from promptarena.leaderboards import Leaderboard
    from promptarena.learners import load_backbone, load_learner
    from promptarena.loading import load_results
    from promptarena.lookups import check_method, load_suite, methods, published
    from promptarena.outcomes import Results

    __version__: str

_HOME = {
    "Leaderboard": "promptarena.leaderboards",
    "Results": "promptarena.outcomes",
    "UserError": "promptarena.benchmark.core.errors",
    "check_method": "promptarena.lookups",
    "compare": "promptarena.comparing",
    "load_backbone": "promptarena.learners",
    "load_learner": "promptarena.learners",
    "load_results": "promptarena.loading",
    "load_suite": "promptarena.lookups",
    "published": "promptarena.lookups",
}
"""The module of each name but `methods`: that is the sub-package of this name, which can be called."""

__all__ = [
    "Leaderboard",
    "Results",
    "UserError",
    "__version__",
    "check_method",
    "compare",
    "load_backbone",
    "load_learner",
    "load_results",
    "load_suite",
    "methods",
    "published",
]


def __getattr__(name: str) -> Any:
    """Import a name on first use."""
    if name == "__version__":
        from importlib.metadata import version

        return version("promptarena")
    if name == "methods":
        return import_module("promptarena.methods")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'promptarena' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
