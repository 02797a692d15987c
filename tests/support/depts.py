"""DePT over each host."""

from typing import Any

import pytest
import tiny
import torch

from promptarena.benchmark.core.classes import Classes
from promptarena.methods.dept import DePT
from promptarena.methods.dept_plus import DePTCoOp, DePTKgCoOp, DePTMaPLe, DePTPromptSRC

NAMES = ("red fox", "zebra", "great barn owl")
CLASSES = Classes(NAMES, "art of the {}.", "imagenet")
SMALL = {"prompt_depth": 3, "prompt_depth_text": 3, "prompt_depth_vision": 3}
each_host = pytest.mark.parametrize("kind", [DePTCoOp, DePTKgCoOp, DePTMaPLe, DePTPromptSRC])


def settings(kind: Any, **config: Any) -> dict[str, Any]:
    return {name: value for name, value in SMALL.items() if name in kind.config_type.model_fields} | config


def dept(kind: type[DePT] = DePTCoOp, **config: Any) -> Any:
    config = settings(kind, **config)
    learner = kind(tiny.backbone(), kind.config_type(**config), CLASSES, torch.Generator().manual_seed(0))
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in (learner.image_scale, learner.image_bias, learner.text_scale, learner.text_bias):
            parameter += 0.3 * torch.randn(parameter.shape, generator=random)
    return learner
