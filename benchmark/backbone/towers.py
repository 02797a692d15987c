"""A transformer tower run block by block over open_clip's weights, with interventions at every block."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from itertools import repeat
from typing import Any, NamedTuple, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from promptarena.benchmark.backbone.accelerations import ALL, Accelerations
from promptarena.benchmark.backbone.compiling import compiled
from promptarena.benchmark.backbone.frozen import Frozen, add_mlp, has_quick_gelu
from promptarena.benchmark.backbone.interventions import (
    NONE,
    Edit,
    Inside,
    Interventions,
    Kinds,
    Projection,
    RowFunction,
    Updates,
)
from promptarena.benchmark.backbone.packing import Packing, packed

__all__ = ["Edit", "RowFunction", "Tower", "Updates", "Written"]

Rest = Callable[[Any, Tensor, Tensor], Tensor]
"""The part of a block after its attention: block, rows (..., W), what attention mixed for them -> rows after it."""

QUERIES, KEYS_VALUES, QUERIES_KEYS_VALUES = slice(0, 1), slice(1, 3), slice(0, 3)
INPUTS: tuple[Projection, ...] = ("q", "k", "v")
STACKED = 4
"""Below 4 rows a matrix product on the CPU takes another kernel, so results would differ in the last bits: so few
shared rows are multiplied separately."""

PART_BYTES = 16 << 20
"""Bytes of a block's widest activation on the CPU without gradients: about what stays in the processor's cache, so that
larger batches are faster in parts."""

WIDEST = 4
"""Width of an MLP's hidden layer, the widest activation of a block, in widths of its tokens."""

PACKINGS = 8
"""How many packings a tower keeps: each training step encodes the same few sets of texts."""


class Written(NamedTuple):
    """What a block adds to a sequence's first token, and the tokens after the block.

    The first token after the block is the one before it plus all heads and the MLP.

    Attributes:
        heads: (B, heads, W), each with an even share of the output bias.
        mlp: (B, W).
        tokens: (B, L, W) after the block.
    """

    heads: Tensor
    mlp: Tensor
    tokens: Tensor


