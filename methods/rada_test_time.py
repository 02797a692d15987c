"""RAda adapted to each test image, without labels."""

import copy
from dataclasses import replace
from math import log
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.learner import Images, assumed
from promptarena.methods.rada import RAda, RAdaConfig, rational_logits


class RAdaTestTimeConfig(RAdaConfig):
    """Mask of RAda, and its adaptation to an image."""

    views: int = assumed(64, ge=2, description="V, views of a test image, itself among them")
    keep: float = assumed(0.1, gt=0, le=1, description="share of the views, those of lowest entropy, that is kept")
    lr: float = assumed(5e-3, ge=0, description="learning rate of the one AdamW step")


def drawn_crops(count: int, generator: torch.Generator) -> Tensor:
    """(count, 2, 3) affine maps from a view's square [-1, 1]^2 into the image's: crops of 8 to 100 % of the area and
    aspect 3/4 to 4/3, no wider or higher than the image, half of them flipped on average."""
    area, aspect, x, y, flip = torch.rand(5, count, generator=generator)
    area, aspect = 0.08 + 0.92 * area, torch.exp((2 * aspect - 1) * log(4 / 3))
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    none = torch.zeros(count)
    rows = [width.where(flip < 0.5, -width), none, (1 - width) * (2 * x - 1), none, height, (1 - height) * (2 * y - 1)]
    return torch.stack(rows, dim=1).view(count, 2, 3)


def entropy(log_p: Tensor) -> Tensor:
    """H(p) over the last dimension, from log p."""
    return -(log_p.exp() * log_p).sum(dim=-1)


class RAdaTestTime(RAda):
    """RAda, test-time training.

    Chen et al., "One Last Attention for Your Vision-Language Model", ICCV 2025.

    An image is seen in V views: itself and V - 1 random crops. With p_v the prediction of view v, and K the views of
    lowest entropy H(p_v), one AdamW step on the attention minimises H(mean_K p_v). The adapted mask predicts the image
    itself, and is then discarded. Starts from M = 1, or, when epochs are set, from a mask trained as RAda's (dagger).
    """

    about = replace(
        RAda.about,
        title="RAda (test-time training)",
        parity="properties",
        assumed=("the procedure is TPT's", "the same crops for every image, of its test view", "no weight decay"),
    )
    config_type = RAdaTestTimeConfig
    config: RAdaTestTimeConfig
    crops: Tensor

    def __init__(
        self, backbone: Backbone, config: RAdaTestTimeConfig, classes: Classes, generator: torch.Generator
    ) -> None:
        super().__init__(backbone, config, classes, generator)
        self.register_buffer("crops", drawn_crops(config.views - 1, generator))

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[RAdaTestTimeConfig, Recipe]:
        """RAda's recipe for 0 epochs: no training before the test."""
        return RAdaTestTimeConfig(), RAda.preset(task)[1].model_copy(update={"epochs": 0})

    @classmethod
    def image_passes(cls, config: RAdaTestTimeConfig) -> int:
        """V: the image tower encodes every view of a test image."""
        return config.views

    def classifier(self, prompts: Any) -> tuple[Tensor, bool]:
        """The class features t (C, D), and whether a test starts from M = 1, which holds for O = 0."""
        # Training reads no value back from the device, so only a test looks at O.
        untrained = not self.training and not any(parameter.any() for parameter in self.attention.o.parameters())
        return super().classifier(prompts), untrained

    def logits(self, images: Images, classifier: Any) -> Tensor:
        """(B, C): each image with its own mask; in training mode RAda's logits."""
        t, untrained = classifier
        if self.training:
            return super().logits(images, t)
        with torch.inference_mode(False), torch.enable_grad():
            t = t.clone()
            return torch.stack([self._adapted(pixels, t, untrained) for pixels in images.pixels.clone()])

    def _adapted(self, pixels: Tensor, t: Tensor, untrained: bool) -> Tensor:
        """(C,): the logits of one image (3, H, H) after the step."""
        with torch.no_grad():
            z = F.normalize(self.backbone.encode_image(self.views(pixels)).float(), dim=-1)
            # Attention over all views to learn that M = 1 would be half of the time of an image with 100 classes.
            logits = rational_logits(t.new_ones(()), z, t, self.backbone.scale) if untrained else self.similarity(z, t)
            uncertain = entropy(F.log_softmax(logits, dim=-1))
        kept = z[uncertain.argsort()[: max(1, int(self.config.keep * self.config.views))]]
        attention, s = copy.deepcopy(self.attention), self.backbone.scale
        optimizer = torch.optim.AdamW(attention.parameters(), lr=self.config.lr, weight_decay=0)
        log_p = F.log_softmax(rational_logits(attention(kept, t, s), kept, t, s), dim=-1)
        entropy(log_p.logsumexp(dim=0) - log(len(kept))).backward()
        optimizer.step()
        with torch.no_grad():
            return rational_logits(attention(z[:1], t, s), z[:1], t, s)[0]

    def views(self, pixels: Tensor) -> Tensor:
        """(V, 3, H, H): the image (3, H, H), then its crops at its size."""
        repeated = pixels.expand(len(self.crops), -1, -1, -1)
        grid = F.affine_grid(self.crops, list(repeated.shape), align_corners=False)
        crops = F.grid_sample(repeated, grid, mode="bicubic", padding_mode="border", align_corners=False)
        return torch.cat([pixels[None], crops])
