"""PromptSRC: IVLP kept close to frozen CLIP, its prompts averaged over the epochs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.learner import About, Images, Learner
from promptarena.benchmark.plugins.templates import IMAGENET_80, Template
from promptarena.methods.ivlp import IVLP, IVLPConfig

TEACHER_TEMPLATES = ("a photo of a {}.", *(text for text in IMAGENET_80[:60] if text != "a photo of a {}."))
"""The 60 of the released code: the plain one, then the others among the first 60."""


class PromptSRCConfig(IVLPConfig):
    """Prompts of both towers, loss weights, and the Gaussian over the epochs."""

    n_ctx_text: int = Field(4, ge=1, description="T, text prompt tokens of each prompted layer")
    n_ctx_vision: int = Field(4, ge=1, description="V, vision prompt tokens of each prompted layer")
    prompt_depth_text: int = Field(9, ge=1, description="prompted text layers, counting the input as the first")
    prompt_depth_vision: int = Field(
        9, ge=0, description="prompted vision layers, counting the input as the first; 0: no vision prompts"
    )
    text_weight: float = Field(25.0, ge=0, description="lambda_1, of the text features' L1 distance")
    image_weight: float = Field(10.0, ge=0, description="lambda_2, of the image features' L1 distance")
    gpa_mean: float = Field(15.0, ge=0, description="mu, the epoch whose prompts count most")
    gpa_std: float = Field(1.0, gt=0, description="sigma, in epochs, of the weights of prompts")
    teacher_templates: tuple[Template, ...] = Field(
        TEACHER_TEMPLATES, min_length=1, description="templates whose frozen text features are averaged"
    )


@dataclass(frozen=True)
class Regulated:
    """What a step needs: the student's prompts and the teacher's normalised class features E, (C, D) float32."""

    student: Any
    teacher: Tensor


class PromptSRC(IVLP):
    """Prompting with Self-regulating Constraints.

    Khattak et al., "Self-regulating Prompts: Foundational Model Adaptation without Forgetting", ICCV 2023.

    f (B, D), g (C, D) are the prompted, z (B, D), E (C, D) the frozen features, all normalised; E_c = n(mean_t T_t,c)
    over templates t. With logits l = s f g^T and q = s z E^T,

        L = CE(l, y) + lambda_1 mean|g - E| + lambda_2 mean|f - z| + 1/(BC) sum_ic p_ic (log p_ic - log softmax(l)_ic)

    where p = softmax(q) and means are over all elements. After the last of N epochs the prompts become

        theta = sum_t w_t theta_t,    w_t proportional to exp(-(t - mu)^2 / (2 sigma^2)),    t = 1 .. N.
    """

    about = About(
        "PromptSRC",
        "Self-regulating Prompts: Foundational Model Adaptation without Forgetting",
        "ICCV",
        2023,
        "https://arxiv.org/abs/2307.06948",
        parity="golden",
        assumed=("few-shot Gaussian of datasets outside the benchmark",),
    )
    config_type = PromptSRCConfig
    config: PromptSRCConfig
    stackable = True

    def __init__(
        self, backbone: Backbone, config: PromptSRCConfig, classes: Classes, generator: torch.Generator
    ) -> None:
        super().__init__(backbone, config, classes, generator)
        prompts = dict(self.named_parameters())
        self.sums = {name: "sum_of_" + name.replace(".", "_") for name in prompts}
        for name, prompt in prompts.items():
            self.register_buffer(self.sums[name], torch.zeros_like(prompt, dtype=torch.float64))

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[PromptSRCConfig, Recipe]:
        """As released: depth 3 for the transfer protocols; few-shot has two Gaussians, one for five of the datasets."""
        if task.protocol in ("cross-dataset", "domain-generalization"):
            config = PromptSRCConfig(prompt_depth_text=3, prompt_depth_vision=3, gpa_mean=6, gpa_std=10)
        elif task.protocol == "few-shot":
            late = task.dataset in ("stanford_cars", "oxford_flowers", "fgvc_aircraft", "dtd", "eurosat")
            mean, std = (45, 5) if late else (30, 30)
            config = PromptSRCConfig(gpa_mean=mean, gpa_std=std)
        else:
            config = PromptSRCConfig()
        return config, Recipe(epochs=50 if task.protocol == "few-shot" else 20, batch_size=4, lr=0.0025)

    def training_prompts(self, classes: Classes) -> Regulated:
        """The student's prompts and the teacher's class features."""
        return Regulated(self.prompts(classes), self.teacher(classes))

    @torch.no_grad()
    def teacher(self, classes: Classes) -> Tensor:
        """(C, D) float32 E: the normalised mean over the templates of frozen text features, which are not
        normalised."""
        total = torch.zeros(len(classes), self.backbone.embed_dim, device=self.backbone.device)
        for template in self.config.teacher_templates:
            total += self.backbone.encode_texts(classes.filled(template))
        return F.normalize(total, dim=-1)

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Logits (B, C) of the student and the four terms of L, weighted. prompts: of `training_prompts`."""
        f = F.normalize(self.image_features(images), dim=-1)
        g = F.normalize(self.text_features(prompts.student), dim=-1)
        z = F.normalize(images.features, dim=-1)
        logits = self.similarity(f, g)
        q = Learner.similarity(self, z, prompts.teacher)
        log_p, log_l = F.log_softmax(q.float(), dim=-1), F.log_softmax(logits.float(), dim=-1)
        return logits, {
            "cross_entropy": F.cross_entropy(logits.float(), labels),
            "text_l1": self.config.text_weight * F.l1_loss(g.float(), prompts.teacher),
            "image_l1": self.config.image_weight * F.l1_loss(f.float(), z),
            "logit_kl": F.kl_div(log_l, log_p, reduction="sum", log_target=True) / logits.numel(),
        }

    @torch.no_grad()
    def end_epoch(self, epoch: int, recipe: Recipe) -> None:
        """Add this epoch's prompts, weighted, to the sums; after the last epoch the sums become the prompts."""
        epochs = torch.arange(1, recipe.epochs + 1, dtype=torch.float64)
        weights = torch.softmax(-(((epochs - self.config.gpa_mean) / self.config.gpa_std) ** 2) / 2, dim=0)
        for name, of_all in self.sums.items():
            prompt, total = self.get_parameter(name), self.get_buffer(of_all)
            total += float(weights[epoch - 1]) * prompt.double()
            if epoch == recipe.epochs:
                prompt.copy_(total)
