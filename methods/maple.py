"""MaPLe: deep prompts in both towers, the vision prompts being projections of the text prompts."""

import copy
from typing import Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import (
    check_depth,
    context_words,
    drawn_context,
    drawn_linear,
    encode_images_with,
    encode_text_with,
    word_context,
)
from promptarena.benchmark.plugins.learner import About, Config, Images, Learner


class MaPLeConfig(Config):
    """Prompts of MaPLe."""

    n_ctx: int = Field(2, ge=1, description="b, prompt tokens of each prompted layer")
    ctx_init: str = Field(
        "a photo of a", description="initial words, used when n_ctx <= 4; words beyond n_ctx stay in the prompt, frozen"
    )
    prompt_depth: int = Field(9, ge=1, description="J, prompted layers, counting the input as the first")

    @model_validator(mode="after")
    def _enough_words(self) -> Self:
        words = len(context_words(self.ctx_init))
        if 0 < words < self.n_ctx <= 4:
            raise ValueError(f"ctx_init has {words} words for n_ctx = {self.n_ctx} tokens; give more words or none")
        return self


class MaPLe(Learner):
    """Multi-modal Prompt Learning.

    Khattak et al., "MaPLe: Multi-modal Prompt Learning", CVPR 2023.

    Text prompts P_k: (b, W_text), k = 1 .. J, follow the start token before block k. Coupling functions
    F_k: R^W_text -> R^W_vision (linear) give the vision prompts P~_k = F_k(P_k), which follow the patches:

        [_, W_k] = L_k([P_k, W_{k-1}]),    [c_k, E_k, _] = V_k([c_{k-1}, E_{k-1}, F_k(P_k)]),    k <= J

    and beyond J the prompts propagate. Cross-entropy on s n(f) n(g)^T.
    """

    about = About(
        "MaPLe",
        "MaPLe: Multi-modal Prompt Learning",
        "CVPR",
        2023,
        "https://arxiv.org/abs/2210.03117",
        parity="golden",
        assumed=("few-shot recipe",),
    )
    config_type = MaPLeConfig
    config: MaPLeConfig
    stackable = True

    def __init__(self, backbone: Backbone, config: MaPLeConfig, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        widths, depth = (backbone.text.width, backbone.vision.width), config.prompt_depth
        check_depth("prompt_depth", depth, min(backbone.text.depth, backbone.vision.depth))
        words = context_words(config.ctx_init) if config.n_ctx <= 4 else []
        self.phrase = " ".join(words or ["X"] * config.n_ctx)
        prompts = [drawn_context(widths[0], config.n_ctx, generator) for _ in range(depth)]
        if words:
            prompts[0] = word_context(backbone, self.phrase, config.n_ctx)
        self.p = nn.ParameterList(prompts)
        deep = drawn_linear(*widths, generator)
        self.f = nn.ModuleList([drawn_linear(*widths, generator), *(copy.deepcopy(deep) for _ in range(depth - 1))])

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[MaPLeConfig, Recipe]:
        """As released; few-shot has no released recipe and takes the base-to-novel one (assumed)."""
        if task.protocol in ("cross-dataset", "domain-generalization"):
            return MaPLeConfig(prompt_depth=3), Recipe(epochs=2, batch_size=4, lr=0.0026)
        return MaPLeConfig(), Recipe(epochs=5, batch_size=4, lr=0.0035)

    def prompts(self, classes: Classes) -> Prompts:
        """Tokenised "phrase name." with frozen embeddings, (C, L, W_text); positions 1 .. b are overwritten when
        encoded."""
        plain = self.backbone.embed(self.backbone.tokenize(classes.filled(f"{self.phrase} {{}}.")))
        prompts = Prompts(plain.embeddings, plain.eot, shared=1 + self.backbone.token_counts([self.phrase])[0])
        if int(prompts.eot.min()) <= self.config.n_ctx:
            raise UserError(f"{self.config.n_ctx} prompt tokens leave no room for the class name")
        return prompts

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D): P_k in rows 1 .. b."""
        return encode_text_with(self.backbone, prompts, list(self.p))

    def image_features(self, images: Images) -> Tensor:
        """(B, D): F_k(P_k) after the patches."""
        coupled = [couple(prompt) for couple, prompt in zip(self.f, self.p, strict=True)]
        return encode_images_with(self.backbone, images, coupled)
