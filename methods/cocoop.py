"""CoCoOp: a context that a small network shifts for each image."""

from collections import OrderedDict
from typing import Any, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import context_words, drawn_context, drawn_linear, overwrite, word_context
from promptarena.benchmark.plugins.learner import About, Config, Images, Learner

PROMPTS_AT_ONCE = 4096
"""Largest number of prompts encoded at once; all classes of one image are always encoded at once."""


class CoCoOpConfig(Config):
    """Context of CoCoOp."""

    ctx_init: str = Field(
        "a photo of a", description="initial words, each a context vector; empty: drawn from N(0, 0.02^2)"
    )
    n_ctx: int | None = Field(None, ge=1, description="M, learned context vectors; none: the words of ctx_init, else 4")

    @model_validator(mode="after")
    def _one_initialisation(self) -> Self:
        words = len(context_words(self.ctx_init))
        if words and self.n_ctx not in (None, words):
            raise ValueError(
                f"n_ctx is {self.n_ctx} but ctx_init has {words} words; set one of them (ctx_init may be empty)"
            )
        return self


class CoCoOp(Learner):
    """Conditional Context Optimization.

    Zhou et al., "Conditional Prompt Learning for Vision-Language Models", CVPR 2022.

    With context v_1 .. v_M: (M, W), W the text width, and normalised image feature x: (D,),

        pi = h(x),    v_m(x) = v_m + pi,    t_c(x) = v_1(x) ... v_M(x) [CLASS]_c,    p(c | x) ~ exp(s x . n(g(t_c(x))))

    where the Meta-Net h is linear D -> D / 16, ReLU, linear D / 16 -> W. Trained by cross-entropy; both encoders stay
    frozen. Each image has its own class features, so B images need B C prompts.
    """

    about = About(
        "CoCoOp",
        "Conditional Prompt Learning for Vision-Language Models",
        "CVPR",
        2022,
        "https://arxiv.org/abs/2203.05557",
        parity="golden",
        assumed=("few-shot recipe",),
    )
    config_type = CoCoOpConfig
    config: CoCoOpConfig
    image_conditioned = True

    def __init__(self, backbone: Backbone, config: CoCoOpConfig, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        words = context_words(config.ctx_init)
        width, hidden = backbone.text.width, backbone.embed_dim // 16
        self.m = len(words) or config.n_ctx or 4
        self.phrase = " ".join(words or ["X"] * self.m)
        self.context = nn.Parameter(
            word_context(backbone, self.phrase, self.m) if words else drawn_context(width, self.m, generator)
        )
        self.metanet = nn.Sequential(
            OrderedDict(
                linear1=drawn_linear(backbone.embed_dim, hidden, generator),
                relu=nn.ReLU(),
                linear2=drawn_linear(hidden, width, generator),
            )
        )

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[CoCoOpConfig, Recipe]:
        """As released, one recipe for all protocols; few-shot, without a released one, takes it too (assumed)."""
        return CoCoOpConfig(), Recipe(epochs=10, batch_size=1, lr=0.002)

    def prompts(self, classes: Classes) -> Prompts:
        """Tokenised "context name." with frozen embeddings, (C, L, W); rows 1 .. M are overwritten when encoded.

        Raises UserError for a prompt that does not fit the text encoder.
        """
        whole = self.backbone.embed(self.backbone.tokenize(classes.filled(f"{self.phrase} {{}}.")))
        return Prompts(whole.embeddings, whole.eot, shared=1 + self.m)

    def conditioned_features(self, features: Tensor, prompts: Prompts) -> Tensor:
        """(B, C, D): class features for each image, not normalised, from normalised image features (B, D)."""
        v = self.context + self.metanet(features)[:, None]
        at_once = max(1, PROMPTS_AT_ONCE // len(prompts.eot))
        return torch.cat([self._encode(some, prompts) for some in v.split(at_once)])

    def _encode(self, v: Tensor, prompts: Prompts) -> Tensor:
        images, classes = len(v), len(prompts.eot)
        rows = overwrite(v.repeat_interleave(classes, dim=0), 1)(prompts.embeddings.repeat(images, 1, 1))
        texts = Prompts(rows, prompts.eot.repeat(images), prompts.shared, groups=images)
        return self.backbone.encode_text(texts).view(images, classes, -1)

    def classifier(self, prompts: Any) -> Any:
        """The prompts: nothing can be encoded without an image."""
        return prompts

    def logits(self, images: Images, classifier: Any) -> Tensor:
        """(B, C): s x . n(g(t_c(x))) of each image and class."""
        x = F.normalize(self.image_features(images), dim=-1)
        g = F.normalize(self.conditioned_features(x, classifier), dim=-1)
        with torch.autocast(x.device.type, enabled=False):
            return torch.einsum("bd,bcd->bc", self.backbone.scale * x.float(), g.float())
