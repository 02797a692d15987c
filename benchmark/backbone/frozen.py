"""What is computed from frozen weights alone, computed once: in another type, or multiplied by a constant."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _Made(NamedTuple):
    source: Tensor
    address: int
    version: int
    value: Tensor


class Frozen:
    """Values made of single frozen weights, kept until the weight changes.

    Autocast itself keeps the copies of weights that are trained only, so that every product with a frozen weight would
    convert it again.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[int, str], _Made] = {}

    def of(self, source: Tensor, what: str, make: Callable[[Tensor], Tensor]) -> Tensor:
        """A value made of a weight.

        Args:
            source: The weight. Of one that is trained, or while a compiler traces, the value is made anew.
            what: What is made, the same for equal `make`.
            make: Makes it.

        Returns:
            The value, which must not be changed.
        """
        if source.requires_grad or source.is_inference() or torch.compiler.is_compiling():
            return make(source)
        found = self._made.get((id(source), what))
        if (
            found is None
            or found.source is not source
            or (found.address, found.version) != (source.data_ptr(), source._version)
        ):
            with torch.inference_mode(False), torch.no_grad():
                found = _Made(source, source.data_ptr(), source._version, make(source))
            self._made[id(source), what] = found
        return found.value

    def cast(self, weight: Tensor) -> Tensor:
        """The weight in autocast's type where autocast is on, else itself."""
        if weight.is_meta or not torch.is_autocast_enabled(weight.device.type):
            return weight
        dtype = torch.get_autocast_dtype(weight.device.type)
        return self.of(weight, str(dtype), lambda source: source.to(dtype))

    def linear(self, layer: nn.Linear, x: Tensor) -> Tensor:
        """`layer(x)`, with a frozen weight converted once."""
        weight = self.cast(layer.weight)
        if weight is layer.weight:
            rows: Tensor = layer(x)
            return rows
        return F.linear(x, weight, self.cast(layer.bias))


FACTOR = 1.702
"""QuickGELU, x sigmoid(1.702 x), takes one operation instead of three: it is silu(1.702 x) / 1.702, and silu keeps one
tensor for the way back. The factor goes into the layer norm's two vectors and the first bias, so that the first product
gives 1.702 x; its inverse goes into the sum with the residual, and the second bias is multiplied to be left as it was.
"""


def has_quick_gelu(block: Any) -> bool:
    """Whether a residual block's MLP is a QuickGELU between two layers, its output added as it is."""
    from open_clip.transformer import QuickGELU  # slow to import, and planning needs no model

    return isinstance(block.mlp.gelu, QuickGELU) and isinstance(block.ls_2, nn.Identity)


def add_mlp(block: Any, x: Tensor, frozen: Frozen) -> Tensor:
    """x + MLP(LN(x)) of a block with QuickGELU, for rows (..., W); `frozen` keeps the multiplied vectors."""
    norm, first, second = block.ln_2, block.mlp.c_fc, block.mlp.c_proj
    weight, bias, own, last = (
        frozen.of(vector, "times factor", _times_factor) for vector in (norm.weight, norm.bias, first.bias, second.bias)
    )
    normed = F.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps).to(x.dtype)
    inner = F.linear(normed, frozen.cast(first.weight), frozen.cast(own))
    hidden = F.silu(inner, inplace=not torch.is_grad_enabled())
    return torch.add(x, F.linear(hidden, frozen.cast(second.weight), frozen.cast(last)), alpha=1 / FACTOR)


def _times_factor(vector: Tensor) -> Tensor:
    return FACTOR * vector
