"""Interventions: one value that every part of a tower carries out, and never ignores."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

import pytest
import tiny
import torch
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.interventions import NONE, Interventions, Kinds
from promptarena.benchmark.backbone.towers import Tower
from promptarena.benchmark.core.errors import UserError

DEPTH = 3
"""Blocks of both towers of the tiny model."""


@dataclass(frozen=True, eq=False)
class Steered(Interventions):
    """A new kind: a vector (W,) is added to every token before a block."""

    steering: Mapping[int, Tensor] = field(default_factory=dict)

    def edited(self, block: int, tokens: Tensor) -> Tensor:
        tokens = super().edited(block, tokens)
        return tokens + self.steering[block] if block in self.steering else tokens


def tokens_for(tower: Tower) -> Tensor:
    return torch.randn(2, 7, tower.width, generator=torch.Generator().manual_seed(1))


def prompts_of(backbone: Backbone) -> Prompts:
    """Texts that share their beginning."""
    prompts = backbone.prompts(["a photo of a zebra.", "a photo of an owl."])
    assert prompts.shared
    return prompts


def encoded_image(backbone: Backbone, **kinds: Mapping[int, object]) -> Tensor:
    return backbone.image_features_from(tokens_for(backbone.vision), **kinds)


def read_image(backbone: Backbone, **kinds: Mapping[int, object]) -> Tensor:
    return backbone.vision.read(tokens_for(backbone.vision), torch.tensor([[0]]), **kinds)


def image_tokens(backbone: Backbone, **kinds: Mapping[int, object]) -> Tensor:
    return backbone.image_tokens(tiny.pixels(2, backbone.image_size), stop=1, **kinds)


def encoded_text(backbone: Backbone, **kinds: Mapping[int, object]) -> Tensor:
    return backbone.encode_text(prompts_of(backbone), **kinds)


def text_tokens(backbone: Backbone, **kinds: Mapping[int, object]) -> Tensor:
    return backbone.text_tokens(prompts_of(backbone), **kinds)


each_encoder = pytest.mark.parametrize(
    "encode", [encoded_image, read_image, image_tokens, encoded_text, text_tokens], ids=lambda encode: encode.__name__
)


@each_encoder
@pytest.mark.parametrize("block", [-1, DEPTH, 99])
def test_a_block_that_does_not_exist_is_named(encode: Callable[..., Tensor], block: int) -> None:
    backbone = tiny.backbone()
    with pytest.raises(UserError, match=rf"^edits at block {block}: this encoder has the blocks 0 to 2$"):
        encode(backbone, edits={block: lambda x: x})
    with pytest.raises(UserError, match=rf"^bias at block {block}: this encoder has the blocks 0 to 2$"):
        encode(backbone, bias={block: torch.zeros(7, 7)})


def test_a_shared_beginning_is_no_way_around_the_check() -> None:
    tower = tiny.backbone().text
    tokens, ends = tokens_for(tower), torch.tensor([1, 2])
    with pytest.raises(UserError, match="edits at block 3"):
        tower.read_after(tokens[:1, :2], tokens[:, 2:], ends, interventions=Interventions(edits={3: lambda x: x}))


def test_blocks_outside_the_part_that_is_run_are_passed_over() -> None:
    tower = tiny.backbone().vision
    tokens, everywhere = tokens_for(tower), Interventions(edits={block: lambda x: x + 1 for block in range(DEPTH)})
    only_second = Interventions(edits={1: lambda x: x + 1})
    found = tower.run(tokens, start=1, stop=2, interventions=everywhere)
    assert torch.equal(found, tower.run(tokens, start=1, stop=2, interventions=only_second))
    assert torch.equal(tower.run(tokens, start=DEPTH, interventions=everywhere), tokens)


@each_encoder
def test_without_interventions_the_bits_are_those_of_the_plain_tower(encode: Callable[..., Tensor]) -> None:
    backbone = tiny.backbone()
    assert torch.equal(encode(backbone, edits={}, bias={}), encode(backbone))


def test_keywords_are_the_fields_of_the_value() -> None:
    assert set(Kinds.__annotations__) == {kind.name for kind in fields(Interventions)}
    tower = tiny.backbone().vision
    tokens, row = tokens_for(tower), torch.tensor([[0]])
    edits = {1: lambda x: x * 2}
    bias = {2: torch.randn(tower.heads, 7, 7, generator=torch.Generator().manual_seed(2))}
    one = tower.read(tokens, row, interventions=Interventions(edits=edits, bias=bias))
    assert torch.equal(tower.read(tokens, row, edits=edits, bias=bias), one)
    assert torch.equal(tower.read(tokens, row, interventions=Interventions(edits=edits), bias=bias), one)
    assert not torch.equal(tower.read(tokens, row, edits=edits), one)


def test_a_new_kind_is_carried_out_checked_and_acts_on_whole_sequences() -> None:
    backbone = tiny.backbone()
    for tower in (backbone.vision, backbone.text):
        tokens, vector = tokens_for(tower), torch.linspace(-1, 1, tower.width)
        steered = Steered(steering={1: vector, 2: vector})
        edits = Interventions(edits={block: lambda x, vector=vector: x + vector for block in (1, 2)})
        row = torch.tensor([[0]])
        assert torch.equal(tower.run(tokens, interventions=steered), tower.run(tokens, interventions=edits))
        assert torch.equal(tower.read(tokens, row, interventions=steered), tower.read(tokens, row, interventions=edits))
        with pytest.raises(UserError, match="steering at block 3"):
            tower.run(tokens, interventions=Steered(steering={3: vector}))
    assert not steered.only_edits
    with pytest.raises(ValueError, match="can only be edited"):
        backbone.text.read_after(tokens[:1, :2], tokens[:, 2:], torch.tensor([1, 2]), interventions=steered)


def test_only_edits_act_on_shared_rows() -> None:
    assert NONE.only_edits
    assert Interventions(edits={0: lambda x: x}, bias={}).only_edits
    assert not Interventions(bias={0: torch.zeros(7, 7)}).only_edits
