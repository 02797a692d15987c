"""A stand-in for CUDA graphs on the CPU: the operators of a step are noted with the memory that they read and write,
and replaying computes them again in that memory. As there, no Python of the step is run by a replay."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Call = tuple[Any, tuple[Any, ...], dict[str, Any], Any]


class Tape:
    """Records steps as lists of operators; `captures` counts them."""

    def __init__(self) -> None:
        self.captures = 0

    def warm_up(self, step: Callable[[], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        return step()

    def capture(self, step: Callable[[], Mapping[str, Tensor]]) -> tuple[Mapping[str, Tensor], Callable[[], None]]:
        self.captures += 1
        with _Noting() as noted:
            terms = step()
        _forget(noted.calls)
        return terms, lambda: _play(noted.calls)


class _Noting(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func.overloadpacket.__name__ == "_local_scalar_dense":
            raise RuntimeError("a value is read back while a step is recorded")
        if isinstance(given.get("generator"), torch.Generator):
            raise RuntimeError("a generator that is not registered draws while a step is recorded")
        outputs = func(*args, **given)
        self.calls.append((func, args, given, outputs))
        return outputs


@torch.no_grad()
def _forget(calls: list[Call]) -> None:
    """Take the values away that were computed: a capture computes none, so whoever reads one must be found out."""
    for _, args, kwargs, outputs in calls:
        read = _memory((args, kwargs))
        for made in _own(outputs):
            if made.is_floating_point() and made.untyped_storage().data_ptr() not in read:
                made.fill_(torch.nan)


def _own(outputs: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]


def _memory(values: Any) -> set[int]:
    return {leaf.untyped_storage().data_ptr() for leaf in tree_leaves(values) if isinstance(leaf, Tensor)}


@torch.no_grad()
def _play(calls: list[Call]) -> None:
    for func, args, kwargs, outputs in calls:
        read = _memory((args, kwargs))
        for new, kept in zip(_own(func(*args, **kwargs)), _own(outputs), strict=True):
            if kept.untyped_storage().data_ptr() not in read:  # else it is a view of what is read, or changed in place
                kept.copy_(new)
