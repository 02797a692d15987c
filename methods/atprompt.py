"""ATPrompt: context vectors anchored by attribute words, and the prompt learner CoOp with them."""

from dataclasses import replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import drawn_context, overwrite
from promptarena.benchmark.plugins.learner import About, Config, Learner

MOST = 3
WORDS = {
    "caltech101": ("shape", "size"),
    "oxford_pets": ("playfulness", "energy"),
    "stanford_cars": ("luxury",),
    "oxford_flowers": ("color", "habitat", "growth"),
    "food101": ("flavor", "preparation"),
    "fgvc_aircraft": ("design", "range"),
    "sun397": ("function",),
    "dtd": ("pattern", "color", "design"),
    "eurosat": ("habitat",),
    "ucf101": ("precision",),
}
"""The released attributes of each dataset."""
OTHER_WORDS = ("color", "shape")
"""Those of ImageNet and its variants."""


class ATPromptConfig(Config):
    """Anchored context."""

    n_ctx: int = Field(2, ge=1, description="n, learned vectors before each attribute word and before the class name")
    attributes: tuple[str, ...] = Field(OTHER_WORDS, max_length=MOST, description="the attribute words, at most three")
    target_attributes: bool = Field(False, description="score other datasets with the attribute words found on them")


class Anchored(Learner):
    """What ATPrompt adds to a learner: for attribute words w_1 .. w_A the prompts

    [start] [att_1 x n] w_1 .. [att_A x n] w_A [ctx x n] [name] "." [end].
    """

    config: Any

    def __init__(self, backbone: Backbone, config: Any, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        drawn = [0.5 * drawn_context(backbone.text.width, config.n_ctx, generator) for _ in range(MOST)]
        used = len(config.attributes)
        self.anchors = nn.ParameterList(drawn[:used])
        self.register_buffer("untrained", torch.stack([*drawn[used:], torch.zeros_like(drawn[0])]))
        self.trained_on = classes.dataset

    def prompts(self, classes: Classes) -> Prompts:
        """Tokenised prompts with "X" in place of learned vectors, each place counted as if a word were one token."""
        words, n = self.words(classes.dataset), self.config.n_ctx
        phrase = " ".join(f"{'X ' * n}{word}" for word in (*words, "{}"))
        plain = self.backbone.embed(self.backbone.tokenize(classes.filled(phrase + ".")))
        learned = 1 + len(words) * (n + 1) + n
        if int(plain.eot.min()) < learned:
            raise UserError(f"{learned - 1} prompt tokens leave no room for the class name")
        return replace(plain, shared=learned)

    def words(self, dataset: str) -> tuple[str, ...]:
        """The attribute words that classes of a dataset are scored with."""
        if self.config.target_attributes and dataset != self.trained_on:
            return WORDS.get(dataset, OTHER_WORDS)
        words: tuple[str, ...] = self.config.attributes
        return words

    def anchored(self, prompts: Prompts, context: Tensor) -> tuple[Prompts, int]:
        """The prompts with learned vectors in their places, and the row of the first context vector."""
        n, embeddings = self.config.n_ctx, prompts.embeddings
        first = prompts.shared - n
        contexts = [*self.anchors, *self.get_buffer("untrained")][: (first - 1) // (n + 1)]
        for place, vectors in enumerate((*contexts, context)):
            embeddings = overwrite(vectors, 1 + place * (n + 1))(embeddings)
        return replace(prompts, embeddings=embeddings), first


ABOUT = About(
    "ATPrompt",
    "Advancing Textual Prompt Learning with Anchored Attributes",
    "ICCV",
    2025,
    "https://arxiv.org/abs/2412.09442",
    parity="golden",
    assumed=("few-shot recipe", "words of datasets without published ones", "the source's words for other datasets"),
)


class ATPromptCoOp(Anchored):
    """ATPrompt + CoOp.

    Li et al., "Advancing Textual Prompt Learning with Anchored Attributes", ICCV 2025; Zhou et al., IJCV 2022.

    Cross-entropy on s n(f(x)) n(g(t_c))^T with t_c = [att_1] w_1 .. [att_A] w_A [ctx] name_c. Both encoders are frozen.
    """

    about = replace(ABOUT, title="ATPrompt + CoOp")
    config_type = ATPromptConfig
    config: ATPromptConfig
    stackable = True

    def __init__(
        self, backbone: Backbone, config: ATPromptConfig, classes: Classes, generator: torch.Generator
    ) -> None:
        super().__init__(backbone, config, classes, generator)
        self.context = nn.Parameter(drawn_context(backbone.text.width, config.n_ctx, generator))

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[ATPromptConfig, Recipe]:
        """As released; few-shot as base-to-novel (assumed)."""
        transfer = task.protocol in ("cross-dataset", "domain-generalization")
        config = ATPromptConfig(
            n_ctx=4 if transfer or task.dataset == "dtd" else 2, attributes=WORDS.get(task.dataset, OTHER_WORDS)
        )
        return config, Recipe(epochs=10 if transfer or task.is_source else 100, batch_size=32, lr=0.002)

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D)."""
        return self.backbone.encode_text(self.anchored(prompts, self.context)[0])
