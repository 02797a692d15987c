"""What is measured on: a CLIP with random weights, ImageNet's class names, random images, and learners."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from promptarena.benchmark.backbone.architectures import find_architecture
from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.keys import digest, generator
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.data.data_manager import Examples
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.plugins.registry import load_registry
from tools.speed.naive import PUBLISHED, NaiveBackbone

TEMPLATE = "a photo of a {}."
METHODS = ("coop", "maple", "promptsrc", "rada", "mmrl", "dear")
NEWEST = (
    *("mma", "dept-coop", "dept-kgcoop", "dept-maple", "dept-promptsrc", "mmrlpp"),
    *("skip-tuning", "clip-lora", "atprompt-coop", "atprompt-maple", "two-stage", "coprompt"),
)
"""Methods whose steps alone are measured."""
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "coop": {"ctx_init": "", "n_ctx": 16},
    "dear": {"mask": "none"},
    "dept-kgcoop": {"ctx_init": "", "n_ctx": 4},
}
"""CoOp with 16 vectors; DeAR without a role table, for drawn weights have none; KgCoOp's context drawn, for with the
teacher's words its distance to the teacher is zero at first, and a relative difference says nothing.
"""
ONE_TEMPLATE: Mapping[str, Mapping[str, Any]] = {
    "promptsrc": {"teacher_templates": (TEMPLATE,)},
    "dept-promptsrc": {"teacher_templates": (TEMPLATE,)},
    "coprompt": {"templates": (TEMPLATE,)},
}
"""A frozen teacher's texts are encoded once per training, not in a step."""
WITHOUT_CHANCE: Mapping[str, Mapping[str, Any]] = {"clip-lora": {"dropout": 0.0}}
"""Settings without which outcomes of a step could not be compared: masks are drawn for texts of different lengths."""

STEP_BATCH: Mapping[str, int] = {"coop": 8, "rada": 8}
"""Images a step in `steps`; others take 4."""

PICTURE = (375, 500)
"""Height and width of a random image."""

NAMES = Path(__file__).parents[2] / "datasets" / "classes" / "imagenet.txt"


def class_names(count: int) -> Classes:
    """The first ImageNet classes; at most 1000."""
    lines = NAMES.read_text(encoding="utf-8").splitlines()
    if not 0 < count <= len(lines):
        raise SystemExit(f"--classes {count}: ImageNet has 1 to {len(lines)}")
    return Classes(tuple(line.split("\t")[1] for line in lines[:count]), TEMPLATE, "drawn")


class World:
    """One model with drawn weights (seed 0), as our backbone and as the naive one; both hold the same tensors."""

    def __init__(self, architecture: str | Path) -> None:
        torch.manual_seed(0)
        model = find_architecture(architecture).build("cpu")
        named = model, Path(architecture).stem, digest("drawn", str(architecture)), torch.device("cpu"), "fp32"
        self.ours = Backbone(*named)
        self.naive = NaiveBackbone(*named)

    def learner(
        self,
        method: str,
        classes: Classes,
        *,
        naive: bool = False,
        backbone: Backbone | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> Learner:
        """A learner as published, but for SETTINGS and `settings`; on our backbone, the naive one, or another."""
        kind = load_registry(()).get(method).learner
        config, _ = kind.preset(task())
        chosen = config.model_copy(update={**SETTINGS.get(method, {}), **settings})
        built = PUBLISHED.get(method, kind) if naive else kind
        below = backbone or (self.naive if naive else self.ours)
        return built(below, chosen, classes, torch.Generator().manual_seed(seed))


def task() -> TrainingTask:
    """Base-to-novel, 16 shots."""
    return TrainingTask(protocol="base-to-novel", shots=16, dataset="caltech101", is_source=False)


def recipe_of(method: str) -> Recipe:
    """The method's published base-to-novel recipe."""
    return load_registry(()).get(method).learner.preset(task())[1]


@dataclass(frozen=True)
class TrainingImages:
    """Images that are functions of their keys, kept as JPEG files in memory, so that decoding has its real cost."""

    keys: Sequence[str]
    stamp: str = ""

    @cached_property
    def digest(self) -> str:
        """Identity of the images and their order."""
        return digest("drawn pictures", list(self.keys))

    def __len__(self) -> int:
        return len(self.keys)

    def key(self, index: int) -> str:
        """The image's own name."""
        return self.keys[index]

    def image(self, index: int) -> Image.Image:
        """The image, decoded."""
        return Image.open(io.BytesIO(self._files[index])).convert("RGB")

    @cached_property
    def _files(self) -> list[bytes]:
        return [_jpeg(key) for key in self.keys]


def _jpeg(key: str) -> bytes:
    height, width = PICTURE
    noise = generator("drawing", key).integers(0, 256, (height // 25, width // 25, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def examples(name: str, count: int, classes: int) -> Examples:
    """`count` images whose labels cycle through the classes."""
    images: Any = TrainingImages([f"{name}/{row}" for row in range(count)])
    return Examples(images, np.arange(count, dtype=np.int64) % classes)
