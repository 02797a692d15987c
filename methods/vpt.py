"""VPT: deep prompts in the image tower alone."""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import check_depth, context_words, drawn_context, encode_images_with
from promptarena.benchmark.plugins.learner import About, Config, Images, Learner


class VPTConfig(Config):
    """Prompts of VPT."""

    n_ctx: int = Field(8, ge=1, description="p, prompt tokens of each prompted layer")
    prompt_depth: int = Field(12, ge=1, description="prompted layers, counting the input as the first; 1: shallow")
    ctx_init: str = Field("a photo of a", description="fixed words before the class name")


class VPT(Learner):
    """Visual Prompt Tuning, for CLIP.

    Jia et al., "Visual Prompt Tuning", ECCV 2022; as a baseline for CLIP in Khattak et al., CVPR 2023.

    Prompts P_k: (p, W_vision), k = 0 .. depth - 1, follow the patches before block k, where the outputs of the
    previous block in these rows are dropped (VPT-deep):

        [c_k, E_k, _] = V_k([c_{k-1}, E_{k-1}, P_k])

    P_0 passes the first layer norm, and after the last prompted block the prompts propagate; with depth 1 this is
    VPT-shallow. Class features g (C, D) are plain CLIP's of "a photo of a [CLASS]."; cross-entropy on s n(f) n(g)^T.
    """

    about = About(
        "VPT",
        "Visual Prompt Tuning",
        "ECCV",
        2022,
        "https://arxiv.org/abs/2203.12119",
        parity="golden",
        assumed=("few-shot, cross-dataset and domain-generalization recipe",),
    )
    config_type = VPTConfig
    config: VPTConfig
    stackable = True

    def __init__(self, backbone: Backbone, config: VPTConfig, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        check_depth("prompt_depth", config.prompt_depth, backbone.vision.depth)
        width = backbone.vision.width
        self.vision_prompts = nn.ParameterList(
            drawn_context(width, config.n_ctx, generator) for _ in range(config.prompt_depth)
        )

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[VPTConfig, Recipe]:
        """As released with MaPLe for base-to-novel; the other protocols have no recipe of their own and take it
        (assumed)."""
        return VPTConfig(), Recipe(epochs=5, batch_size=4, lr=0.0025)

    @torch.no_grad()
    def prompts(self, classes: Classes) -> Tensor:
        """(C, D) the frozen text features of "ctx_init name.", not normalised."""
        texts = classes.filled(" ".join([*context_words(self.config.ctx_init), "{}."]))
        return self.backbone.encode_texts(texts)

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D): what `prompts` encoded."""
        features: Tensor = prompts
        return features

    def image_features(self, images: Images) -> Tensor:
        """(B, D): P_k after the patches."""
        return encode_images_with(self.backbone, images, list(self.vision_prompts))
