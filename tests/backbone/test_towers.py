"""A tower: exact when read in parts, and changed exactly where it was asked for."""

from typing import Any

import pytest
import torch
from clip_models import BLOCKS, close, towers
from torch import Tensor

from promptarena.benchmark.backbone.interventions import Interventions
from promptarena.benchmark.backbone.towers import Tower

both = pytest.mark.parametrize(("tower", "tokens"), towers(), ids=["vision", "text"])


@both
def test_identity_edits_change_nothing(tower: Tower, tokens: Tensor) -> None:
    edits = Interventions(edits={block: lambda x: x for block in range(tower.depth)})
    assert torch.equal(tower.run(tokens, interventions=edits), tower.run(tokens))


@both
@pytest.mark.parametrize("block", BLOCKS)
def test_reading_at_a_block_and_going_on_is_the_whole(tower: Tower, tokens: Tensor, block: int) -> None:
    edits = Interventions(edits={index: lambda x: x * 1.5 for index in range(tower.depth)})
    read = tower.run(tokens, stop=block, interventions=edits)
    assert torch.equal(tower.run(read, start=block, interventions=edits), tower.run(tokens, interventions=edits))
    assert torch.equal(tower.run(tokens, start=tower.depth), tokens)


@both
@pytest.mark.parametrize("block", range(3))
def test_an_edit_acts_in_front_of_its_block_once(tower: Tower, tokens: Tensor, block: int) -> None:
    seen: list[Tensor] = []

    def replace(x: Tensor) -> Tensor:
        seen.append(x)
        return tokens + 1

    edited = tower.run(tokens, interventions=Interventions(edits={block: replace}))
    assert len(seen) == 1
    assert torch.equal(seen[0], tower.run(tokens, stop=block))
    assert torch.equal(edited, tower.run(tokens + 1, start=block))


@both
@pytest.mark.parametrize("block", range(3))
def test_an_edit_may_change_the_number_of_tokens(tower: Tower, tokens: Tensor, block: int) -> None:
    longer = tower.run(tokens, interventions=Interventions(edits={block: lambda x: torch.cat([x, x[:, :2]], dim=1)}))
    shorter = tower.run(tokens, interventions=Interventions(edits={block: lambda x: x[:, :-1]}))
    assert (longer.shape[1], shorter.shape[1]) == (9, 6)
    kept = torch.equal(longer[:, :1], tower.run(tokens)[:, :1])
    assert close(shorter, tower.run(tokens)[:, :-1]) == tower.causal
    assert kept == tower.causal or close(longer[:, :7], tower.run(tokens)) == tower.causal


def naive_block(tower: Tower, index: int, x: Tensor, bias: Tensor) -> Tensor:
    """A pre-norm block with attention written out head by head; bias (heads, L, L)."""
    block: Any = tower.blocks[index]
    normed = block.ln_1(x)
    q, k, v = (normed @ block.attn.in_proj_weight.T + block.attn.in_proj_bias).chunk(3, dim=-1)
    size, length = tower.width // tower.heads, x.shape[1]
    mixed = []
    for head in range(tower.heads):
        own = slice(head * size, (head + 1) * size)
        scores = q[..., own] @ k[..., own].transpose(1, 2) * size**-0.5 + bias[head]
        if tower.causal:
            later = torch.ones(length, length, dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        mixed.append(scores.softmax(-1) @ v[..., own])
    x = x + block.attn.out_proj(torch.cat(mixed, dim=-1))
    return x + block.mlp(block.ln_2(x))


@both
def test_a_zero_bias_is_none(tower: Tower, tokens: Tensor) -> None:
    zero = Interventions(bias={block: torch.zeros(1, tower.heads, 7, 7) for block in range(tower.depth)})
    assert close(tower.run(tokens, interventions=zero), tower.run(tokens))


@both
def test_a_bias_acts_on_its_own_head_and_block(tower: Tower, tokens: Tensor) -> None:
    only_itself = torch.zeros(tower.heads, 7, 7)
    only_itself[1] = torch.full((7, 7), float("-inf")).fill_diagonal_(0)
    drawn = torch.randn(tower.heads, 7, 7, generator=torch.Generator().manual_seed(5))
    for bias in (only_itself, drawn):
        biased = tower.run(tokens, stop=2, interventions=Interventions(bias={1: bias[None]}))
        expected = naive_block(tower, 1, naive_block(tower, 0, tokens, torch.zeros_like(bias)), bias)
        assert close(biased, expected)
        assert not close(biased, tower.run(tokens, stop=2), 1e-3)


@pytest.mark.parametrize("start", [0, 1, 3])
@pytest.mark.parametrize("shared", [1, 3])
@pytest.mark.parametrize("ends", [(0, 0, 0), (3, 0, 2), (1, 3, 3)])
def test_a_common_beginning_passes_the_tower_once_with_the_same_result(
    ends: tuple[int, ...], shared: int, start: int
) -> None:
    tower, tokens = towers()[1]
    tokens = tokens[[0, 1, 0]] * torch.tensor([1.0, 1.0, 0.5])[:, None, None]
    tokens = torch.cat([tokens[:1, :shared].expand(3, -1, -1), tokens[:, shared:]], dim=1).requires_grad_()
    seen: list[int] = []

    def edit(x: Tensor) -> Tensor:
        seen.append(len(x))
        return torch.cat([x[:, :shared] * 1.5, x[:, shared:]], dim=1)

    edits, rows = Interventions(edits={0: edit, 2: edit}), torch.tensor(ends)
    whole = tower.run(tokens, start=start, interventions=edits)[torch.arange(3), rows + shared]
    asked = len(seen)
    found = tower.read_after(tokens[:1, :shared], tokens[:, shared:], rows, start=start, interventions=edits)
    assert seen[asked:] == [1] * asked
    assert close(found, whole)
    (expected_slope,) = torch.autograd.grad(whole.square().sum(), tokens)
    (slope,) = torch.autograd.grad(found.square().sum(), tokens)
    assert close(slope[:, shared:], expected_slope[:, shared:])
    assert close(slope[0, :shared], expected_slope[:, :shared].sum(0))


@pytest.mark.parametrize("tower", [0, 1])
@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_reading_some_rows_is_reading_all_and_picking(tower: int, start: int) -> None:
    one, tokens = towers()[tower]
    assert one.depth == 3
    edits = {2: lambda x: torch.cat([x[:, :1], x[:, :1] * 2, x[:, 1:]], dim=1)}
    bias = {block: torch.randn(1, one.heads, 8, 8, generator=torch.Generator().manual_seed(block)) for block in (2,)}
    for rows in (torch.tensor([[0]]), torch.tensor([[-1, 2, 0], [5, -7, 1]])):
        for used in ({}, bias):
            interventions = Interventions(edits=edits, bias=used)
            whole = one.run(tokens, start=start, interventions=interventions)
            places = (rows % whole.shape[1]).expand(len(whole), -1)
            expected = whole.gather(1, places[..., None].expand(-1, -1, one.width))
            assert close(one.read(tokens, rows, start=start, interventions=interventions), expected)


def test_only_a_causal_tower_can_share_a_beginning() -> None:
    tower, tokens = towers()[0]
    with pytest.raises(ValueError, match="only a causal tower"):
        tower.read_after(tokens[:1, :2], tokens[:, 2:], torch.tensor([0, 1]))
