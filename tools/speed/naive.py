"""The naive path: what the methods' published training code does, over the same weights and with the same learners.

Texts have all 77 tokens; towers are run with the token axis first, through torch's multi-head attention with a mask, as
OpenAI's CLIP does and all published code with it (where a method updates projections, four linear maps in its place);
every block of both towers is run in each step, the frozen ones
before the first learned token too (without gradients, because nothing there needs any); the last block computes all
rows; the frozen teacher encodes each image again; and nothing is reused from one step to the next.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from promptarena.benchmark.backbone.accelerations import PLAIN
from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.interventions import NONE, Inside, Interventions, Kinds, Projection
from promptarena.benchmark.backbone.towers import Tower
from promptarena.benchmark.plugins.learner import Learner
from promptarena.methods.rada import HEADS, RAda, RationalAttention
from promptarena.methods.skip_tuning import SkipTuning
from promptarena.methods.two_stage import TwoStage


class NaiveTower(Tower):
    """The blocks as OpenAI's code runs them: tokens (L, B, W), every row of every block."""

    def __init__(self, blocks: nn.ModuleList, causal: bool) -> None:
        super().__init__(blocks, causal, PLAIN)

    def run(
        self,
        tokens: Tensor,
        *,
        start: int = 0,
        stop: int | None = None,
        interventions: Interventions = NONE,
    ) -> Tensor:
        """As `Tower.run`."""
        x = tokens.transpose(0, 1)
        for index in range(start, self.depth if stop is None else stop):
            if index in interventions.edits:
                x = interventions.edited(index, x.transpose(0, 1)).transpose(0, 1).contiguous()
            x = self._published(self.blocks[index], x, interventions.bias.get(index), interventions.inside(index))
        return x.transpose(0, 1)

    def read(
        self,
        tokens: Tensor,
        rows: Tensor,
        *,
        start: int = 0,
        interventions: Interventions = NONE,
        **kinds: Unpack[Kinds],
    ) -> Tensor:
        """As `Tower.read`: all rows are computed, and some of them returned."""
        tokens = self.run(tokens, start=start, interventions=replace(interventions, **kinds))
        batch, length, width = tokens.shape
        return tokens.gather(1, (rows % length).expand(batch, -1)[..., None].expand(-1, -1, width))

    def _published(self, block: Any, x: Tensor, bias: Tensor | None, inside: Inside | None) -> Tensor:
        attention = _attend if inside is None or not inside.updates else partial(_attend_updated, inside)
        normed = block.ln_1(x)
        x = x + attention(block.attn, normed, self._mask(x, bias))
        between = block.ln_2(x)
        out: Tensor = x + block.mlp(between)
        for branch, rows in ((inside.beside_block, normed), (inside.beside_mlp, between)) if inside else ():
            out = out + branch(rows) if branch else out
        return out

    def _mask(self, x: Tensor, bias: Tensor | None) -> Tensor | None:
        """(L, L), or (B heads, L, L) with a bias of each head."""
        length, batch, _ = x.shape
        mask = torch.full((length, length), float("-inf")).triu(1) if self.causal else None
        if bias is not None:
            whole = bias.expand(batch, self.heads, length, length).reshape(-1, length, length)
            mask = whole if mask is None else whole + mask
        return mask


def _attend(attention: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    """torch's multi-head attention of x (L, B, W)."""
    mixed, _ = F.multi_head_attention_forward(
        *(x, x, x, x.shape[-1], attention.num_heads),
        *(attention.in_proj_weight, attention.in_proj_bias, None, None, False, 0.0),
        *(attention.out_proj.weight, attention.out_proj.bias),
        need_weights=False,
        attn_mask=mask,
    )
    return mixed


def _attend_updated(inside: Inside, attention: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    """The same by four linear maps, each with its update, as CLIP-LoRA's code has it. No method here updates an MLP."""
    assert not {"fc", "proj"} & set(inside.updates)
    rows = x.transpose(0, 1)
    names: tuple[Projection, ...] = ("q", "k", "v")
    maps = zip(names, attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), strict=True)
    q, k, v = (
        inside.updated(name, rows, F.linear(rows, weight, bias))
        .unflatten(-1, (attention.num_heads, -1))
        .transpose(1, 2)
        for name, weight, bias in maps
    )
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
    return inside.updated("out", mixed, attention.out_proj(mixed)).transpose(0, 1)


class NaiveBackbone(Backbone):
    """The same frozen model without any acceleration."""

    def __init__(self, *built: Any) -> None:
        super().__init__(*built, accelerations=PLAIN)
        self.text = NaiveTower(self.model.transformer.resblocks, causal=True)

    @cached_property
    def vision(self) -> Tower:
        """The image tower's blocks."""
        return NaiveTower(self.model.visual.transformer.resblocks, causal=False)

    def frozen_below(self, prompts: Prompts, block: int) -> Prompts:
        """The Prompts as they are: every step runs all blocks."""
        return prompts


class NaiveAttention(RationalAttention):
    """RAda's mask as released: the image's query repeated for every class, the texts' projected for every image."""

    def forward(self, z: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """Normalised z (B, D) and t (C, D), scalar s -> M (B, C, D)."""
        batch, classes = len(z), len(t)
        images, texts = z[:, None].expand(-1, classes, -1), t[None].expand(batch, -1, -1)
        rational = s * images * texts
        keys, values = _heads(self.k(rational)), _heads(self.v(rational))
        queries = self.q1(s.sqrt() * images), self.q2(s.sqrt() * texts), self.q3(rational)
        scale = self.config.temperature * (self.k.out_features // HEADS) ** 0.5
        scores = [(_heads(query) @ keys.mT / scale).flatten(2) for query in queries]
        maps = [classes * each.softmax(dim=-1).view(batch, HEADS, classes, classes) for each in scores]
        mixed = sum(maps[1:], maps[0]) / 3 @ values
        return F.relu(1 + self.o(mixed.transpose(1, 2).flatten(2)))


def _heads(x: Tensor) -> Tensor:
    return x.view(*x.shape[:2], HEADS, -1).transpose(1, 2)


class NaiveRAda(RAda):
    """RAda with its attention as released."""

    def __init__(self, backbone: Backbone, config: Any, classes: Any, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        attention = NaiveAttention(backbone.embed_dim, config, generator)
        attention.load_state_dict(self.attention.state_dict())
        self.attention = attention


def _naive(tuned: Backbone, weights: nn.ParameterDict) -> NaiveBackbone:
    """A partly trained model without any acceleration, over the same weights."""
    naive = NaiveBackbone(tuned.model, tuned.name, tuned.digest, tuned.device, tuned.precision)
    weights.requires_grad_(True)  # a backbone is frozen when it is made
    return naive


class NaiveSkipTuning(SkipTuning):
    """Skip Tuning whose trained blocks run as released."""

    def __init__(self, backbone: Backbone, config: Any, classes: Any, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        self.tuned = _naive(self.tuned, self.weights)


class NaiveTwoStage(TwoStage):
    """2SFS whose towers run as released."""

    def __init__(self, backbone: Backbone, config: Any, classes: Any, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        self.tuned = _naive(self.tuned, self.weights)


PUBLISHED: Mapping[str, type[Learner]] = {
    "rada": NaiveRAda,
    "skip-tuning": NaiveSkipTuning,
    "two-stage": NaiveTwoStage,
}
"""Learners that have arithmetic or a trained model of their own; all others differ in the backbone alone."""
