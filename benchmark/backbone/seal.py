"""Notices when a method changes the backbone, or what else all methods share.

All methods of a process use one frozen backbone. Changes of a tensor through `.data`, NumPy or a pointer leave no trace
in torch's own counters, so sums over the bytes of all tensors are compared as well.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.shared_state import SharedState
from promptarena.benchmark.core.errors import UserError

COLUMNS = 1021
"""Columns into which a tensor's words are added up. A prime, so that the rows of a matrix, when they are swapped, fall
into other columns."""


class SharedStateChangedError(RuntimeError):
    """A method changed the backbone or something else that all methods share; the message says what."""


class Seal:
    """The state of a backbone and of the process when it is created.

    While it is changed, nothing that the backbone computes is kept for others (`Backbone.intact`).

    Args:
        backbone: The backbone.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        backbone.intact = self.intact
        tensors = {**dict(backbone.model.named_parameters()), **dict(backbone.model.named_buffers())}
        tensors |= {"scale": backbone.scale, "mean": backbone.colours[0], "std": backbone.colours[1]}
        self._tensors = {name: _Sealed.of(tensor) for name, tensor in tensors.items()}
        self._modules = {name: _Parts(module) for name, module in backbone.model.named_modules()}
        self._plain = [(owner, dict(vars(owner))) for owner in _owners(backbone)]
        self._shared = SharedState(tuple({type(module) for module in backbone.model.modules()}))

    def __deepcopy__(self, memo: object) -> Self:
        """The same seal: it belongs to the original of a backbone that a method copies."""
        return self

    def intact(self) -> bool:
        """Whether nothing is changed; may be called inside a method's `with` blocks."""
        return not self.changes(within=True)

    def verify(self, method: str, *, thoroughly: bool = True) -> None:
        """Raise when something is changed.

        Args:
            method: The method that is running, for the message.
            thoroughly: False compares what torch says about the tensors only, which is quick.

        Raises:
            SharedStateChangedError: Something is changed.
        """
        changed = self.changes() if thoroughly else self._written()
        if changed:
            raise SharedStateChangedError(
                f"{method} changed what all methods share: {changed}; a method may change its own tensors only"
            )

    def changes(self, *, within: bool = False) -> str:
        """What was changed, in words; empty when nothing was.

        Args:
            within: Whether it is called inside `with` blocks of a method.
        """
        try:
            return self._shared.changes(within=within) or self._structure() or self._written(sums=True)
        except Exception as error:  # a replaced function may raise anything
            return f"it cannot be compared any more ({type(error).__name__}: {error})"

    def _structure(self) -> str:
        for name, parts in self._modules.items():
            if changed := parts.changed():
                return f"{changed} of the backbone's {name or 'model'}"
        for owner, attributes in self._plain:
            for name, value in vars(owner).items():
                if name in attributes:
                    if value is not attributes[name]:
                        return f"{type(owner).__name__}.{name}"
                elif not isinstance(getattr(type(owner), name, None), cached_property):
                    return f"{type(owner).__name__}.{name}"
        return ""

    def _written(self, *, sums: bool = False) -> str:
        for name, sealed in self._tensors.items():
            if sealed.is_another():
                return f"tensor {name} of the backbone"
            if (sums or sealed.was_written()) and not sealed.has_its_sums():
                return f"values of tensor {name} of the backbone"
        return ""


class _Parts:
    """A module's class and attributes, and what its tables of parameters, modules and hooks hold."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._type = type(module)
        self._attributes = dict(vars(module))
        self._tables = [(name, value, value.copy()) for name, value in vars(module).items() if isinstance(value, dict)]

    def changed(self) -> str:
        """The first attribute that is another; empty when there is none."""
        found = vars(self._module)
        if type(self._module) is not self._type:
            return "the class"
        if len(found) != len(self._attributes):
            return ", ".join(sorted(found.keys() ^ self._attributes.keys()))
        for name, value in self._attributes.items():
            if found.get(name) is not value and not (isinstance(value, tuple) and found.get(name) == value):
                return name
        for name, table, before in self._tables:
            if len(table) != len(before) or any(table.get(key) is not value for key, value in before.items()):
                return name
        return ""


@dataclass(frozen=True)
class _Sealed:
    """A tensor, where its values lie, and the sums over its bytes."""

    tensor: Tensor
    address: int
    version: int
    words: Any
    sums: Any

    @classmethod
    def of(cls, tensor: Tensor) -> "_Sealed":
        words = _words(tensor)
        return cls(tensor, tensor.data_ptr(), tensor._version, words, _sums(words))

    def is_another(self) -> bool:
        tensor = self.tensor
        return tensor.data_ptr() != self.address or tensor.requires_grad or tensor.grad is not None

    def was_written(self) -> bool:
        return self.tensor._version != self.version

    def has_its_sums(self) -> bool:
        sums = _sums(self.words)
        return bool((sums == self.sums).all())


def _words(tensor: Tensor) -> Any:
    """The tensor's memory as integers (N,), of 8 bytes where they fit: a NumPy array on the CPU."""
    flat = tensor.detach().reshape(-1)
    fits = flat.nbytes % 8 == 0 and tensor.data_ptr() % 8 == 0 and flat.storage_offset() * flat.element_size() % 8 == 0
    words = flat.view(torch.int64 if fits else torch.uint8)
    return words.numpy() if words.device.type == "cpu" else words


def _sums(words: Any) -> Any:
    """(COLUMNS,) int64 sums of the words in each column, for a short tensor the words themselves."""
    whole = len(words) // COLUMNS * COLUMNS
    if not whole:
        return words.copy() if isinstance(words, np.ndarray) else words.clone()
    rows, rest = words[:whole].reshape(-1, COLUMNS), words[whole:]
    if isinstance(words, np.ndarray):
        sums = np.add.reduce(rows, axis=0, dtype=np.int64)
    else:
        sums = rows.sum(0, dtype=torch.int64)
    sums[: len(rest)] += rest
    return sums


def _owners(backbone: Backbone) -> list[Any]:
    try:
        return [backbone, backbone.text, backbone.vision]
    except UserError:  # an image encoder without blocks
        return [backbone, backbone.text]
