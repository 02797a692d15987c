"""KgCoOp: CoOp kept close to the class features of hand-written prompts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.learner import About, Images
from promptarena.methods.coop import Assembly, CoOp, CoOpConfig

TEMPLATES = {"dtd": "a photo of a {}, a type of texture."}
"""The hand-written prompts that differ from their dataset's own template."""


class KgCoOpConfig(CoOpConfig):
    """Context of KgCoOp and the weight of its knowledge term."""

    weight: float = Field(8.0, ge=0, description="lambda, of the distance to the hand-written prompts' features")


@dataclass(frozen=True)
class Guided(Assembly):
    """The embeddings around the context, and w: (C, D), the hand-written prompts' normalised features."""

    w: Tensor


class KgCoOp(CoOp):
    """Knowledge-guided Context Optimization.

    Yao, Zhang and Xu, "Visual-Language Prompt Tuning with Knowledge-guided Context Optimization", CVPR 2023.

    CoOp's prompts t_c with a second loss term: with normalised learned features g_c = n(g(t_c)) and w_c, those of a
    hand-written prompt for class c, both (D,),

        L = L_ce + lambda (1 - 1/C sum_c cos(g_c, w_c))
    """

    about = About(
        "KgCoOp",
        "Visual-Language Prompt Tuning with Knowledge-guided Context Optimization",
        "CVPR",
        2023,
        "https://arxiv.org/abs/2303.13283",
        parity="golden",
        assumed=("cross-dataset and domain-generalization recipe", "few-shot recipe for other than 4 shots"),
    )
    config_type = KgCoOpConfig
    config: KgCoOpConfig
    stackable = True

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[KgCoOpConfig, Recipe]:
        """As released for base-to-novel and 4 shots of all classes; the same for the rest (assumed)."""
        return KgCoOpConfig(), Recipe(epochs=100, batch_size=128, lr=0.002)

    @torch.no_grad()
    def training_prompts(self, classes: Classes) -> Guided:
        """The embeddings around the context, and the features that the learned ones are kept close to."""
        texts = classes.filled(TEMPLATES.get(classes.dataset))
        w = self.backbone.encode_texts(texts)
        return Guided(**vars(self.prompts(classes)), w=F.normalize(w, dim=-1))

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Logits (B, C) and the two terms of L. prompts: of `training_prompts`."""
        g = self.classifier(prompts)
        logits = self.logits(images, g)
        cosines = F.cosine_similarity(g.float(), prompts.w.float(), dim=-1)
        return logits, {
            "cross_entropy": F.cross_entropy(logits.float(), labels),
            "knowledge": self.config.weight * (1 - cosines.mean()),
        }
