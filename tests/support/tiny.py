"""A tiny CLIP with drawn weights, drawn pictures and a toy learner: what the numerical core needs, in a moment."""

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip import CLIP
from PIL import Image
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone, Precision
from promptarena.benchmark.backbone.loading import weights_digest
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.keys import digest, generator
from promptarena.benchmark.core.protocol_table import Protocol
from promptarena.benchmark.core.recipe import TrainingTask
from promptarena.benchmark.data.data_manager import Examples
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.plugins.learner import About, Config, Learner
from promptarena.benchmark.training.shots import Task

# One thread, as the harness does: the last bits of a product depend on it, and threads only wait on a busy machine.
torch.set_num_threads(1)
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # of scikit-learn, loaded later

CPU = torch.device("cpu")
NAMES = ("red fox", "barn owl", "zebra")
NOVEL = ("sea lion", "wild cat", "hen", "ox", "gnu")
TEMPLATE = "a photo of a {}."


def config(
    *,
    layers: int = 3,
    vision: tuple[int, int] = (48, 3),
    text: tuple[int, int] = (32, 2),
    image_size: int = 16,
    patch_size: int = 8,
    context_length: int = 24,
    quick_gelu: bool = False,
) -> dict[str, Any]:
    """An open_clip model configuration; `vision` and `text` are (width, heads)."""
    return {
        "embed_dim": 20,
        "quick_gelu": quick_gelu,
        "vision_cfg": {
            "image_size": image_size,
            "layers": layers,
            "width": vision[0],
            "head_width": vision[0] // vision[1],
            "patch_size": patch_size,
        },
        "text_cfg": {
            "context_length": context_length,
            "vocab_size": 49408,
            "width": text[0],
            "heads": text[1],
            "layers": layers,
        },
    }


def model(configuration: dict[str, Any] | None = None, seed: int = 0) -> CLIP:
    """A CLIP in which every tensor is drawn, biases and layer norms too, so that none can be left out unnoticed."""
    clip = CLIP(**copy.deepcopy(configuration or config()))
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in sorted(clip.named_parameters()):
            if name == "logit_scale":
                continue
            drawn = torch.randn(tensor.shape, generator=random)
            is_norm = ".ln_" in f".{name}" and name.endswith("weight")
            fan = tensor[0].numel() if tensor.ndim > 1 else 100
            tensor.copy_(1 + 0.1 * drawn if is_norm else drawn * fan**-0.5)
    return clip


def wrapped(clip: CLIP, precision: Precision = "fp32") -> Backbone:
    return Backbone(clip, "tiny", weights_digest(clip.state_dict()), CPU, precision)


SHARED: list[Backbone] = []
"""The backbones that tests share. A test may seal one; conftest.py takes the seal off for the next test."""


@lru_cache(maxsize=4)
def backbone(layers: int = 3, precision: Precision = "fp32") -> Backbone:
    """One tiny backbone shared by tests; frozen, so they cannot disturb each other."""
    SHARED.append(wrapped(model(config(layers=layers)), precision))
    return SHARED[-1]


def pixels(count: int, size: int = 16, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


class Drawings:
    """Pictures that are functions of their keys; `decoded` counts how often one was asked for."""

    def __init__(self, keys: Sequence[str], width: int = 24, height: int = 20) -> None:
        self.keys = list(keys)
        self.size = (height, width, 3)
        self.digest = digest("drawings", self.keys, self.size)
        self.stamp = ""
        self.decoded = 0

    def __len__(self) -> int:
        return len(self.keys)

    def key(self, index: int) -> str:
        return self.keys[index]

    def image(self, index: int) -> Image.Image:
        self.decoded += 1
        noise = generator("drawing", self.keys[index]).integers(0, 256, self.size, dtype=np.uint8)
        return Image.fromarray(noise)


def examples(count: int, classes: int, name: str = "train") -> Examples:
    drawings: Any = Drawings([f"{name}/{row}" for row in range(count)])
    return Examples(drawings, np.arange(count, dtype=np.int64) % classes)


def task(count: int = 10, seed: int = 1, names: tuple[str, ...] = NAMES) -> Task:
    classes = Classes(names, TEMPLATE)
    return Task(classes, examples(count, len(names)), examples(2 * len(names), len(names), "val"), seed)


def cache(folder: Path) -> ArrayCache:
    return ArrayCache(folder / "cache")


class NoCache(ArrayCache):
    """Computes anew each time."""

    def __init__(self) -> None:
        super().__init__(Path())

    def get(
        self, key: str, count: int, compute: Callable[[range], np.ndarray], sound: Callable[[], bool] = lambda: True
    ) -> np.ndarray:
        return compute(range(count))


NO_CACHE = NoCache()


class Given:
    """Images known by their features."""

    def __init__(self, features: Tensor) -> None:
        self.features = features

    def __len__(self) -> int:
        return len(self.features)

    @property
    def pixels(self) -> Tensor:
        raise AssertionError("pixels were asked for")

    def tokens_at(self, block: int) -> Tensor:
        raise AssertionError("tokens were asked for")


@dataclass(frozen=True)
class Shots:
    """Drawn images whose random views are the images themselves."""

    train: Any
    train_labels: Tensor
    val: Any
    val_labels: Tensor

    def augmented(self, index: int) -> Any:
        return self.train


class Linear(Learner):
    """A linear head trained by gradient descent: the least that the training loop can train."""

    about = About("Toy", "Toy", "Nowhere", 2000, "https://example.org")

    def __init__(self, backbone: Backbone, config: Config, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        self.weight = nn.Parameter(torch.randn(len(classes), backbone.embed_dim, generator=generator))
        self.bias = nn.Parameter(torch.randn(len(classes), generator=generator))

    def prompts(self, classes: Classes) -> Classes:
        return classes

    def classifier(self, prompts: Any) -> tuple[Tensor, Tensor]:
        return self.weight, self.bias

    def logits(self, images: Any, classifier: Any) -> Tensor:
        weight, bias = classifier
        return images.features @ weight.T + bias


def linear(seed: int = 0) -> Linear:
    return Linear(backbone(), Config(), Classes(NAMES, TEMPLATE), torch.Generator().manual_seed(seed))


def few_templates(config: Config) -> Config:
    """The configuration with three templates at most: what holds for them holds for eighty, in a tenth of the time."""
    names = {"templates", "teacher_templates"} & set(type(config).model_fields)
    return config.model_copy(update={name: getattr(config, name)[:3] for name in names})


def training_task(protocol: Protocol = "base-to-novel", shots: int = 4, is_source: bool = False) -> TrainingTask:
    return TrainingTask(protocol=protocol, shots=shots, is_source=is_source)
