"""Reads golden cases: the manifest (JSON), the expected tensors, and the inputs rebuilt from their seeds.

The format is that of the golden vectors' own README: weights, images and drawn initial values are NumPy PCG64 streams.
"""

import json
import math
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip import CLIP
from safetensors.torch import load_file
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.loading import weights_digest

ROOT = Path(__file__).parents[2]
DATASETS = {
    "ImageNet": "imagenet",
    "Caltech101": "caltech101",
    "OxfordPets": "oxford_pets",
    "StanfordCars": "stanford_cars",
    "OxfordFlowers": "oxford_flowers",
    "Food101": "food101",
    "FGVCAircraft": "fgvc_aircraft",
    "SUN397": "sun397",
    "DescribableTextures": "dtd",
    "EuroSAT": "eurosat",
    "UCF101": "ucf101",
}
"""Our card of each dataset that a manifest names as the authors' tables do."""


def folders() -> list[Path]:
    """The folders of PROMPTARENA_GOLDEN (separated like PATH), else tests/golden."""
    named = os.environ.get("PROMPTARENA_GOLDEN")
    return [Path(part) for part in named.split(os.pathsep) if part] if named else [ROOT / "tests" / "golden"]


@dataclass(frozen=True)
class Case:
    """One golden case."""

    path: Path
    manifest: dict[str, Any]

    def __str__(self) -> str:
        return str(self.manifest["case"])

    @property
    def method(self) -> str:
        return str(self.manifest["method"])

    @property
    def config(self) -> dict[str, Any]:
        return dict(self.manifest.get("config", {}))

    @property
    def dataset(self) -> str:
        return DATASETS.get(self.config.get("DATASET", ""), "")

    def expected(self) -> dict[str, Tensor]:
        return load_file(self.path.with_suffix(".safetensors"))

    def backbone(self) -> Backbone:
        return _backbone(self.manifest["model"]["seed"], json.dumps(self.manifest["model"]["config"], sort_keys=True))

    def pixels(self, batch: str) -> Tensor:
        spec = self.manifest["batches"][batch]
        side = self.manifest["model"]["config"]["image_resolution"]
        return torch.from_numpy(_normal(_stream(spec["seed"]), (spec["n"], 3, side, side), 0.0, 1.0))

    def labels(self, batch: str) -> Tensor:
        return torch.tensor(self.manifest["batches"][batch]["labels"])


def cases() -> list[Case]:
    found = []
    for folder in folders():
        for path in sorted(folder.glob("*.json")):
            manifest = json.loads(path.read_text())
            if "case" in manifest:
                found.append(Case(path, manifest))
    return found


def _stream(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _normal(stream: np.random.Generator, shape: tuple[int, ...], mean: float, std: float) -> np.ndarray:
    values = stream.standard_normal(shape, dtype=np.float32) * np.float32(std)
    return values + np.float32(mean) if mean else values


def initial_values(seed: int, specs: dict[str, dict[str, Any]]) -> dict[str, Tensor]:
    """The drawn trainable tensors of a manifest, by official name."""
    stream = _stream(seed)
    drawn = sorted(name for name, spec in specs.items() if spec["init"] == "drawn")
    return {
        name: torch.from_numpy(
            np.asarray(_normal(stream, tuple(specs[name]["shape"]), specs[name]["mean"], specs[name]["std"]))
        )
        for name in drawn
    }


@lru_cache(maxsize=2)
def _backbone(seed: int, config: str) -> Backbone:
    model = model_with_drawn_weights(seed, json.loads(config))
    return Backbone(model, f"golden-{seed}", weights_digest(model.state_dict()), torch.device("cpu"), "fp32")


def model_with_drawn_weights(seed: int, c: dict[str, int]) -> CLIP:
    """An OpenAI-layout CLIP whose tensors are one PCG64 stream in the sorted order of their names."""
    model = CLIP(
        embed_dim=c["embed_dim"],
        quick_gelu=True,
        vision_cfg={
            "image_size": c["image_resolution"],
            "layers": c["vision_layers"],
            "width": c["vision_width"],
            "patch_size": c["vision_patch_size"],
        },
        text_cfg={
            "context_length": c["context_length"],
            "vocab_size": c["vocab_size"],
            "width": c["transformer_width"],
            "heads": c["transformer_width"] // 64,
            "layers": c["transformer_layers"],
        },
    )
    stream = _stream(seed)
    state = model.state_dict()
    layers = {"visual": c["vision_layers"], "text": c["transformer_layers"]}
    drawn = {}
    for name in sorted(state):
        if name == "logit_scale":
            continue
        visual = name.startswith("visual.")
        width = c["vision_width"] if visual else c["transformer_width"]
        residual = 2.0 * width**-0.5 * (2 * layers["visual" if visual else "text"]) ** -0.5
        mean, std = _moments(name, width, residual, c["vision_patch_size"])
        drawn[name] = torch.from_numpy(np.asarray(_normal(stream, tuple(state[name].shape), mean, std)))
    drawn["logit_scale"] = torch.tensor(math.log(100.0))
    model.load_state_dict(drawn)
    return model


def _moments(name: str, width: int, residual: float, patch: int) -> tuple[float, float]:
    if ".ln_" in f".{name}" or name.startswith("ln_final"):
        return (1.0, 0.1) if name.endswith("weight") else (0.0, 0.05)
    if name.endswith("bias"):
        return 0.0, 0.02
    for ending, std in {
        "token_embedding.weight": 0.02,
        "visual.conv1.weight": (3 * patch * patch) ** -0.5,
        "attn.in_proj_weight": 1.5 * width**-0.5,
        "attn.out_proj.weight": residual,
        "mlp.c_proj.weight": residual,
        "mlp.c_fc.weight": (2 * width) ** -0.5,
    }.items():
        if name.endswith(ending):
            return 0.0, std
    if name == "positional_embedding":
        return 0.0, 0.01
    return 0.0, width**-0.5
