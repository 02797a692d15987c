"""Builds the backbone: an open_clip architecture with weights from a pretrained tag or a local file, loaded
safely."""

import hashlib
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from promptarena.benchmark.backbone import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD, Backbone, Precision
from promptarena.benchmark.errors import UserError, unknown
from promptarena.benchmark.torchscript import is_torchscript, read_torchscript

_DAMAGED = (
    *(SafetensorError, pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, OSError, LookupError),
    *(StopIteration, ValueError, TypeError, AttributeError),  # a pickle that holds something else
)
_OPENAI_ONLY = ("input_resolution", "context_length", "vocab_size")


def choose_device(device: str) -> torch.device:
    """`auto` takes CUDA when there is one, else the CPU; any other name is torch's. Raises UserError when it is not
    there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from error
    return chosen


def weights_digest(state: dict[str, Tensor]) -> str:
    """SHA-256 over name and float32 bytes of every tensor in sorted order: independent of file format and storage
    precision."""
    sha = hashlib.sha256()
    for name in sorted(state):
        sha.update(name.encode())
        sha.update(state[name].detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return sha.hexdigest()


def load_backbone(
    architecture: str | Path, weights: str | Path, *, device: str = "auto", precision: Precision = "fp32"
) -> Backbone:
    """The frozen backbone.

    architecture: an open_clip model name (`ViT-B-16-quickgelu`) or the path of an open_clip model configuration (JSON).
    weights: a pretrained tag of that architecture (`openai`) or the path of a local file: safetensors, a state dict
    (`.pt`, `.bin`, read with weights_only), or OpenAI's TorchScript archive, whose code is never run.
    Raises UserError when any of it is unknown, damaged, of another shape, or when weights trained with QuickGELU meet
    GELU.
    """
    from open_clip.model import CLIP

    config = _configuration(architecture)
    mean, std = OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
    if isinstance(weights, Path):
        path = weights
    else:
        pretrained = _pretrained(str(architecture), config, weights)
        mean, std = pretrained.get("mean", mean), pretrained.get("std", std)
        path = _download(str(architecture), weights, pretrained)
    state = _read(path)
    if any(name in state for name in _OPENAI_ONLY):
        _require_same_activation(str(architecture), config, path.name, trained_with_quick_gelu=True)
    state = _parameters(state)
    model = CLIP(**config)
    try:
        model.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise UserError(f"weights {path} do not fit architecture {architecture}: {reason}") from error
    digest = weights_digest(model.state_dict())
    return Backbone(model, Path(architecture).stem, digest, choose_device(device), precision, mean, std)


def backbone_of_shapes(architecture: str | Path) -> Backbone:
    """A backbone without weights, on the meta device: it has every shape and no values. Raises UserError as above."""
    from open_clip.model import CLIP

    with torch.device("meta"):
        model = CLIP(**_configuration(architecture))
    return Backbone(model, Path(architecture).stem, "", torch.device("meta"), "fp32")


def _configuration(architecture: str | Path) -> dict[str, Any]:
    import open_clip

    if isinstance(architecture, Path):
        try:
            config = json.loads(architecture.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read the model configuration {architecture}: {error}") from error
    else:
        config = open_clip.get_model_config(architecture)
        if config is None:
            raise unknown("architecture", architecture, open_clip.list_models())
    for tower, key in (("vision_cfg", "timm_model_name"), ("text_cfg", "hf_model_name")):
        if key in config.get(tower, {}):
            raise UserError(
                f"architecture {architecture} takes its {tower[:-4]} tower from another library; "
                "use a CLIP of open_clip's own"
            )
    text = config.get("text_cfg", {})
    foreign = "hf_tokenizer_name" in text or text.get("no_causal_mask") or text.get("pool_type", "argmax") != "argmax"
    if config.pop("custom_text", False) or foreign:
        raise UserError(
            f"architecture {architecture} has a text tower of another layout; use a CLIP of open_clip's own"
        )
    return dict(config)


def _pretrained(architecture: str, config: dict[str, Any], tag: str) -> dict[str, Any]:
    """open_clip's entry for a tag. Raises UserError when there is none or it cannot be used as it was trained."""
    import open_clip

    pretrained = open_clip.get_pretrained_cfg(architecture, tag)
    if not pretrained:
        raise unknown(f"pretrained tag of {architecture}", tag, open_clip.list_pretrained_tags_by_model(architecture))
    _require_same_activation(architecture, config, tag, bool(pretrained.get("quick_gelu", False)))
    resizing = pretrained.get("resize_mode", "shortest"), pretrained.get("interpolation", "bicubic")
    if resizing != ("shortest", "bicubic"):
        raise UserError(
            f"weights {tag!r} were trained on pictures resized by {' '.join(resizing)}; "
            "only those trained on the shorter side, bicubic, are supported"
        )
    return dict(pretrained)


def _download(architecture: str, tag: str, pretrained: dict[str, Any]) -> Path:
    import open_clip

    try:
        return Path(open_clip.download_pretrained(pretrained))
    except Exception as error:  # the hub client raises many kinds
        raise UserError(
            f"cannot fetch weights {tag!r} of {architecture}: {str(error).splitlines()[0]}; "
            "check the network, or give a local file"
        ) from error


def _require_same_activation(
    architecture: str, config: dict[str, Any], weights: str, trained_with_quick_gelu: bool
) -> None:
    if trained_with_quick_gelu == bool(config.get("quick_gelu", False)):
        return
    trained, built = ("QuickGELU", "GELU") if trained_with_quick_gelu else ("GELU", "QuickGELU")
    base = architecture.removesuffix("-quickgelu")
    right = f"{base}-quickgelu" if trained_with_quick_gelu else base
    raise UserError(f"weights {weights!r} were trained with {trained} but {architecture} computes {built}; use {right}")


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"no weights file {path}")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        if is_torchscript(path):
            return read_torchscript(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        state = dict(loaded.get("state_dict", loaded))
    except _DAMAGED as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"weights file {path} is damaged or not a state dict: {reason}") from error
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            raise UserError(f"weights file {path} is not a state dict: {name!r} is not a tensor")
    return state


def _parameters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the constants that some files hold beside the parameters."""
    return {name: tensor for name, tensor in state.items() if name not in (*_OPENAI_ONLY, "attn_mask")}


def digest_of(architecture: str | Path, weights: str | Path) -> str:
    """The digest that the loaded backbone would have; a local safetensors file is not built into a model for it."""
    if isinstance(weights, Path) and weights.suffix == ".safetensors":
        return weights_digest(_parameters(_read(weights)))
    return load_backbone(architecture, weights, device="cpu").digest
