"""Builds the backbone: an open_clip architecture with weights from a pretrained tag or a local file, loaded
safely."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from promptarena.benchmark.backbone.accelerations import Precision, check_precision
from promptarena.benchmark.backbone.architectures import Architecture, Preprocessing, find_architecture
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.compiling import COMPILER, check_compiler
from promptarena.benchmark.backbone.kept_identity import keep_identity, kept_identity
from promptarena.benchmark.backbone.pretrained import Pretrained
from promptarena.benchmark.backbone.weight_files import OPENAI_CONSTANTS, not_finite, parameters, read_weights
from promptarena.benchmark.backbone.weight_origins import Weights, is_openai, origin_of_file, origin_of_tag
from promptarena.benchmark.core.errors import UserError, first_line
from promptarena.benchmark.core.files import is_missing

_SHOWN = 3
"""How many tensors a message names."""


def choose_device(device: str) -> torch.device:
    """The device of a name.

    Args:
        device: a name as torch knows it, or `auto`: CUDA when there is one, else the CPU.

    Returns:
        The device.

    Raises:
        UserError: the device cannot be used.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {device!r} cannot be used: {first_line(error)}") from error
    return chosen


def compiler_for(device: str, seeds_together: bool) -> str:
    """The compiler of a comparison; workers call it from one thread each.

    Args:
        device: as `choose_device` takes it.
        seeds_together: whether seeds are trained as one computation.

    Returns:
        torch.compile's backend.

    Raises:
        UserError: the compiler does not work on the device, or seeds are trained together.
    """
    if seeds_together:
        raise UserError("--compile: seeds trained as one computation cannot be compiled; leave out --seeds-together")
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    check_compiler(choose_device(device))
    return COMPILER


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of a model's weights, independent of file format and storage precision.

    Args:
        state: name -> tensor.

    Returns:
        Hexadecimal digest over the name and float32 bytes of every tensor, sorted by name.
    """
    sha = hashlib.sha256()
    for name in sorted(state):
        sha.update(name.encode())
        sha.update(state[name].detach().to("cpu", torch.float32).contiguous().numpy().data)
    return sha.hexdigest()


def load_backbone(
    architecture: str | Path,
    weights: str | Path,
    *,
    device: str = "auto",
    precision: Precision = "fp32",
    compile_backend: str = "",
) -> Backbone:
    """The frozen backbone. On a GPU, TF32 is switched off for this process: float32 products are exact ones.

    Args:
        architecture: an open_clip model name (`ViT-B-16-quickgelu`) or the path of an open_clip model configuration
            (JSON).
        weights: a pretrained tag of that architecture (`openai`) or the path of a local file, as `read_weights` takes
            it.
        device: as `choose_device` takes it.
        precision: of matrix products; weights stay float32.
        compile_backend: as a Tower takes it.

    Returns:
        The backbone with its weights, on the device.

    Raises:
        UserError: architecture, weights or device are unknown, damaged or of another shape, or the weights were trained
            with another activation than the architecture computes.
    """
    check_precision(precision)
    source = _find(architecture, weights)
    model = _filled(source, device="cpu")
    on = choose_device(device)
    if on.type == "cuda":
        # torch lets convolutions round float32 to 10 bits: the patch embedding would move features by 1.5e-3.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return Backbone(
        model,
        Path(architecture).stem,
        weights_digest(model.state_dict()),
        on,
        precision,
        source.preprocessing.mean,
        source.preprocessing.std,
        source.origin,
        compile_backend=compile_backend,
    )


def identify(architecture: str | Path, weights: str | Path, cache: Path | None = None) -> Weights:
    """Digest and origin that the loaded backbone would have, without building it.

    Args:
        architecture: as `load_backbone` takes it.
        weights: as `load_backbone` takes them.
        cache: a folder that keeps what is found out about files, by their content; None: nothing is kept. What is kept
            spares the import of open_clip, which takes seconds.

    Returns:
        SHA-256 of the weights, and where they come from.

    Raises:
        UserError: as `load_backbone`.
    """
    if cache and (known := kept_identity(cache, architecture, weights)):
        return known
    source = _find(architecture, weights)
    found = Weights(weights_digest(_filled(source, device="meta").state_dict()), source.origin)
    if cache:
        keep_identity(cache, architecture, weights, found)
    return found


def digest_of(architecture: str | Path, weights: str | Path) -> str:
    """The digest that the loaded backbone would have, and the errors, as `identify` gives them."""
    return identify(architecture, weights).digest


def missing_weights(architecture: str | Path, weights: str | Path) -> str | None:
    """Which weights would have to be fetched first. Nothing is downloaded.

    Args:
        architecture: as `load_backbone` takes it.
        weights: as `load_backbone` takes them.

    Returns:
        The missing weights in words; None when they are on disk.

    Raises:
        UserError: architecture or tag are unknown or do not fit each other.
    """
    if isinstance(weights, Path) and not is_missing(weights):  # the common case, without the import of open_clip
        return None
    found = find_architecture(architecture)
    if isinstance(weights, Path):
        return None if not is_missing(weights) else f"the file {weights}"
    return _usable(found, weights).missing()


def backbone_of_shapes(architecture: str | Path) -> Backbone:
    """A backbone without weights, on the meta device: it has every shape and no values.

    Args:
        architecture: as `load_backbone` takes it.

    Returns:
        The backbone.

    Raises:
        UserError: the architecture is unknown or not supported.
    """
    model = find_architecture(architecture).build("meta")
    return Backbone(model, Path(architecture).stem, "", torch.device("meta"), "fp32")


@dataclass(frozen=True)
class _Source:
    """Weights on disk, and what they belong to."""

    architecture: Architecture
    path: Path
    origin: str
    preprocessing: Preprocessing


def _find(architecture: str | Path, weights: str | Path) -> _Source:
    found = find_architecture(architecture)
    if isinstance(weights, Path):
        if not os.path.isfile(weights):
            raise UserError(f"no weights file {weights}")
        _require_same_resizing(weights.name, found.preprocessing)
        return _Source(found, weights, origin_of_file(weights), found.preprocessing)
    tag = _usable(found, weights)
    return _Source(found, tag.fetch(), origin_of_tag(found.name, weights), tag.preprocessing)


def _usable(architecture: Architecture, tag: str) -> Pretrained:
    """The tag. Raises UserError when there is none, or when its weights would be computed otherwise than trained."""
    pretrained = Pretrained.find(architecture, tag)
    _require_same_resizing(tag, pretrained.preprocessing)
    _require_same_activation(architecture, tag, pretrained.quick_gelu)
    return pretrained


def _filled(source: _Source, device: str) -> Any:
    """The model with the weights in it: float32 on the CPU, as they are stored on "meta"."""
    architecture, path = source.architecture, source.path
    stored = read_weights(path)
    if is_openai(source.origin) or OPENAI_CONSTANTS & stored.keys():
        _require_same_activation(architecture, path.name, trained_with_quick_gelu=True)
    state, model = parameters(stored), architecture.build(device).requires_grad_(False)
    misfit = _misfit(model.state_dict(), state)
    if misfit:
        raise UserError(f"weights {path} ({source.origin}) do not fit architecture {architecture.name}: {misfit}")
    if damaged := not_finite(state):
        raise UserError(f"weights {path} ({source.origin}) hold values that are NaN or infinite in {_few(damaged)}")
    model.load_state_dict(state, assign=device == "meta")
    return model


def _misfit(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """What keeps a state from being loaded, or nothing. Counters of batch norms may be absent; they are never read."""
    lacking = [name for name in expected if name not in state and not name.endswith("num_batches_tracked")]
    foreign = [name for name in state if name not in expected]
    shapes = [
        f"{name} of {_shape(state[name])} instead of {_shape(tensor)}"
        for name, tensor in expected.items()
        if name in state and _shape(state[name]) != _shape(tensor)
    ]
    found = {"it lacks": lacking, "it has besides": foreign, "it has": shapes}
    return "; ".join(f"{verb} {_few(names)}" for verb, names in found.items() if names)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape or (1,)))


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _require_same_resizing(weights: str, preprocessing: Preprocessing) -> None:
    resizing = preprocessing.resize_mode, preprocessing.interpolation
    if resizing != ("shortest", "bicubic"):
        raise UserError(
            f"weights {weights!r} were trained on images resized by {' '.join(resizing)}; "
            "only those trained on the shorter side, bicubic, are supported"
        )


def _require_same_activation(architecture: Architecture, weights: str, trained_with_quick_gelu: bool) -> None:
    if trained_with_quick_gelu == architecture.quick_gelu:
        return
    trained, built = ("QuickGELU", "GELU") if trained_with_quick_gelu else ("GELU", "QuickGELU")
    raise UserError(
        f"weights {weights!r} were trained with {trained} but {architecture.name} computes {built}; "
        f"use {architecture.other_activation}"
    )
