"""ProGrad: CoOp whose gradient may not work against what zero-shot CLIP knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import context_words
from promptarena.benchmark.plugins.learner import About, Images
from promptarena.methods.coop import Assembly, CoOp, CoOpConfig

PHRASES = {
    "oxford_pets": "a type of pet, a photo of a",
    "oxford_flowers": "a type of flower, a photo of a",
    "fgvc_aircraft": "a type of aircraft, a photo of a",
    "dtd": "a texture of",
    "eurosat": "a centered satellite photo of",
    "food101": "a type of food, a photo of",
    "ucf101": "a photo of a person doing",
}
"""The words before the class name, by the dataset's card."""
OTHER_PHRASE = "a photo of a"
"""The words on every other dataset."""


class ProGradConfig(CoOpConfig):
    """Context of ProGrad and how its gradient is corrected."""

    n_ctx: int = Field(
        16, ge=1, description="M, learned context vectors; those without a word of ctx_init stand first and start as 0"
    )
    weight: float = Field(1.0, ge=0, description="lambda, share of the conflicting component that is taken away")
    temperature: float = Field(1.0, gt=0, description="T, of both distributions in the distillation loss")

    @model_validator(mode="after")
    def _one_initialisation(self) -> Self:
        words = len(context_words(self.ctx_init))
        if words and self.class_specific:
            raise ValueError("class_specific needs a drawn context; set ctx_init to an empty string")
        if words > self.n_ctx:
            raise ValueError(f"ctx_init has {words} words but n_ctx is {self.n_ctx}; give fewer words or more vectors")
        return self


@dataclass(frozen=True)
class Taught(Assembly):
    """The embeddings around the context, and w: (C, D), the normalised features of zero-shot CLIP, the teacher."""

    w: Tensor


class ProGrad(CoOp):
    """Prompt-aligned Gradient.

    Zhu et al., "Prompt-aligned Gradient for Prompt Tuning", ICCV 2023.

    CoOp's prompts, with student logits l: (B, C) and zero-shot logits q: (B, C) of the dataset's phrase in `PHRASES`,
    whatever the context starts from:

        L_ce = cross-entropy of l,    L_kl = -T^2 / B sum_i sum_c softmax(q_i / T)_c log softmax(l_i / T)_c

    For each parameter, with gradients G_d of L_ce and G_g of L_kl, and u = G_g / |G_g|,

        G = G_d                       when <G_d, u> >= 0
        G = G_d - lambda <G_d, u> u   otherwise

    so L_kl itself is never minimised: it only gives the general direction. A context with more vectors than the phrase
    has words begins with zeros.
    """

    about = About(
        "ProGrad",
        "Prompt-aligned Gradient for Prompt Tuning",
        "ICCV",
        2023,
        "https://arxiv.org/abs/2205.14865",
        parity="golden",
        assumed=("cross-dataset recipe",),
    )
    config_type = ProGradConfig
    config: ProGradConfig

    def __init__(self, backbone: Backbone, config: ProGradConfig, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        wordless = config.n_ctx - self.m
        self.phrase = " ".join(["X"] * wordless + [self.phrase])
        self.m = config.n_ctx
        zeros = self.context.new_zeros(*self.context.shape[:-2], wordless, backbone.text.width)
        self.context = nn.Parameter(torch.cat([zeros, self.context.detach()], dim=-2))

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[ProGradConfig, Recipe]:
        """As released: 16 vectors that end in the dataset's words. 50 epochs on the source, 100 base-to-novel, 50 to
        200 few-shot, where lambda is 0.8 on three datasets with 8 and 16 shots."""
        epochs, weight = 50, 1.0
        if task.protocol == "base-to-novel" and not task.is_source:
            epochs = 100
        if task.protocol == "few-shot" and not task.is_source:
            epochs = {1: 50, 2: 100, 4: 100}.get(task.shots, 200)
            if task.shots >= 8 and task.dataset in ("oxford_flowers", "dtd", "eurosat"):
                weight = 0.8
        config = ProGradConfig(ctx_init=PHRASES.get(task.card, OTHER_PHRASE), weight=weight)
        return config, Recipe(epochs=epochs, batch_size=32, lr=0.002)

    @torch.no_grad()
    def training_prompts(self, classes: Classes) -> Taught:
        """The embeddings around the context, with the class features of the teacher, whose words are always those of
        the dataset's phrase."""
        w = self.backbone.encode_texts(classes.filled(f"{PHRASES.get(classes.dataset, OTHER_PHRASE)} {{}}."))
        return Taught(**vars(self.prompts(classes)), w=F.normalize(w, dim=-1))

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Logits (B, C), L_ce and L_kl. prompts: of `training_prompts`."""
        t = self.config.temperature
        logits = self.logits(images, self.classifier(prompts))
        q = self.logits(images, prompts.w)
        return logits, {
            "cross_entropy": F.cross_entropy(logits.float(), labels),
            "distillation": t**2 * F.cross_entropy(logits.float() / t, torch.softmax(q.float() / t, dim=-1)),
        }

    def backward(self, losses: Mapping[str, Tensor]) -> None:
        """G of every parameter: the gradient of L_ce without what conflicts with that of L_kl."""
        parameters = list(self.parameters())
        domain = torch.autograd.grad(losses["cross_entropy"], parameters, retain_graph=True)
        general = torch.autograd.grad(losses["distillation"], parameters)
        for parameter, g_d, g_g in zip(parameters, domain, general, strict=True):
            u = F.normalize(g_g.flatten(), dim=0).view_as(g_g)
            parameter.grad = g_d - self.config.weight * (g_d * u).sum().clamp(max=0) * u
