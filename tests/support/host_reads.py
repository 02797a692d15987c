"""Finds what makes the host wait for a device: reading a value of a tensor back."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

READING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "_unique2", "unique_consecutive", "equal")
"""Operators whose result, or its shape, the host must know."""

COPYING = ("cpu", "numpy", "tolist", "item", "__array__", "__bool__", "__float__", "__int__")
"""Methods of a tensor that copy its values to the host; on the CPU not all of them are operators."""


class HostReadError(AssertionError):
    """A value was read back."""


class _Watched(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        mask = name in ("index", "index_put", "index_put_") and any(
            each is not None and each.dtype == torch.bool for each in args[1]
        )
        if name in READING or mask:
            raise HostReadError(f"{name} makes the host wait")
        return func(*args, **(kwargs or {}))


def _refused(name: str) -> Callable[..., Any]:
    plain = getattr(torch.Tensor, name)

    def refuse(*args: Any, **kwargs: Any) -> Any:
        if "torch/optim/" in sys._getframe(1).f_code.co_filename:  # its counts of steps lie on the host
            with _disable_current_modes():
                return plain(*args, **kwargs)
        raise HostReadError(f"{name} makes the host wait")

    return refuse


@contextmanager
def refused() -> Iterator[None]:
    """Inside, whatever reads a value of a tensor raises HostReadError."""
    with pytest.MonkeyPatch.context() as patch, _Watched():
        for name in COPYING:
            patch.setattr(torch.Tensor, name, _refused(name))
        yield