class Tower:
    """The residual blocks of one encoder. Blocks are counted from 0; block `depth` means after the last one.

    Args:
        blocks: open_clip's residual attention blocks, at least one.
        causal: whether a token attends to itself and earlier tokens only, as in the text encoder.
        accelerations: the accelerations to use.
        compile_backend: torch.compile's backend for the part of a block after its attention; empty: none.

    Attributes:
        depth: number of blocks.
        width: W, the width of a token.
        heads: attention heads of a block.
    """

    def __init__(
        self,
        blocks: nn.ModuleList,
        causal: bool,
        accelerations: Accelerations = ALL,
        compile_backend: str = "",
    ) -> None:
        self.blocks = blocks
        self.accelerations = accelerations
        self.causal = causal
        self.depth = len(blocks)
        attention: Any = blocks[0].get_submodule("attn")
        self.width = int(attention.embed_dim)
        self.heads = int(attention.num_heads)
        folded = accelerations.fold_quick_gelu and has_quick_gelu(blocks[0])
        self._frozen = Frozen()
        self._add: Rest = compiled(partial(_add_folded if folded else _add, self._frozen), compile_backend)
        self._packings = lru_cache(maxsize=PACKINGS)(packed)

    def run(
        self,
        tokens: Tensor,
        *,
        start: int = 0,
        stop: int | None = None,
        interventions: Interventions = NONE,
    ) -> Tensor:
        """Run the blocks from `start` to before `stop`.

        `read = run(tokens, stop=k)` gives the tokens before block k, and `run(read, start=k)` goes on from there.

        Args:
            tokens: (B, L, W), the tokens before block `start`, without its interventions.
            start: first block to run; `depth` runs none.
            stop: block to stop before; by default all blocks are run, and the edit after the last one.
            interventions: what happens at which block.

        Returns:
            (B, L', W), the tokens before block `stop`, without its interventions.

        Raises:
            UserError: an intervention at a block that does not exist.
        """
        interventions.check(self.depth)
        for index in range(start, self.depth if stop is None else stop):
            tokens = interventions.edited(index, tokens)
            tokens = self._block(self.blocks[index], tokens, interventions.bias.get(index), interventions.inside(index))
        return interventions.edited(self.depth, tokens) if stop is None else tokens

    def read(
        self,
        tokens: Tensor,
        rows: Tensor,
        *,
        start: int = 0,
        interventions: Interventions = NONE,
        **kinds: Unpack[Kinds],
    ) -> Tensor:
        """Run all blocks from `start` and return some rows only: the last block computes no others.

        Args:
            tokens: (B, L, W), the tokens before block `start`, without its interventions.
            rows: (B, R) or (1, R) int64, positions in the sequence after the last edit; negative ones count from the
                end.
            start: first block to run; `depth` runs none.
            interventions: what happens at which block.
            **kinds: fields of `interventions` as keywords, which replace those of the value.

        Returns:
            (B, R, W), the rows after the last block.

        Raises:
            UserError: an intervention at a block that does not exist.
        """
        interventions = replace(interventions, **kinds)
        interventions.check(self.depth)
        last = self.depth - 1
        bias, inside = interventions.bias.get(last), interventions.inside(last)
        if start <= last:
            tokens = self.run(tokens, start=start, stop=last, interventions=interventions)
            tokens = interventions.edited(last, tokens)
        if start <= last and (self.depth in interventions.edits or not self.accelerations.read_rows):
            tokens, start = self._block(self.blocks[last], tokens, bias, inside), self.depth
        if start > last:
            tokens = interventions.edited(self.depth, tokens)
        batch, length, width = tokens.shape
        rows = (rows % length).expand(batch, -1)
        places = rows[..., None].expand(-1, -1, width)
        requested = tokens.gather(1, places)
        if start > last:
            return requested
        block: Any = self.blocks[last]
        normed = block.ln_1(tokens)
        k, v = self._project(block.attn, normed, KEYS_VALUES, inside)
        normed = normed.gather(1, places)
        (q,) = self._project(block.attn, normed, QUERIES, inside)
        mask = None
        if bias is not None:
            whole = bias.to(q.dtype).expand(batch, -1, length, length)  # expanded last, so that nothing is copied
            mask = whole.take_along_dim(rows[:, None, :, None], dim=2)
        if self.causal:
            seen = torch.arange(length, device=rows.device) <= rows[:, None, :, None]
            mask = seen if mask is None else mask.masked_fill(~seen, float("-inf"))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self._finish(block, requested, mixed, normed, inside)

    def read_after(
        self, shared: Tensor, own: Tensor, ends: Tensor, *, start: int = 0, interventions: Interventions = NONE
    ) -> Tensor:
        """Run all blocks from `start` and return the last row of B sequences, of which many share their first rows.

        The shared rows are computed once for all sequences, and the other rows without padding. The result is that of
        `read` up to rounding, because in a causal tower a row depends on itself and on earlier rows only.

        Args:
            shared: (G, S, W), the first rows that all sequences of each of G equally large groups share.
            own: (B, L, W), the rows after the shared ones, group by group.
            ends: (B,) int64, the position in `own` of each sequence's last row.
            start: first block to run.
            interventions: kinds that act row by row. Edits receive and may change the shared rows only, (G, S, W).

        Returns:
            (B, W), the last rows after the last block.

        Raises:
            ValueError: the tower is not causal, or an intervention needs whole sequences: so does an edit after the
                last block.
            UserError: an intervention at a block that does not exist.
        """
        if not self.causal:
            raise ValueError("only a causal tower can share the beginning of its sequences")
        if not interventions.row_by_row or self.depth in interventions.edits:
            raise ValueError("sequences that share their beginning need interventions that act row by row")
        interventions.check(self.depth)
        groups = len(shared)
        packing = self._packing(ends, own.shape[1], groups)
        before, rest = shared.flatten(0, 1), packing.pack(own)
        for index in range(start, self.depth):
            block: Any = self.blocks[index]
            before = interventions.edited(index, before.view(groups, -1, self.width)).flatten(0, 1)
            last, inside = index == self.depth - 1 and self.accelerations.read_rows, interventions.inside(index)
            normed, own_normed = block.ln_1(before), block.ln_1(rest)
            q, k, v = self._project(block.attn, normed.view(groups, -1, self.width), inside=inside)
            own_q, own_k, own_v = self._project(
                block.attn, own_normed.view(packing.bins, -1, self.width), inside=inside
            )
            mask = packing.mask(k.shape[2]).to(own_q.dtype)
            mixed = F.scaled_dot_product_attention(
                own_q, _with_shared(k, own_k), _with_shared(v, own_v), attn_mask=mask
            )
            own = mixed.transpose(1, 2).reshape(rest.shape)
            if last:
                at = packing.rows
                normed = own_normed if inside is None else own_normed.index_select(0, at)
                return self._rest(block, rest.index_select(0, at), own.index_select(0, at), normed, inside)
            first = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(before.shape)
            if len(before) < STACKED:
                before = self._rest(block, before, first, normed, inside)
                rest = self._rest(block, rest, own, own_normed, inside)
            else:
                normed = normed if inside is None else torch.cat([normed, own_normed])
                rows = self._rest(block, torch.cat([before, rest]), torch.cat([first, own]), normed, inside)
                before, rest = rows.split([len(before), len(rest)])
        return rest.index_select(0, packing.rows)

    def _packing(self, ends: Tensor, length: int, groups: int) -> Packing:
        """How the sequences are packed. On the CPU it is kept, because every step packs the same ones; on a GPU it is
        made anew, because a comparison of the lengths would wait for the device."""
        if ends.device.type == "cpu":
            return self._packings(tuple(ends.tolist()), length, groups, self.accelerations.pack_texts)
        return Packing(ends, length, groups, self.accelerations.pack_texts)

    def written(self, block: int, tokens: Tensor) -> Written:
        """What each head of a block and its MLP add to the first token.

        Args:
            block: number of the block, from 0.
            tokens: (B, L, W), the tokens before it.

        Returns:
            The parts that are added, and the tokens after the block.
        """
        layer: Any = self.blocks[block]
        q, k, v = self._project(layer.attn, layer.ln_1(tokens))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        out = layer.attn.out_proj
        by_head = out.weight.view(self.width, self.heads, -1)
        heads = layer.ls_1(torch.einsum("bhd,whd->bhw", mixed[:, :, 0], by_head) + out.bias / self.heads)
        mlp = layer.ls_2(layer.mlp(layer.ln_2(tokens[:, 0] + heads.sum(1))))
        return Written(heads, mlp, self._add(layer, tokens, mixed.transpose(1, 2).reshape(tokens.shape)))

    def _block(self, block: Any, x: Tensor, bias: Tensor | None, inside: Inside | None) -> Tensor:
        """(B, L, W) -> (B, L, W) after the block. Without gradients the CPU takes a few sequences at a time: they stay
        in the processor's cache, and large batches take little memory."""
        few = max(1, PART_BYTES // (WIDEST * x.shape[1] * self.width * x.element_size()))
        if torch.is_grad_enabled() or x.device.type != "cpu" or few >= len(x) or not self.accelerations.divide_batches:
            return self._whole(block, x, bias, inside)
        own = bias is not None and bias.ndim == 4 and len(bias) > 1
        biases = bias.split(few) if bias is not None and own else repeat(bias)
        parts = zip(x.split(few), biases, strict=False)
        return torch.cat([self._whole(block, part, of, inside) for part, of in parts])

    def _whole(self, block: Any, x: Tensor, bias: Tensor | None, inside: Inside | None) -> Tensor:
        normed = block.ln_1(x)
        q, k, v = self._project(block.attn, normed, inside=inside)
        if bias is not None and self.causal:
            length = x.shape[1]
            bias = bias + torch.full((length, length), float("-inf"), device=x.device, dtype=x.dtype).triu(1)
        mask = None if bias is None else bias.to(q.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal and mask is None)
        return self._finish(block, x, mixed, normed, inside)

    def _project(
        self, attention: Any, x: Tensor, parts: slice = QUERIES_KEYS_VALUES, inside: Inside | None = None
    ) -> Tensor:
        """Some or all of queries, keys and values (up to 3, B, heads, L, W / heads) of normalised tokens (B, L, W)."""
        rows = slice(parts.start * self.width, parts.stop * self.width)
        weight, bias = self._frozen.cast(attention.in_proj_weight), self._frozen.cast(attention.in_proj_bias)
        projected = F.linear(x, weight[rows], bias[rows])
        # Under vmap a bias makes the result float32 again. Without values there is no autocast to ask for.
        if not x.is_meta and torch.is_autocast_enabled(x.device.type):
            projected = projected.to(torch.get_autocast_dtype(x.device.type))
        if inside is not None and inside.updates:
            each = zip(INPUTS[parts], projected.split(self.width, dim=-1), strict=True)
            projected = torch.cat([inside.updated(name, x, part) for name, part in each], dim=-1)
        shape = *x.shape[:2], parts.stop - parts.start, self.heads, self.width // self.heads
        return projected.view(shape).permute(2, 0, 3, 1, 4)

    def _finish(self, block: Any, x: Tensor, mixed: Tensor, normed: Tensor, inside: Inside | None) -> Tensor:
        """The rest of a block: what attention mixed (B, heads, L, W / heads) is projected and added, then the MLP."""
        return self._rest(block, x, mixed.transpose(1, 2).reshape(x.shape), normed, inside)

    def _rest(self, block: Any, x: Tensor, mixed: Tensor, normed: Tensor, inside: Inside | None) -> Tensor:
        """Rows (..., W) after a block, from those before it, what attention mixed for them, and their first norm."""
        if inside is None:
            return self._add(block, x, mixed)
        rows = _add_inside(block, x, mixed, inside) if inside.after_attention else self._add(block, x, mixed)
        return rows if inside.beside_block is None else rows + inside.beside_block(normed).to(rows.dtype)


def _add(frozen: Frozen, block: Any, x: Tensor, mixed: Tensor) -> Tensor:
    x = x + block.ls_1(frozen.linear(block.attn.out_proj, mixed))
    out: Tensor = x + block.ls_2(block.mlp(block.ln_2(x)))
    return out


def _add_folded(frozen: Frozen, block: Any, x: Tensor, mixed: Tensor) -> Tensor:
    return add_mlp(block, x + block.ls_1(frozen.linear(block.attn.out_proj, mixed)), frozen)


def _add_inside(block: Any, x: Tensor, mixed: Tensor, inside: Inside) -> Tensor:
    x = x + block.ls_1(inside.updated("out", mixed, block.attn.out_proj(mixed)))
    normed, mlp = block.ln_2(x), block.mlp
    hidden = mlp.gelu(inside.updated("fc", normed, mlp.c_fc(normed)))
    rows: Tensor = x + block.ls_2(inside.updated("proj", hidden, mlp.c_proj(hidden)))
    return rows if inside.beside_mlp is None else rows + inside.beside_mlp(normed).to(rows.dtype)


def _with_shared(common: Tensor, own: Tensor) -> Tensor:
    """Keys or values of each group's shared rows (G, heads, S, d), then those of its bins (bins, heads, L, d)."""
    shared = common[:, None].expand(-1, len(own) // len(common), -1, -1, -1).flatten(0, 1)
    return torch.cat([shared, own], dim=2)
