"""The image feature as a sum of contributions of heads, MLPs and the embedding, and the heads' second moments.

Shapes: B images, L blocks, H heads, W the tower's width, D the joint embedding size.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.errors import UserError

LARGEST_ERROR = 1e-3
"""Largest allowed distance of the parts' sum from the normalised feature; rounding alone is 100 times smaller."""


@dataclass(frozen=True)
class Parts:
    """The normalised image feature in parts. heads: (B, L, H, D), mlps: (B, L, D), embedding: (B, D), feature: (B, D).

    `feature` is computed the usual way, not from the parts; up to rounding it is `sum()`.
    """

    heads: Tensor
    mlps: Tensor
    embedding: Tensor
    feature: Tensor

    def sum(self) -> Tensor:
        """(B, D), all parts added."""
        return self.heads.sum((1, 2)) + self.mlps.sum(1) + self.embedding


def decompose(backbone: Backbone, pixels: Tensor) -> Parts:
    """The parts of the features of normalised pixels (B, 3, H, H), in full precision.

    The class token's state z after the last block is a sum of T = 2 L + 1 parts p: L attentions, L MLPs, 1 embedding.
    For a given mean mu and standard deviation sigma of z the last layer norm is affine, so with its weight g and bias b

        c(p) = ( g (p - mu / T) / sigma + b / T ) W_proj / |f|,    sum_p c(p) = f / |f|

    and an attention's share of mu and b is divided evenly among its heads. Raises UserError if the parts do not
    add up to the feature.
    """
    tower, norm = backbone.vision, backbone.model.visual.ln_post
    heads, mlps = [], []
    with torch.no_grad():
        tokens = backbone.image_tokens(pixels)
        embedding = tokens[:, 0]
        for block in range(tower.depth):
            written = tower.written(block, tokens)
            heads.append(written.heads)
            mlps.append(written.mlp)
            tokens = written.tokens
        z = tokens[:, 0]
        f = backbone.project_image(z)
        length = f.norm(dim=-1)
        mu, sigma = z.mean(-1), (z.var(-1, correction=0) + norm.eps).sqrt()

        def contribution(p: Tensor, shares: int) -> Tensor:
            """(B, ..., W) -> (B, ..., D), where p is one of `shares` equal shares of one of the T parts."""
            share = 1 / (shares * (2 * tower.depth + 1))
            per_image = (slice(None), *[None] * (p.ndim - 1))
            affine = norm.weight * (p - share * mu[per_image]) / sigma[per_image] + share * norm.bias
            projected: Tensor = affine @ backbone.model.visual.proj / length[per_image]
            return projected

        parts = Parts(
            heads=contribution(torch.stack(heads, 1), tower.heads),
            mlps=contribution(torch.stack(mlps, 1), 1),
            embedding=contribution(embedding, 1),
            feature=f / length[:, None],
        )
        error = float((parts.sum() - parts.feature).abs().max())
    if not error <= LARGEST_ERROR:
        raise UserError(
            f"backbone {backbone.name}: its image feature is not the sum of its parts (off by {error:.2g}); "
            "its blocks hold more than attention and an MLP, so its heads cannot be diagnosed"
        )
    return parts


class Moments:
    """Mean and covariance of G streams of D-vectors, accumulated batch by batch in float64."""

    def __init__(self) -> None:
        self.count = 0
        self._sum: Tensor | float = 0.0
        self._outer: Tensor | float = 0.0

    def add(self, rows: Tensor) -> None:
        """Add a batch (B, G, D)."""
        rows = rows.double()
        self.count += len(rows)
        self._sum = rows.sum(0) + self._sum
        self._outer = torch.einsum("bgi,bgj->gij", rows, rows) + self._outer

    def covariance(self) -> Tensor:
        """(G, D, D) float64, with divisor n - 1. Raises UserError for fewer than two rows."""
        if self.count < 2:
            raise UserError(f"{self.count} images are too few to diagnose heads; give at least two")
        mean = torch.as_tensor(self._sum) / self.count
        outer = torch.as_tensor(self._outer)
        return (outer - self.count * mean[:, :, None] * mean[:, None]) / (self.count - 1)
