"""Reads the tensors of a TorchScript archive (OpenAI's published `.pt` files) without running any of its code.

Such an archive is a zip of a pickled module tree and raw storages. `torch.jit.load` would execute the archive's
methods, and `torch.load(weights_only=True)` refuses it, so the pickle is read here by an unpickler that knows tensors
and inert modules only.
"""

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class _Module:
    """Stands for any module class of the archive; holds the attributes it was pickled with."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class _Storage:
    """Stands for a storage class; carries the dtype its elements have."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


_STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
}


def _rebuild(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    return storage.as_strided(size, stride, offset)


def _as_it_is(value: Any, *_: Any) -> Any:
    return value


_FUNCTIONS = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("collections", "OrderedDict"): OrderedDict,
    **{("torch.jit._pickle", f"build_{kind}list"): _as_it_is for kind in ("int", "double", "bool", "tensor")},
    ("torch.jit._pickle", "restore_type_tag"): _as_it_is,
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(archive.open(f"{root}/data.pkl"))
        self._archive = archive
        self._root = root
        self._read: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _Module
        if module == "torch" and name in _STORAGES:
            return _Storage(_STORAGES[name])
        if (module, name) in _FUNCTIONS:
            return _FUNCTIONS[module, name]
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a weights file")

    def persistent_load(self, reference: Any) -> Tensor:
        _, storage, key, _, _ = reference
        if key not in self._read:
            data = bytearray(self._archive.read(f"{self._root}/data/{key}"))
            self._read[key] = torch.frombuffer(data, dtype=storage.dtype)
        return self._read[key]


def is_torchscript(path: Path) -> bool:
    """Whether the file is a TorchScript archive (a zip with code) rather than a plain `torch.save` file."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def read_torchscript(path: Path) -> dict[str, Tensor]:
    """All tensors of the archive's module tree by dotted name. Raises pickle.UnpicklingError for anything that is no
    part of such a tree."""
    with zipfile.ZipFile(path) as archive:
        root = next(name for name in archive.namelist() if name.endswith("/data.pkl")).rsplit("/", 1)[0]
        module = _Unpickler(archive, root).load()
    tensors: dict[str, Tensor] = {}
    pending, seen = [("", module)], set[int]()
    while pending:
        prefix, node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        for name, value in vars(node).items():
            if isinstance(value, Tensor):
                tensors[prefix + name] = value
            elif isinstance(value, _Module):
                pending.append((f"{prefix}{name}.", value))
    return tensors
