"""IVLP: independent deep prompts in both towers."""

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
    encode_images_with,
    encode_text_with,
    word_context,
)
from promptarena.benchmark.plugins.learner import About, Config, Images, Learner


class IVLPConfig(Config):
    """Prompts of both towers."""

    n_ctx_text: int = Field(2, ge=1, description="T, text prompt tokens of each prompted layer")
    n_ctx_vision: int = Field(2, ge=1, description="V, vision prompt tokens of each prompted layer")
    ctx_init: str = Field(
        "a photo of a",
        description="initial words, used when n_ctx_text <= 4; words beyond n_ctx_text stay in the prompt, frozen",
    )
    prompt_depth_text: int = Field(12, ge=1, description="prompted text layers, counting the input as the first")
    prompt_depth_vision: int = Field(
        12, ge=0, description="prompted vision layers, counting the input as the first; 0: no vision prompts"
    )

    @model_validator(mode="after")
    def _enough_words(self) -> Self:
        words = len(context_words(self.ctx_init))
        if 0 < words < self.n_ctx_text <= 4:
            raise ValueError(
                f"ctx_init has {words} words for n_ctx_text = {self.n_ctx_text} tokens; give more words or none"
            )
        return self


class IVLP(Learner):
    """Independent Vision-Language Prompting.

    The uncoupled baseline of Khattak et al., "MaPLe: Multi-modal Prompt Learning", CVPR 2023.

    Text prompts P_k: (T, W_text) follow the start token before text block k, vision prompts P~_k: (V, W_vision) follow
    the patches before vision block k, each a separate parameter:

        [_, W_k] = L_k([P_k, W_{k-1}]),    [c_k, E_k, _] = V_k([c_{k-1}, E_{k-1}, P~_k])

    up to each tower's depth; beyond it the prompts propagate. Cross-entropy on s n(f) n(g)^T.
    """

    about = About(
        "IVLP",
        "MaPLe: Multi-modal Prompt Learning",
        "CVPR",
        2023,
        "https://arxiv.org/abs/2210.03117",
        parity="golden",
        assumed=("few-shot, cross-dataset and domain-generalization recipe",),
    )
    config_type = IVLPConfig
    config: IVLPConfig
    stackable = True

    def __init__(self, backbone: Backbone, config: IVLPConfig, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        check_depth("prompt_depth_text", config.prompt_depth_text, backbone.text.depth)
        words = context_words(config.ctx_init) if config.n_ctx_text <= 4 else []
        self.phrase = " ".join(words or ["X"] * config.n_ctx_text)
        width = backbone.text.width
        text = [drawn_context(width, config.n_ctx_text, generator) for _ in range(config.prompt_depth_text)]
        if words:
            text[0] = word_context(backbone, self.phrase, config.n_ctx_text)
        self.text_prompts = nn.ParameterList(text)
        vision = []
        if config.prompt_depth_vision:
            check_depth("prompt_depth_vision", config.prompt_depth_vision, backbone.vision.depth)
            width = backbone.vision.width
            vision = [drawn_context(width, config.n_ctx_vision, generator) for _ in range(config.prompt_depth_vision)]
        self.vision_prompts = nn.ParameterList(vision)

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[IVLPConfig, Recipe]:
        """As released with MaPLe for base-to-novel; the other protocols have no consistent recipe and take it
        (assumed)."""
        return IVLPConfig(), Recipe(epochs=5, batch_size=4, lr=0.0035)

    def prompts(self, classes: Classes) -> Prompts:
        """Tokenised "phrase name." with frozen embeddings, (C, L, W_text); positions 1 .. T are overwritten when
        encoded. Raises UserError when the prompt tokens leave no room for a name."""
        plain = self.backbone.embed(self.backbone.tokenize(classes.filled(f"{self.phrase} {{}}.")))
        prompts = Prompts(plain.embeddings, plain.eot, shared=1 + self.backbone.token_counts([self.phrase])[0])
        if int(prompts.eot.min()) <= self.config.n_ctx_text:
            raise UserError(f"{self.config.n_ctx_text} prompt tokens leave no room for the class name")
        return prompts

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D): P_k in rows 1 .. T."""
        return encode_text_with(self.backbone, prompts, list(self.text_prompts))

    def image_features(self, images: Images) -> Tensor:
        """(B, D): P~_k after the patches; without vision prompts the frozen features."""
        return encode_images_with(self.backbone, images, list(self.vision_prompts))
