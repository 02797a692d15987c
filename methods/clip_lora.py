"""CLIP-LoRA: low-rank updates of the attention's projections in every block of both towers."""

from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.towers import Tower, Updates
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.learner import About, Config, Images, Learner, scaled_cosines

SCALE = 100.0
"""The released code multiplies cosines by this, not by exp(logit_scale)."""


class CLIPLoRAConfig(Config):
    """Low-rank updates."""

    rank: int = Field(2, ge=1, description="r, rank of an update")
    alpha: float = Field(1.0, gt=0, description="factor of an update, divided by the square root of r")
    dropout: float = Field(0.25, ge=0, lt=1, description="share of an update's inputs that a training step drops")
    projections: tuple[Literal["q", "k", "v", "out"], ...] = Field(
        ("q", "k", "v"), min_length=1, description="updated projections of the attention"
    )
    template: str = Field("a photo of a {}.", description="used for every dataset")


class LowRank(nn.Module):
    """A (r, W), from U(-1/sqrt(W), 1/sqrt(W)), and B (W, r), zero at first."""

    def __init__(self, width: int, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.empty(rank, width).uniform_(-(width**-0.5), width**-0.5, generator=generator))
        self.b = nn.Parameter(torch.zeros(width, rank))

    def forward(self, rows: Tensor) -> Tensor:
        """(..., W) -> (..., W): B A of each row."""
        return F.linear(F.linear(rows, self.a), self.b)


class CLIPLoRA(Learner):
    """CLIP-LoRA.

    Zanella and Ben Ayed, "Low-Rank Few-Shot Adaptation of Vision-Language Models", CVPR workshops 2024.

    In every block of both towers, queries, keys and values of the rows x (..., W) after the first layer norm are

        q(x) = W_q x + b_q + s B_q A_q dropout(x),    s = alpha / sqrt(r)

    and likewise for k and v, each with its own dropout mask, which is drawn for every step and row. Cross-entropy on
    100 n(f) n(g)^T.
    """

    about = About(
        "CLIP-LoRA",
        "Low-Rank Few-Shot Adaptation of Vision-Language Models",
        "CVPR workshops",
        2024,
        "https://arxiv.org/abs/2405.18541",
        parity="golden",
        assumed=("recipe of all protocols but few-shot",),
    )
    config_type = CLIPLoRAConfig
    config: CLIPLoRAConfig

    def __init__(
        self, backbone: Backbone, config: CLIPLoRAConfig, classes: Classes, generator: torch.Generator
    ) -> None:
        super().__init__(backbone, config, classes, generator)
        self.text = self._layers(backbone.text, generator)
        self.vision = self._layers(backbone.vision, generator)
        self.random = torch.Generator().manual_seed(int(torch.randint(2**62, (1,), generator=generator)))

    def _layers(self, tower: Tower, generator: torch.Generator) -> nn.ModuleList:
        """For each block a low-rank map of each updated projection."""
        names, rank = self.config.projections, self.config.rank
        blocks = range(tower.depth)
        return nn.ModuleList(
            nn.ModuleDict({name: LowRank(tower.width, rank, generator) for name in names}) for _ in blocks
        )

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[CLIPLoRAConfig, Recipe]:
        """As released for few-shot: 500 iterations a shot, whatever the dataset; the same elsewhere (assumed)."""
        return CLIPLoRAConfig(), Recipe(
            epochs=1,
            iterations=(500 * task.shots,),
            batch_size=32,
            drop_last=False,
            lr=2e-4,
            final_lr=1e-6,
            optimizer="adamw",
            weight_decay=1e-2,
            schedule="by step",
            warmup_epochs=0,
        )

    def begin_epoch(self, epoch: int, random: torch.Generator) -> None:
        """Dropout draws on the device, from a seed of the epoch's own."""
        seed = int(torch.randint(2**62, (1,), generator=random))
        self.random = torch.Generator(self.backbone.device).manual_seed(seed)

    def prompts(self, classes: Classes) -> Prompts:
        """The template with each name."""
        return self.backbone.prompts(classes.filled(self.config.template))

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D). With dropout, every text is encoded as a whole, because each has masks of its own."""
        whole = replace(prompts, shared=0) if self._drops else prompts
        return self.backbone.encode_text(whole, updates=self._updates(self.text))

    def image_features(self, images: Images) -> Tensor:
        """(B, D)."""
        tokens = self.backbone.image_tokens(images.pixels)
        return self.backbone.image_features_from(tokens, updates=self._updates(self.vision))

    def similarity(self, image_features: Tensor, class_features: Tensor) -> Tensor:
        """100 times the cosines, (B, C)."""
        return scaled_cosines(SCALE, image_features, class_features)

    @property
    def _drops(self) -> bool:
        return self.training and self.config.dropout > 0

    def _updates(self, layers: nn.ModuleList) -> dict[int, Updates]:
        updates: dict[int, Updates] = {}
        for block, each in enumerate(layers):
            named = zip(self.config.projections, each.children(), strict=True)
            updates[block] = {name: partial(self._update, low_rank) for name, low_rank in named}
        return updates

    def _update(self, low_rank: nn.Module, rows: Tensor) -> Tensor:
        """s B A dropout(rows)."""
        if self._drops:
            drawn = torch.rand(rows.shape, generator=self.random, device=self.random.device).to(rows.device)
            rows = rows * (drawn >= self.config.dropout) / (1 - self.config.dropout)
        update: Tensor = self.config.alpha * self.config.rank**-0.5 * low_rank(rows)
        return update
