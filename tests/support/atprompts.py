"""ATPrompt learners on a tiny CLIP."""

from typing import Any

import tiny
import torch
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.methods.atprompt import ATPromptCoOp
from promptarena.methods.atprompt_maple import ATPromptMaPLe, ATPromptMaPLeConfig

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.", "dtd")
BACKBONE = tiny.backbone()


def maple(**config: Any) -> ATPromptMaPLe:
    settings = ATPromptMaPLeConfig(**{"prompt_depth": 3, "n_ctx": 2, **config})
    return ATPromptMaPLe(BACKBONE, settings, CLASSES, torch.Generator().manual_seed(0))


def anchored(learner: Any, classes: Classes = CLASSES) -> Tensor:
    context = learner.context if isinstance(learner, ATPromptCoOp) else learner.p[0]
    return learner.anchored(learner.prompts(classes), context)[0].embeddings.detach()
