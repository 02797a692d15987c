"""What all methods of a process share besides the backbone: torch's flags, and the functions and classes they all call.

A method that changes any of it would change the figures of the methods after it.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

OURS = ("promptarena.benchmark.", "promptarena.methods.")
"""The modules whose functions and classes no method may replace; a plugin's own module is its own business."""

LAZY = ("__pydantic", "__signature", "__annotations", "__warningregistry", "__abstractmethods", "_abc_", "__doc__")
"""Beginnings of names that Python and its libraries fill in late."""


@dataclass(frozen=True)
class Flag:
    """A setting of the process, in words, with the functions that read and set it; `scoped` ones are also set for a
    while by a `with` block, so that they are compared outside of one only."""

    name: str
    read: Callable[[], Any]
    set: Callable[[Any], object]
    scoped: bool = False


def _attribute(name: str, owner: Any, attribute: str) -> Flag:
    return Flag(name, lambda: getattr(owner, attribute), lambda value: setattr(owner, attribute, value))


def _autocast(device: str) -> list[Flag]:
    return [
        Flag(
            f"autocast on {device}",
            lambda: torch.is_autocast_enabled(device),
            lambda value: torch.set_autocast_enabled(device, value),
            scoped=True,
        ),
        Flag(
            f"the type of autocast on {device}",
            lambda: torch.get_autocast_dtype(device),
            lambda value: torch.set_autocast_dtype(device, value),
            scoped=True,
        ),
    ]


def _set_deterministic(value: tuple[bool, bool]) -> None:
    torch.use_deterministic_algorithms(value[0], warn_only=value[1])


def _leave_modes(kept: tuple[Any, ...]) -> None:
    """Leave the function and dispatch modes that were entered since."""
    for stack in (_get_current_function_mode_stack, _get_current_dispatch_mode_stack):
        for mode in reversed([mode for mode in stack() if not any(mode is known for known in kept)]):
            mode.__exit__(None, None, None)


FLAGS = (
    Flag("gradients on or off", torch.is_grad_enabled, torch.set_grad_enabled, scoped=True),
    *(flag for device in ("cpu", "cuda") for flag in _autocast(device)),
    Flag("anomaly detection", torch.is_anomaly_enabled, torch.set_anomaly_enabled, scoped=True),
    Flag(
        "the modes of torch, such as its default device",
        lambda: (*_get_current_function_mode_stack(), *_get_current_dispatch_mode_stack()),
        _leave_modes,
    ),
    Flag("torch's default type", torch.get_default_dtype, torch.set_default_dtype),
    Flag("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
    Flag(
        "torch's deterministic algorithms",
        lambda: (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        _set_deterministic,
    ),
    Flag("the precision of matrix products", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    Flag(
        "torch's denormal numbers",
        lambda: bool(torch.tensor(1e-39, dtype=torch.float32) == 0),
        torch.set_flush_denormal,
    ),
    *(_attribute(f"cudnn.{name}", torch.backends.cudnn, name) for name in ("enabled", "benchmark", "deterministic")),
    _attribute("cudnn.allow_tf32", torch.backends.cudnn, "allow_tf32"),
    *(
        _attribute(f"cuda.matmul.{name}", torch.backends.cuda.matmul, name)
        for name in ("allow_tf32", "allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")
    ),
    Flag(
        "mkldnn",
        lambda: torch.backends.mkldnn.is_available() and torch._C._get_mkldnn_enabled(),
        torch._C._set_mkldnn_enabled,
    ),
    Flag("flash attention", torch.backends.cuda.flash_sdp_enabled, torch.backends.cuda.enable_flash_sdp),
    Flag(
        "memory-efficient attention",
        torch.backends.cuda.mem_efficient_sdp_enabled,
        torch.backends.cuda.enable_mem_efficient_sdp,
    ),
    Flag("plain attention", torch.backends.cuda.math_sdp_enabled, torch.backends.cuda.enable_math_sdp),
    Flag("cudnn attention", torch.backends.cuda.cudnn_sdp_enabled, torch.backends.cuda.enable_cudnn_sdp),
    Flag("numpy's treatment of errors", np.geterr, lambda value: np.seterr(**value)),
    Flag("the working folder", os.getcwd, os.chdir),
)


class SharedState:
    """The state of this process's flags and names when it is created.

    Args:
        classes: Further classes whose attributes are compared, such as those of a model's modules.
    """

    def __init__(self, classes: tuple[type, ...] = ()) -> None:
        self._flags = {flag.name: flag.read() for flag in FLAGS}
        self._names = {owner: _names(owner) for owner in (*_owners(), *classes)}
        self._hooks = _module_hooks()

    def changes(self, *, within: bool = False) -> str:
        """What differs now, in words; empty when nothing does.

        Args:
            within: Whether it is called inside `with` blocks of a method; flags that these may set are left out.
        """
        for flag in FLAGS:
            if not (within and flag.scoped) and not _same(flag.read(), self._flags[flag.name]):
                return flag.name
        for name, hooks in _module_hooks().items():
            if hooks != self._hooks[name]:
                return "the hooks of all modules"
        return next((f"{_title(owner)}.{name}" for owner, name in self._replaced()), "")

    def restore(self) -> None:
        """Set everything as it was."""
        for flag in FLAGS:
            if not _same(flag.read(), self._flags[flag.name]):
                flag.set(self._flags[flag.name])
        for name, hooks in self._hooks.items():
            found = getattr(nn.modules.module, name)
            for number in [number for number in found if number not in hooks]:
                del found[number]
        for owner, name in list(self._replaced()):
            if name in self._names[owner]:
                setattr(owner, name, self._names[owner][name])
            else:
                delattr(owner, name)

    def _replaced(self) -> Iterator[tuple[Any, str]]:
        for owner, names in self._names.items():
            found = vars(owner)
            for name, value in names.items():
                if found.get(name) is not value:
                    yield owner, name
            if isinstance(owner, type):  # a new one may hide that of a base class
                added = ((name, value) for name, value in found.items() if name not in names)
                yield from ((owner, name) for name, value in added if _is_method(value) and not name.startswith(LAZY))


def _owners() -> list[Any]:
    """The modules and classes that all methods call."""
    own = [module for name, module in list(sys.modules.items()) if name.startswith(OURS)]
    classes = [
        value
        for module in own
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == module.__name__
    ]
    return [torch, F, torch.Tensor, nn.Module, np, *own, *classes]


def _names(owner: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(owner).items()
        if not name.startswith(LAZY) and not isinstance(value, ModuleType)
    }


def _is_method(value: Any) -> bool:
    return callable(value) or isinstance(value, property | classmethod | staticmethod)


def _module_hooks() -> dict[str, Mapping[int, Any]]:
    """torch's hooks of all modules, by the name of the table that holds them."""
    module = nn.modules.module
    return {
        name: dict(value)
        for name, value in vars(module).items()
        if name.startswith("_global_") and value is not None and isinstance(value, dict)
    }


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return len(one) == len(other) and all(a is b or a == b for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _title(owner: Any) -> str:
    return f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else str(owner.__name__)
