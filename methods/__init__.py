"""Prompt learners, one file per method.

`promptarena.methods` is this package, and `promptarena.methods()` lists the methods as a DataFrame.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Methods(ModuleType):
    """The package, which can also be called: `pa.methods()` and the package have the same name."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """See `promptarena.lookups.methods`."""
        return import_module("promptarena.lookups").methods(*arguments, **named)


sys.modules[__name__].__class__ = _Methods
