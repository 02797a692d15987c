"""PromptSRC on a tiny CLIP."""

from typing import Any

import tiny
import torch

from promptarena.benchmark.core.classes import Classes
from promptarena.methods.promptsrc import PromptSRC, PromptSRCConfig

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.")
FEW_TEMPLATES = ("a photo of a {}.", "the origami {}.", "a {} in a video game.")


def config(**changes: Any) -> PromptSRCConfig:
    settings = {"prompt_depth_text": 3, "prompt_depth_vision": 3, "teacher_templates": FEW_TEMPLATES} | changes
    return PromptSRCConfig(**settings)


def promptsrc(seed: int = 0, learner: type[PromptSRC] = PromptSRC, **changes: Any) -> PromptSRC:
    return learner(tiny.backbone(), config(**changes), CLASSES, torch.Generator().manual_seed(seed))
