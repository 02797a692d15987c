"""MMRL++: MMRL with shared aligners, low-rank residuals, and tokens that pass on what earlier layers made of them."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.towers import Edit
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import check_depth, drawn_context, drawn_linear, insert, overwrite
from promptarena.benchmark.plugins.learner import About, Images, Learner, scaled_cosines
from promptarena.methods.mmrl import MMRL, ClassTokens, MMRLConfig

TITLE = "MMRL++: Parameter-Efficient and Interaction-Aware Representation Learning for Vision-Language Models"
SCALE = 100.0
DATASETS = (
    "imagenet fgvc_aircraft ucf101 dtd oxford_pets stanford_cars caltech101 sun397 oxford_flowers eurosat food101"
)
BETA = dict(zip(DATASETS.split(), (0.9, 0.9, 0.9, 0.9, 0.7, 0.7, 0.6, 0.5, 0.4, 0.2, 0.1), strict=True))
LAMBDA = dict(zip(DATASETS.split(), (0.2, 2.0, 3.0, 7.0, 0.01, 6.0, 3.0, 3.0, 7.0, 0.01, 1.0), strict=True))
TARGETS = dict(zip(DATASETS.split(), (0.9, 0.9, 0.9, 0.5, 0.6, 0.3, 0.6, 0.7, 0.4, 0.3, 0.3), strict=True))
TARGETS |= {"imagenet-a": 0.8, "imagenet-sketch": 0.7}
"""The released beta and lambda, tuned per dataset trained on, and the beta tuned per dataset that is only scored."""


class MMRLPPConfig(MMRLConfig):
    """Representation tokens and losses of MMRL++."""

    beta: float = Field(0.9, ge=0, le=1, description="share of new tokens at later layers; 1 overwrites, as in MMRL")
    residual_rank: int = Field(4, ge=1, description="rank of each layer's own part of the aligners")
    projection_rank: int = Field(64, ge=1, description="rank of the update of the image projection")
    tuned_targets: bool = Field(False, description="score other datasets with the beta that was tuned on each of them")


@dataclass(frozen=True)
class BlendedTokens(ClassTokens):
    """MMRL's class tokens, and the beta to score them with."""

    beta: float = 1.0


class SharedAligner(nn.Module):
    """R -> R (W + A_i B_i)^T + b_i for each layer i; all share W, B_i is zero at first, all b_i start equal."""

    def __init__(self, inputs: int, outputs: int, rank: int, layers: int, generator: torch.Generator) -> None:
        super().__init__()
        drawn = drawn_linear(inputs, outputs, generator)
        self.weight = drawn.weight
        self.a = nn.ParameterList([_uniform(outputs, rank, generator) for _ in range(layers)])
        self.b = nn.ParameterList([torch.zeros(rank, inputs) for _ in range(layers)])
        self.bias = nn.ParameterList([drawn.bias.detach().clone() for _ in range(layers)])

    def forward(self, r: Tensor) -> list[Tensor]:
        """The aligned tokens of every layer, each (K, W_tower)."""
        return [F.linear(r, self.weight + a @ b, bias) for a, b, bias in zip(self.a, self.b, self.bias, strict=True)]


def _uniform(rows: int, rank: int, generator: torch.Generator) -> Tensor:
    return torch.empty(rows, rank).uniform_(-(rank**-0.5), rank**-0.5, generator=generator)


