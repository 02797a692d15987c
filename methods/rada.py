"""RAda: one attention layer after both encoders re-weights the products of image and class features."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import drawn_linear
from promptarena.benchmark.plugins.learner import About, Config, Images, Learner, assumed

HEADS = 8
LARGEST_MAP = 1 << 25
"""Largest number of entries of an attention map computed at a time; it limits the images per part."""


class RationalConfig(Config):
    """The mask and its penalty."""

    alpha: float = assumed(0.1, ge=0, description="a, weight of the penalty on the mask; its default in the code is 0")
    temperature: float = Field(1.0, gt=0, description="tau, divides the attention scores")
    softmax: Literal["joint", "row"] = Field(
        "joint", description="over the whole C x C map of an image, times C, as released; or over each row"
    )


class RAdaConfig(RationalConfig):
    """Mask of RAda over frozen features."""

    alpha: float = assumed(0.01, ge=0, description="a, weight of the penalty on the mask; its default in the code is 0")
    template: str = Field("a photo of a {}.", description="used for every dataset")


class RationalAttention(nn.Module):
    """The mask M of the rational matrix R[b, c] = z_b * t_c, by attention with an image, a text and a fused query.

    The classes of an image are the sequence; S_i and A_i are (C, C) for each image and each of 8 heads of D / 8:

        S_1 = Q_1(sqrt(s) z) K(s R)^T,    S_2 = Q_2(sqrt(s) t) K(s R)^T,    S_3 = Q_3(s R) K(s R)^T
        A_i = C softmax(S_i / (tau sqrt(D / 8))) over all entries,    M = relu(1 + O((A_1 + A_2 + A_3) / 3 V(s R)))

    All six maps are linear, D -> D, with bias; O starts at zero, and so M at 1. Raises UserError when 8 does not divide
    D.
    """

    def __init__(self, embed_dim: int, config: RationalConfig, generator: torch.Generator) -> None:
        super().__init__()
        if embed_dim % HEADS:
            raise UserError(f"RAda's {HEADS} heads do not divide the embedding size {embed_dim}; use another backbone")
        self.config = config
        self.q1, self.q2, self.q3, self.k, self.v = (drawn_linear(embed_dim, embed_dim, generator) for _ in range(5))
        self.o = nn.Linear(embed_dim, embed_dim)
        for parameter in self.o.parameters():
            nn.init.zeros_(parameter)

    def forward(self, z: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Normalised z (B, D) and t (C, D), scalar s -> M (B, C, D), computed in float32."""
        images = max(1, LARGEST_MAP // (HEADS * len(t) ** 2))
        with torch.autocast(z.device.type, enabled=False):
            return torch.cat([self._mask(part, t.float(), s) for part in z.float().split(images)])

    def _mask(self, z: Tensor, t: Tensor, s: Tensor) -> Tensor:
        rational = s * z[:, None] * t
        queries = self.q1(s.sqrt() * z[:, None]), self.q2(s.sqrt() * t[None]), self.q3(rational)
        keys, values = _heads(self.k(rational)), _heads(self.v(rational))
        a_1, a_2, a_3 = (self._attention(_heads(query) @ keys.mT) for query in queries)
        mixed = (a_1 + a_2 + a_3) / 3 @ values
        return F.relu(1 + self.o(mixed.transpose(1, 2).flatten(2)))

    def _attention(self, scores: Tensor) -> Tensor:
        """A_i (B, 8, C, C). The rows of S_1 are equal, so only one is given and one row of A_1 is returned; C times the
        joint softmax is then the softmax of that row."""
        head = self.k.out_features // HEADS
        logits: Tensor = scores / (self.config.temperature * head**0.5)
        if self.config.softmax == "row":
            return logits.softmax(dim=-1)
        return logits.shape[2] * logits.flatten(2).softmax(dim=-1).view_as(logits)


def _heads(x: Tensor) -> Tensor:
    """(B, C, D) -> (B, 8, C, D / 8)."""
    return x.view(*x.shape[:2], HEADS, -1).transpose(1, 2)


def rational_logits(mask: Tensor, z: Tensor, t: Tensor, s: Tensor) -> Tensor:
    """M (B, C, D), normalised z (B, D) and t (C, D), scalar s -> s sum_d M * z * t: (B, C), in float32."""
    return s * (mask * z.float()[:, None] * t.float()).sum(dim=-1)


class Rational(Learner):
    """What RAda adds to a learner: the mask on its similarity, and a penalty that is 0 for M = 1."""

    config: Any

    def __init__(self, backbone: Backbone, config: Any, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        self.attention = RationalAttention(backbone.embed_dim, config, generator)

    def similarity(self, image_features: Tensor, class_features: Tensor) -> Tensor:
        """Normalised (B, D) and (C, D) -> (B, C): s sum_d M * z * t."""
        s = self.backbone.scale
        mask = self.attention(image_features, class_features, s)
        return rational_logits(mask, image_features, class_features, s)

    def penalty(self, mask: Tensor) -> Tensor:
        """Omega(M): the mean squared deviation of M (B, C, D) from 1."""
        return (mask - 1).square().mean()

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The learner's own losses on the masked logits, and a Omega(M)."""
        masks: list[Tensor] = []
        with self.attention.register_forward_hook(lambda _module, _inputs, mask: masks.append(mask)):
            logits, losses = super().training_step(images, labels, prompts)
        (mask,) = masks
        return logits, {**losses, "mask": self.config.alpha * self.penalty(mask)}


class RAda(Rational):
    """Rational Adaptation.

    Chen et al., "One Last Attention for Your Vision-Language Model", ICCV 2025.

    With normalised image features z and class features t of "a photo of a {}.", both frozen, a mask M: (B, C, D)
    (`RationalAttention`) weights every product that makes up a cosine:

        logits = s sum_d M[:, :, d] z_d t_d,    L = CE(logits, y) + a mean_b max_cd |M - 1|

    Training starts at zero-shot CLIP. The mask depends on the set of classes.
    """

    about = About(
        "RAda",
        "One Last Attention for Your Vision-Language Model",
        "ICCV",
        2025,
        "https://arxiv.org/abs/2507.15480",
        parity="golden",
        assumed=("learning rate, batch size and epochs",),
    )
    config_type = RAdaConfig
    config: RAdaConfig

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[RAdaConfig, Recipe]:
        """One recipe for all protocols (assumed, but for the optimiser, weight decay and warm-up)."""
        return cls.config_type(), Recipe(epochs=10, batch_size=32, lr=1e-3, optimizer="adam")

    def prompts(self, classes: Classes) -> Tensor:
        """(C, D) frozen features of the configured template, whatever the dataset's."""
        with torch.no_grad():
            texts = self.backbone.tokenize(classes.filled(self.config.template))
            return self.backbone.encode_text(self.backbone.embed(texts)).float()

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D), as frozen."""
        features: Tensor = prompts
        return features

    def penalty(self, mask: Tensor) -> Tensor:
        """Omega(M): the largest |M - 1| of each image, averaged."""
        return (mask - 1).abs().amax(dim=(1, 2)).mean()
