"""TEXTSPAN: the texts that explain most of what a head contributes, chosen greedily.

Gandelsman, Efros and Steinhardt, "Interpreting CLIP's Image Representation via Text-Based Decomposition", ICLR 2024.
"""

from typing import NamedTuple

import torch
from torch import Tensor

NOTHING = 1e-12
"""Values below this share of the first text's variance, or of the largest eigenvalue, are only rounding."""


class Description(NamedTuple):
    """Chosen rows of the texts in order, and the cumulative share of the head's variance that they explain."""

    rows: tuple[int, ...]
    explained: tuple[float, ...]


def textspan(covariance: Tensor, texts: Tensor, count: int, rank: int) -> Description:
    """At most `count` texts for one head.

    covariance: (D, D) float64, of its contributions C. texts: (M, D) normalised features T. Both are first projected
    on the top `rank` principal directions. Then, `count` times, with Sigma the covariance of C:

        i = argmax_i T_i Sigma T_i^T,    t = T_i,    Q = I - t^T t / (t t^T),    Sigma <- Q Sigma Q,    T <- T Q

    which chooses the text whose scores C T^T vary most over the images, without needing the images. Ends early when
    nothing is left to explain.
    """
    values, vectors = torch.linalg.eigh(covariance)
    total = float(values.clamp_min(0).sum())
    kept = (values > NOTHING * values[-1].clamp_min(0)).nonzero()[:, 0][-rank:]
    sigma = torch.diag(values[kept])
    rest = texts.double() @ vectors[:, kept]
    rows: list[int] = []
    explained: list[float] = []
    first = 0.0
    for _ in range(min(count, len(kept), len(texts))):
        variance = ((rest @ sigma) * rest).sum(-1)
        best = int(variance.argmax())
        first = first or float(variance[best])
        if float(variance[best]) <= NOTHING * first:
            break
        t = rest[best] / rest[best].norm()
        before = float(sigma.trace())
        sigma = sigma - torch.outer(sigma @ t, t)
        sigma = sigma - torch.outer(t, t @ sigma)
        rest = rest - torch.outer(rest @ t, t)
        rows.append(best)
        explained.append((explained[-1] if explained else 0.0) + (before - float(sigma.trace())) / total)
    return Description(tuple(rows), tuple(explained))
