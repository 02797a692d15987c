"""A transformer tower run block by block over open_clip's weights, with a place to step in before every block."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Edit = Callable[[Tensor], Tensor]
"""Receives the token sequence (B, L, W) in front of a block and returns the one to use, of any length."""

NO_EDITS: Mapping[int, Edit] = {}
NO_BIAS: Mapping[int, Tensor] = {}


class Written(NamedTuple):
    """What a block adds to a sequence's first token, and the tokens behind the block.

    heads: (B, heads, W), each with an even share of the output bias. mlp: (B, W). tokens: (B, L, W). The first token
    behind the block is the one in front of it plus all heads and the MLP.
    """

    heads: Tensor
    mlp: Tensor
    tokens: Tensor


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

    def run_behind(self, shared: Tensor, own: Tensor, *, edits: Mapping[int, Edit] = NO_EDITS) -> tuple[Tensor, Tensor]:
        """As `run`, for sequences that begin alike: the common rows pass the tower once, not once per sequence.

        shared: (G, S, W), the rows that the sequences of each of G equally long groups begin with. own: (B, L, W),
        those that follow, group by group. edits see and may change the shared rows only. Returns both behind the last
        block. Exact up to rounding, because in a causal tower a row depends on itself and on what precedes it. Raises
        ValueError for a tower that is not causal.
        """
        if not self.causal:
            raise ValueError("only a causal tower can share the beginning of its sequences")
        batch, length, _ = own.shape
        for index in range(self.depth):
            block: Any = self.blocks[index]
            if index in edits:
                shared = edits[index](shared)
            q, k, v = self._project(block.attn, block.ln_1(shared))
            q_own, k_own, v_own = self._project(block.attn, block.ln_1(own))
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            keys, values = (
                torch.cat([_repeated(common, batch), single], dim=2) for common, single in ((k, k_own), (v, v_own))
            )
            seen = torch.ones(length, keys.shape[2], dtype=torch.bool, device=own.device).tril(keys.shape[2] - length)
            mixed_own = F.scaled_dot_product_attention(q_own, keys, values, attn_mask=seen)
            shared = self._finish(block, shared, mixed)
            own = self._finish(block, own, mixed_own)
        return shared, own

    def written(self, block: int, tokens: Tensor) -> Written:
        """What each head of `block` and its MLP write to the first of the tokens (B, L, W) in front of it."""
        layer: Any = self.blocks[block]
        q, k, v = self._project(layer.attn, layer.ln_1(tokens))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        out = layer.attn.out_proj
        by_head = out.weight.view(self.width, self.heads, -1)
        heads = layer.ls_1(torch.einsum("bhd,whd->bhw", mixed[:, :, 0], by_head) + out.bias / self.heads)
        mlp = layer.ls_2(layer.mlp(layer.ln_2(tokens[:, 0] + heads.sum(1))))
        return Written(heads, mlp, self._finish(layer, tokens, mixed))

    def _block(self, block: Any, x: Tensor, bias: Tensor | None) -> Tensor:
        q, k, v = self._project(block.attn, block.ln_1(x))
        if bias is not None and self.causal:
            length = x.shape[1]
            bias = bias + torch.full((length, length), float("-inf"), device=x.device, dtype=x.dtype).triu(1)
        mask = None if bias is None else bias.to(q.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal and mask is None)
        return self._finish(block, x, mixed)

    def _project(self, attention: Any, x: Tensor) -> Tensor:
        """Queries, keys and values (3, B, heads, L, W / heads) of normalised tokens (B, L, W)."""
        batch, length, width = x.shape
        projected = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
        return projected.view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)

    def _finish(self, block: Any, x: Tensor, mixed: Tensor) -> Tensor:
        """The rest of a block: what attention mixed (B, heads, L, W / heads) is projected and added, then the MLP."""
        x = x + block.ls_1(block.attn.out_proj(mixed.transpose(1, 2).reshape(x.shape)))
        out: Tensor = x + block.ls_2(block.mlp(block.ln_2(x)))
        return out


def _repeated(groups: Tensor, batch: int) -> Tensor:
    """(G, ...) -> (batch, ...), each group's entry for all of its sequences; without a copy for one group."""
    if len(groups) == 1:
        return groups.expand(batch, -1, -1, -1)
    return groups.repeat_interleave(batch // len(groups), dim=0)
