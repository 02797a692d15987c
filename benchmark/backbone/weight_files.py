"""Reads the tensors of a weights file, in every form in which CLIPs of OpenAI's layout are published, without running
anything in it."""

import pickle
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from promptarena.benchmark.backbone.torchscript import is_torchscript, read_torchscript
from promptarena.benchmark.core.errors import UserError, first_line

_DAMAGED = (
    *(SafetensorError, pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, OSError, LookupError),
    *(StopIteration, ValueError, TypeError, AttributeError),  # a pickle that holds something else
)
OPENAI_CONSTANTS = frozenset({"input_resolution", "context_length", "vocab_size"})
"""What OpenAI's archives hold beside the parameters, and no other file."""

_MASK = "attn_mask"
_WRAPPER = "module."
_TRANSFORMERS = ("text_model.", "vision_model.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a file by name, in the precision they are stored in: safetensors, a state dict (`.pt`, `.bin`,
    read with weights_only; also one wrapped by a training), or a TorchScript archive, whose code is never run.

    Raises UserError when the file is damaged or of another layout than OpenAI's and open_clip's.
    """
    try:
        state = _tensors(path)
    except _DAMAGED as error:
        reason = first_line(error)
        raise UserError(f"weights file {path} is damaged or not a state dict: {reason}") from error
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise UserError(f"weights file {path} is not a state dict: {name!r} is not a tensor")
        if form := _unusable(tensor):
            raise UserError(f"weights file {path}: {name} is {form}; save the weights as plain floating-point tensors")
        if name.startswith(_TRANSFORMERS):
            raise UserError(
                f"weights file {path} has the layout of transformers; take the same weights in OpenAI's (.pt) or "
                "open_clip's (open_clip_model.safetensors)"
            )
    return state


def _unusable(tensor: Tensor) -> str:
    """Why a tensor cannot be a weight, in words; empty when it can."""
    if tensor.is_meta:
        return "a meta tensor, which has no values"
    if tensor.is_quantized:
        return "quantised"
    if tensor.layout is not torch.strided:
        return "sparse"
    return "complex" if tensor.is_complex() else ""


def not_finite(state: dict[str, Tensor]) -> list[str]:
    """The names of the tensors in which a value is NaN or infinite."""
    floating = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
    return [name for name, tensor in floating.items() if not bool(tensor.float().isfinite().all())]


def parameters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the constants that some files hold beside the parameters: sizes, and attention masks."""
    return {
        name: tensor
        for name, tensor in state.items()
        if name not in OPENAI_CONSTANTS and name.rpartition(".")[2] != _MASK
    }


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return dict(load_file(path))
    if is_torchscript(path):
        return read_torchscript(path)
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    state = dict(loaded.get("state_dict", loaded))
    if all(name.startswith(_WRAPPER) for name in state):
        return {name.removeprefix(_WRAPPER): tensor for name, tensor in state.items()}
    return state
