"""A transformer tower run block by block over open_clip's weights, with a place to step in before every block."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Edit = Callable[[Tensor], Tensor]
"""Receives the token sequence (B, L, W) in front of a block and returns the one to use, of any length."""

NO_EDITS: Mapping[int, Edit] = {}
NO_BIAS: Mapping[int, Tensor] = {}


class Tower:
    """The residual blocks of one encoder. Blocks are counted from 0; block `depth` means behind the last one.

    `causal` towers (text) let a token attend to itself and what precedes it.
    """

    def __init__(self, blocks: nn.ModuleList, causal: bool) -> None:
        self.blocks = blocks
        self.causal = causal
        self.depth = len(blocks)
        attention: Any = blocks[0].get_submodule("attn")
        self.width = int(attention.embed_dim)
        self.heads = int(attention.num_heads)

    def run(
        self,
        tokens: Tensor,
        *,
        start: int = 0,
        stop: int | None = None,
        edits: Mapping[int, Edit] = NO_EDITS,
        bias: Mapping[int, Tensor] = NO_BIAS,
    ) -> Tensor:
        """The tokens in front of block `stop` (default: behind the last), given those in front of block `start`.

        tokens: (B, L, W), as they stand in front of block `start` before any edit of that block.
        edits:  block -> function applied to the tokens in front of it; it may replace, insert or drop tokens.
        bias:   block -> additive attention bias, broadcastable to (B, heads, L, L); -inf forbids a pair.
        Returns (B, L', W). Reading the tokens at block k is `run(tokens, stop=k)`; going on from there is `run(read,
        start=k)`.
        """
        for index in range(start, self.depth if stop is None else stop):
            if index in edits:
                tokens = edits[index](tokens)
            tokens = self._block(self.blocks[index], tokens, bias.get(index))
        return tokens

    def _block(self, block: Any, x: Tensor, bias: Tensor | None) -> Tensor:
        x = x + block.ls_1(self._attention(block.attn, block.ln_1(x), bias))
        out: Tensor = x + block.ls_2(block.mlp(block.ln_2(x)))
        return out

    def _attention(self, attention: Any, x: Tensor, bias: Tensor | None) -> Tensor:
        batch, length, width = x.shape
        projected = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
        q, k, v = projected.view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        if bias is not None and self.causal:
            bias = bias + torch.full((length, length), float("-inf"), device=x.device, dtype=x.dtype).triu(1)
        mask = None if bias is None else bias.to(q.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal and mask is None)
        out: Tensor = attention.out_proj(mixed.transpose(1, 2).reshape(batch, length, width))
        return out