class MMRLPP(MMRL):
    """MMRL++.

    Guo and Gu, "MMRL++: Parameter-Efficient and Interaction-Aware Representation Learning for Vision-Language Models",
    IJCV 2026.

    MMRL with aligners R -> R (W_m + A_i B_i)^T + b_i, where all layers of tower m share W_m; at later layers the tokens
    are beta (aligned R) + (1 - beta) (what the block before made of them); and f_r = mean_k LN(token_k) (W_v + A B),
    with CLIP's frozen projection W_v.
    """

    about = About("MMRL++", TITLE, "IJCV", 2026, "https://arxiv.org/abs/2505.10088", parity="golden")
    config_type = MMRLPPConfig
    config: MMRLPPConfig
    stackable = True

    def __init__(self, backbone: Backbone, config: MMRLPPConfig, classes: Classes, generator: torch.Generator) -> None:
        Learner.__init__(self, backbone, config, classes, generator)
        check_depth("rep_layers", config.rep_layers[-1], min(backbone.text.depth, backbone.vision.depth))
        self.blocks = [layer - 1 for layer in config.rep_layers]
        self.r = nn.Parameter(drawn_context(config.rep_dim, config.n_rep_tokens, generator))
        shape, towers = (config.residual_rank, len(self.blocks), generator), (backbone.vision, backbone.text)
        self.v, self.t = (SharedAligner(config.rep_dim, tower.width, *shape) for tower in towers)
        self.a = nn.Parameter(_uniform(backbone.vision.width, config.projection_rank, generator))
        self.b = nn.Parameter(torch.zeros(config.projection_rank, backbone.embed_dim))
        self.trained_on = frozenset(classes.names), classes.dataset

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[MMRLPPConfig, Recipe]:
        """As released, with beta and lambda as tuned per dataset trained on; beta is never tuned on a target."""
        beta, weight = BETA.get(task.dataset, 0.9), LAMBDA.get(task.dataset, 1.0)
        epochs, batch_size, lr, warmup_epochs = 10, 4, 1e-3, 1
        if task.protocol in ("cross-dataset", "domain-generalization"):
            beta, weight, epochs, batch_size, warmup_epochs = 0.9, 0.1, 1, 32, 0
        elif task.is_source:
            epochs, batch_size = 5, 32
        elif task.protocol == "few-shot":
            epochs, batch_size, lr = 100, 32, 2e-3
        recipe = Recipe(epochs=epochs, batch_size=batch_size, lr=lr, optimizer="adamw", warmup_epochs=warmup_epochs)
        return MMRLPPConfig(beta=beta, reg_weight=weight), recipe.model_copy(update={"crop_scale": (0.5, 1.0)})

    def prompts(self, classes: Classes) -> BlendedTokens:
        """MMRL's, and beta."""
        tuned = self.config.tuned_targets and classes.dataset != self.trained_on[1]
        beta = TARGETS.get(classes.dataset, 0.9) if tuned else self.config.beta
        return BlendedTokens(**vars(super().prompts(classes)), beta=beta)

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D): w."""
        return self.backbone.encode_text(prompts.tokens, edits=self._blended(self.t, prompts.beta))

    def both_image_features(self, images: Images, beta: float | None = None) -> tuple[Tensor, Tensor]:
        """f_c and f_r, each (B, D), not normalised; beta is the configured one unless given."""
        first, edits = self.blocks[0], self._blended(self.v, self.config.beta if beta is None else beta)
        rows = torch.arange(1 + self.config.n_rep_tokens, device=self.r.device)[None]
        tokens = self.backbone.vision.read(images.tokens_at(first), rows, start=first, edits=edits)
        representation = self.backbone.normalize_image(tokens[:, 1:]).mean(dim=1)
        return self.backbone.project_image(tokens[:, 0]), representation @ (
            self.backbone.model.visual.proj + self.a @ self.b
        )

    def _blended(self, aligner: nn.Module, beta: float) -> dict[int, Edit]:
        """The aligned R as rows 1 .. K: inserted at the first block, blended with the rows there at later ones."""
        edits: dict[int, Edit] = {}
        for block, rows in zip(self.blocks, aligner(self.r), strict=True):
            edits[block] = self._blend(rows, beta) if edits else insert(rows, 1)
        return edits

    def _blend(self, rows: Tensor, beta: float) -> Edit:
        return lambda x: overwrite(beta * rows + (1 - beta) * x[:, 1 : 1 + len(rows)], 1)(x)

    def similarity(self, image_features: Tensor, class_features: Tensor) -> Tensor:
        """100 times the cosines, (B, C): the released code does not take exp(logit_scale)."""
        return scaled_cosines(SCALE, image_features, class_features)

    def classifier(self, prompts: Any) -> Any:
        """Normalised w, whether both branches score these classes, and beta."""
        return F.normalize(self.text_features(prompts), dim=-1), prompts.trained_on, prompts.beta

    def logits(self, images: Images, classifier: Any) -> Tensor:
        """(B, C): both branches for the classes that were trained on, else the class branch."""
        w, fused, beta = classifier
        f_c, f_r = (F.normalize(features, dim=-1) for features in self.both_image_features(images, beta))
        return self.fuse(self.similarity(f_c, w), self.similarity(f_r, w)) if fused else self.similarity(f_c, w)
