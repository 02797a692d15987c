"""Interventions: one value that every part of a tower carries out, and never ignores."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace

import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor

from promptarena.benchmark.backbone.accelerations import ALL, Accelerations
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
@pytest.mark.parametrize("block", [-1, DEPTH + 1, 99])
def test_a_block_that_does_not_exist_is_named(encode: Callable[..., Tensor], block: int) -> None:
    backbone = tiny.backbone()
    with pytest.raises(UserError, match=rf"^edits at block {block}: this encoder has the blocks 0 to 2; 3 is the "):
        encode(backbone, edits={block: lambda x: x})
    with pytest.raises(UserError, match=rf"^bias at block {block}: this encoder has the blocks 0 to 2$"):
        encode(backbone, bias={block: torch.zeros(7, 7)})
    for kind in ("updates", "beside_block", "beside_mlp"):
        with pytest.raises(UserError, match=rf"^{kind} at block {block}: this encoder has"):
            encode(backbone, **{kind: {block: {} if kind == "updates" else lambda x: x}})


def test_a_shared_beginning_is_no_way_around_the_check() -> None:
    tower = tiny.backbone().text
    tokens, ends = tokens_for(tower), torch.tensor([1, 2])
    with pytest.raises(UserError, match="edits at block 4"):
        tower.read_after(tokens[:1, :2], tokens[:, 2:], ends, interventions=Interventions(edits={4: lambda x: x}))


@each_encoder
def test_other_kinds_do_not_act_after_the_last_block(encode: Callable[..., Tensor]) -> None:
    with pytest.raises(UserError, match=rf"^beside_mlp at block {DEPTH}: this encoder has the blocks 0 to 2$"):
        encode(tiny.backbone(), beside_mlp={DEPTH: lambda x: x})


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
    nothing = {kind.name: {} for kind in fields(Interventions)}
    assert torch.equal(encode(backbone, **nothing), encode(backbone))


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
    assert not steered.row_by_row
    with pytest.raises(ValueError, match="need interventions that act row by row"):
        backbone.text.read_after(tokens[:1, :2], tokens[:, 2:], torch.tensor([1, 2]), interventions=steered)


def test_a_bias_needs_whole_sequences() -> None:
    assert NONE.row_by_row
    assert Interventions(edits={0: lambda x: x}, updates={0: {"q": lambda x: x}}, bias={}).row_by_row
    assert not Interventions(bias={0: torch.zeros(7, 7)}).row_by_row


PROJECTIONS = ("q", "k", "v", "out", "fc", "proj")


class LowRank:
    """x -> x A^T B^T of rank 2."""

    def __init__(self, inputs: int, outputs: int, random: torch.Generator) -> None:
        self.a = torch.randn(2, inputs, generator=random) * inputs**-0.5
        self.b = torch.randn(outputs, 2, generator=random) * 0.5

    def __call__(self, x: Tensor) -> Tensor:
        return x @ self.a.T @ self.b.T

    @property
    def matrix(self) -> Tensor:
        return self.b @ self.a


def low_rank(tower: Tower, seed: int) -> dict[str, LowRank]:
    """A low-rank update of every projection."""
    width, hidden = tower.width, tower.blocks[0].mlp.c_fc.out_features
    sizes = {"fc": (width, hidden), "proj": (hidden, width)}
    random = torch.Generator().manual_seed(seed)
    return {name: LowRank(*sizes.get(name, (width, width)), random) for name in PROJECTIONS}


def merged(backbone: Backbone, updates: dict[str, dict[int, dict[str, LowRank]]]) -> Backbone:
    """A plain CLIP whose weights hold the updates."""
    model = copy.deepcopy(backbone.model)
    for tower, blocks in (("vision", model.visual.transformer.resblocks), ("text", model.transformer.resblocks)):
        for number, each in updates.get(tower, {}).items():
            block = blocks[number]
            whole = {"out": block.attn.out_proj, "fc": block.mlp.c_fc, "proj": block.mlp.c_proj}
            for name, update in each.items():
                if name in whole:
                    whole[name].weight.data += update.matrix
                else:
                    place = "qkv".index(name)
                    width = update.matrix.shape[0]
                    block.attn.in_proj_weight.data[place * width : (place + 1) * width] += update.matrix
    return Backbone(model, backbone.name, "merged", backbone.device, "fp32")


each_accelerations = pytest.mark.parametrize("on", [True, False], ids=["accelerated", "plain"])


def in_mode(on: bool) -> Backbone:
    plain = tiny.backbone()
    switches = ALL if on else Accelerations(**{each.name: False for each in fields(ALL)})
    return Backbone(plain.model, plain.name, plain.digest, plain.device, "fp32", accelerations=switches)


@each_accelerations
def test_an_edit_after_the_last_block_acts_on_its_output(on: bool) -> None:
    backbone = in_mode(on)
    for tower in (backbone.vision, backbone.text):
        tokens, row = tokens_for(tower), torch.tensor([[2]])
        after = Interventions(edits={DEPTH: lambda x: x.flip(1) * 2})
        expected = tower.run(tokens).flip(1) * 2
        assert torch.equal(tower.run(tokens, interventions=after), expected)
        assert torch.equal(tower.run(tokens, stop=DEPTH, interventions=after), tower.run(tokens))
        assert torch.equal(tower.read(tokens, row, interventions=after)[:, 0], expected[:, 2])
        last = tower.run(tokens, stop=DEPTH)
        assert torch.equal(tower.read(last, row, start=DEPTH, interventions=after)[:, 0], expected[:, 2])
    prompts = prompts_of(backbone)
    doubled = backbone.encode_text(prompts, edits={DEPTH: lambda x: x * 2 + 1})
    ends = backbone.text_tokens(prompts)[torch.arange(len(prompts.eot)), prompts.eot]
    torch.testing.assert_close(doubled, backbone.project_text(ends * 2 + 1))


@each_accelerations
@pytest.mark.parametrize("names", [("q",), ("k", "v"), ("out",), ("fc",), ("proj",), PROJECTIONS], ids="+".join)
def test_updates_equal_merged_weights_in_every_encoder(names: tuple[str, ...], on: bool) -> None:
    backbone = in_mode(on)
    updates = {
        side: {
            block: {name: each for name, each in low_rank(getattr(backbone, side), block).items() if name in names}
            for block in (0, 2)
        }
        for side in ("vision", "text")
    }
    plain = merged(backbone, updates)
    for encode, side in ((encoded_image, "vision"), (read_image, "vision"), (encoded_text, "text")):
        found, expected = encode(backbone, updates=updates[side]), encode(plain)
        assert not torch.allclose(found, encode(backbone), atol=1e-3)
        assert torch.allclose(found, expected, atol=2e-5), encode.__name__


def beside(width: int, seed: int) -> Callable[[Tensor], Tensor]:
    weight = torch.randn(width, width, generator=torch.Generator().manual_seed(seed)) * width**-0.5
    return lambda rows: torch.tanh(rows @ weight)


@each_accelerations
@pytest.mark.parametrize("where", ["beside_block", "beside_mlp"])
def test_a_branch_beside_a_block_is_added_after_it(where: str, on: bool) -> None:
    backbone = in_mode(on)
    for tower in (backbone.vision, backbone.text):
        branches = {block: beside(tower.width, block) for block in (0, 2)}
        tokens = tokens_for(tower)
        found = tower.run(tokens, interventions=Interventions(**{where: branches}))
        expected = tokens
        for number, block in enumerate(tower.blocks):
            after = tower.run(expected, start=number, stop=number + 1)
            if number in branches:
                normed = block.ln_1(expected)
                if where == "beside_mlp":
                    q, k, v = tower._project(block.attn, normed)
                    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=tower.causal).transpose(1, 2)
                    normed = block.ln_2(expected + block.attn.out_proj(mixed.reshape(expected.shape)))
                after = after + branches[number](normed)
            expected = after
        assert torch.allclose(found, expected, atol=2e-5)
        assert not torch.allclose(found, tower.run(tokens), atol=1e-3)
        rows = torch.tensor([[0, 5]])
        read = tower.read(tokens, rows, interventions=Interventions(**{where: branches}))
        assert torch.allclose(read, expected[:, [0, 5]], atol=2e-5)


@pytest.mark.parametrize("count", [2, 40], ids=["few", "many"])
@pytest.mark.parametrize("kind", ["updates", "beside_block", "beside_mlp"])
def test_shared_beginnings_and_packing_change_nothing(kind: str, count: int) -> None:
    backbone = in_mode(True)
    names = [f"{'very ' * (number % 5)}old zebra {number}" for number in range(count)]
    prompts = backbone.prompts([f"a photo of a {name}." for name in names])
    assert prompts.shared
    tower = backbone.text
    acts = {block: low_rank(tower, block) if kind == "updates" else beside(tower.width, block) for block in range(3)}
    whole = replace(prompts, shared=0)
    found, expected = (backbone.encode_text(each, **{kind: acts}) for each in (prompts, whole))
    assert torch.allclose(found, expected, atol=2e-5)
    assert not torch.allclose(found, backbone.encode_text(prompts), atol=1e-3)


def test_gradients_through_a_branch_are_those_of_plain_code() -> None:
    found = []
    for on in (True, False):
        backbone = in_mode(on)
        weight = torch.full((backbone.text.width, backbone.text.width), 0.01, requires_grad=True)
        branches = {block: (lambda rows: rows @ weight) for block in range(3)}  # noqa: B023
        encoded_text(backbone, beside_block=branches).square().sum().backward()
        found.append(weight.grad)
    assert torch.allclose(*found, rtol=1e-3, atol=1e-4)


def test_an_unknown_projection_is_named() -> None:
    with pytest.raises(UserError, match=r"^updates at block 1: no projection 'w'; a block has q, k, v, out, fc, proj$"):
        encoded_image(tiny.backbone(), updates={1: {"w": lambda x: x}})
