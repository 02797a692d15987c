"""QuickGELU, x sigmoid(1.702 x), as one operation instead of three.

It is silu(1.702 x) / 1.702, and silu is one operation with one tensor to keep for the way back. The factor goes into
the layer norm's two vectors and the first bias, so that the first product gives 1.702 x; its inverse goes into the sum
with the residual, and the second bias is multiplied to be left as it was.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FACTOR = 1.702


def has_quick_gelu(block: Any) -> bool:
    """Whether a residual block's MLP is a QuickGELU between two layers, its output added as it is."""
    from open_clip.transformer import QuickGELU  # slow to import, and planning needs no model

    return isinstance(block.mlp.gelu, QuickGELU) and isinstance(block.ls_2, nn.Identity)


def add_mlp(block: Any, x: Tensor) -> Tensor:
    """x + MLP(LN(x)) of a block with QuickGELU, for rows (..., W)."""
    norm, first, second = block.ln_2, block.mlp.c_fc, block.mlp.c_proj
    normed = F.layer_norm(x, norm.normalized_shape, FACTOR * norm.weight, FACTOR * norm.bias, norm.eps).to(x.dtype)
    inner = F.linear(normed, first.weight, FACTOR * first.bias)
    hidden = F.silu(inner, inplace=not torch.is_grad_enabled())
    return torch.add(x, F.linear(hidden, second.weight, FACTOR * second.bias), alpha=1 / FACTOR)
