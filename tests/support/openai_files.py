"""Weights files as OpenAI publishes them: a traced CLIP in half precision with its sizes as tensors; small, drawn."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.model import CLIP, convert_weights_to_fp16
from torch import Tensor, nn

SIZES = ("input_resolution", "context_length", "vocab_size")


def small(architecture: str) -> dict[str, Any]:
    """open_clip's configuration with its pictures, patches, texts and activation, but narrow and shallow; heads of 64,
    as everywhere in OpenAI's models."""
    config = open_clip.get_model_config(architecture)
    residual = isinstance(config["vision_cfg"]["layers"], list)
    image = {"layers": [1, 2, 1, 1], "width": 16} if residual else {"layers": 2, "width": 128}
    text = {"layers": 2, "width": 64, "heads": 1}
    return config | {
        "embed_dim": 32,
        "vision_cfg": config["vision_cfg"] | image,
        "text_cfg": config["text_cfg"] | text,
    }


def drawn(config: Mapping[str, Any], seed: int = 0) -> CLIP:
    """A CLIP whose every tensor is drawn, stored as in OpenAI's files: half, but for norms and embeddings."""
    clip = CLIP(**copy.deepcopy(dict(config)), cast_dtype=torch.float16).eval()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in clip.modules():
            for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)):
                if name in ("logit_scale", "attn_mask", "num_batches_tracked"):
                    continue
                noise = torch.randn(tensor.shape, generator=random)
                near_one = name == "running_var" or (name == "weight" and tensor.ndim == 1)
                fan = tensor[0].numel() if tensor.ndim > 1 else 100
                tensor.copy_((1 + 0.1 * noise).abs() if near_one else noise * fan**-0.5)
    for module in clip.modules():
        if isinstance(module, nn.BatchNorm2d) and module.num_batches_tracked is not None:
            module.num_batches_tracked.fill_(7)
    convert_weights_to_fp16(clip)
    return clip


def stored(clip: CLIP) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in clip.state_dict().items()}


def write_archive(path: Path, clip: CLIP, masks: str = "none") -> None:
    """Trace the model and save it. masks: where attention masks are among the tensors; OpenAI's files have none."""
    clip = copy.deepcopy(clip)
    size = clip.visual.image_size
    pixels = torch.ones(1, 3, *(size if isinstance(size, tuple) else (size, size)), dtype=torch.float16)
    texts = torch.zeros(1, clip.context_length, dtype=torch.int64)
    values = dict(zip(SIZES, (pixels.shape[-1], clip.context_length, clip.vocab_size), strict=True))
    for name in SIZES[1:]:
        delattr(clip, name)
    for name, value in values.items():
        clip.register_buffer(name, torch.tensor(value))
    mask = clip.attn_mask
    if masks != "top":
        del clip.attn_mask
        clip.attn_mask = mask
    if masks == "blocks":
        for block in clip.transformer.resblocks:
            block.register_buffer("attn_mask", mask.half())
    inputs = {"forward": (pixels, texts), "encode_image": (pixels,), "encode_text": (texts,)}
    torch.jit.trace_module(clip, inputs, check_trace=False).save(str(path))
