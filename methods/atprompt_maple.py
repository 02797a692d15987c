"""ATPrompt over MaPLe: coupled deep prompts after attribute words."""

from dataclasses import replace
from typing import Any

from pydantic import Field
from torch import Tensor

from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import overwrite
from promptarena.methods.atprompt import ABOUT, OTHER_WORDS, WORDS, Anchored, ATPromptConfig
from promptarena.methods.maple import MaPLe, MaPLeConfig


class ATPromptMaPLeConfig(ATPromptConfig, MaPLeConfig):
    """Prompts of MaPLe with an anchored context."""

    n_ctx: int = Field(4, ge=1, description="b, prompt tokens of each layer, and before each attribute word")
    ctx_init: str = Field("", max_length=0, description="no initial words: the context is always drawn")


class ATPromptMaPLe(Anchored, MaPLe):
    """ATPrompt + MaPLe.

    Li et al., "Advancing Textual Prompt Learning with Anchored Attributes", ICCV 2025; Khattak et al., CVPR 2023.

    MaPLe whose text prompts P_k stand after the attribute words; they alone are coupled to vision prompts and replaced
    in deeper layers, where attribute vectors and words propagate.
    """

    about = replace(ABOUT, title="ATPrompt + MaPLe")
    config_type = ATPromptMaPLeConfig
    config: ATPromptMaPLeConfig
    stackable = True

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[ATPromptMaPLeConfig, Recipe]:
        """As released; few-shot as base-to-novel (assumed)."""
        words = WORDS.get(task.dataset, OTHER_WORDS)
        if task.protocol in ("cross-dataset", "domain-generalization"):
            return ATPromptMaPLeConfig(prompt_depth=3, attributes=words), Recipe(epochs=2, batch_size=4, lr=0.0026)
        n_ctx = 2 if task.dataset in ("fgvc_aircraft", "ucf101") else 4
        longer = task.dataset in ("caltech101", "oxford_pets", "oxford_flowers", "eurosat")
        recipe = Recipe(epochs=10 if longer else 5, batch_size=4, lr=0.0035)
        return ATPromptMaPLeConfig(n_ctx=n_ctx, attributes=words), recipe

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D)."""
        context, *deep = self.p
        anchored, first = self.anchored(prompts, context)
        edits = {block: overwrite(prompt, first) for block, prompt in enumerate(deep, start=1)}
        return self.backbone.encode_text(anchored, edits=edits)
