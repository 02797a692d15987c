"""The whole diagnosis on a CLIP whose heads write chosen texts, and on one of another shape."""

import copy
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import open_clip
import pytest
import tiny
import torch
from open_clip import CLIP
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.head_roles import ATTRIBUTES, Head, RoleTable, Settings
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import generator
from promptarena.benchmark.heads.concepts import SEEDS
from promptarena.benchmark.heads.diagnose import clearest, diagnose
from promptarena.benchmark.heads.images import Source
from promptarena.benchmark.heads.sentence_encoder import SentenceEncoder, Vectors
from promptarena.benchmark.heads.text_pool import Pool

LAYERS, HEADS, HEAD_WIDTH = 2, 12, 8
WIDTH, TEXT_WIDTH = HEADS * HEAD_WIDTH, 96
CONCEPTS = {
    "colour": "red blue green yellow purple orange brown pink grey black",
    "shape": "circle square triangle oval cube cone ring arch cross arrow",
    "texture": "rough smooth silk velvet leather wool rust wood stone metal",
    "object": "chair table lamp clock cup spoon book door drum key",
    "position": "left right top bottom behind above below near far inside",
    "animal": "cat wolf owl fish snake horse bear frog bee duck",
}
POOL = tuple(word for words in CONCEPTS.values() for word in words.split())
Place = tuple[int, int]


def planted_backbone(heads: dict[Place, Sequence[str]]) -> Backbone:
    """`heads`: (layer from 1, head) -> at most 8 words of the pool that it writes."""
    configuration = tiny.config(
        layers=LAYERS, vision=(WIDTH, HEADS), text=(TEXT_WIDTH, 4), image_size=16, patch_size=4, context_length=8
    )
    configuration["embed_dim"] = 64
    clip = tiny.model(configuration)
    random = torch.Generator().manual_seed(4)
    features = torch.linalg.qr(torch.randn(64, 64, generator=random))[0][: len(POOL)]
    with torch.no_grad():
        _plant_texts(clip, features, random)
        _plant_heads(clip, dict(zip(POOL, features, strict=True)), heads, random)
    return tiny.wrapped(clip)


def _plant_texts(clip: CLIP, features: Tensor, random: torch.Generator) -> None:
    """The feature of POOL[i] becomes features[i]: one block hands a word's embedding to the end of the text."""
    embeddings = _directions(TEXT_WIDTH, len(POOL), random)
    tokens = tiny.wrapped(clip).tokenize(POOL)
    assert tokens.shape[1] == 3, "each word must be one token"
    clip.token_embedding.weight.zero_()
    clip.token_embedding.weight[tokens[:, 1]] = embeddings
    clip.positional_embedding.zero_()
    for norm in (clip.transformer.resblocks[0].ln_1, clip.ln_final):
        norm.weight.fill_(1)
        norm.bias.zero_()
    for block in clip.transformer.resblocks:
        for layer in (block.attn.out_proj, block.mlp.c_proj):
            layer.weight.zero_()
            layer.bias.zero_()
    first = clip.transformer.resblocks[0].attn
    first.in_proj_weight.zero_()
    first.in_proj_bias.zero_()
    first.in_proj_weight[2 * TEXT_WIDTH :] = torch.eye(TEXT_WIDTH)
    first.out_proj.weight.copy_(torch.eye(TEXT_WIDTH))
    clip.text_projection.copy_(embeddings.T @ features)


def _plant_heads(
    clip: CLIP, features: dict[str, Tensor], heads: dict[Place, Sequence[str]], random: torch.Generator
) -> None:
    visual = clip.visual
    visual.ln_post.weight.fill_(1)
    visual.ln_post.bias.zero_()
    projection = _directions(WIDTH, 64, random).T  # (W, D), with orthonormal columns that do not see the mean
    visual.proj.copy_(projection)
    for block in visual.transformer.resblocks:
        block.attn.out_proj.weight.zero_()
        block.attn.out_proj.bias.zero_()
    for (layer, head), words in heads.items():
        out = visual.transformer.resblocks[layer - 1].attn.out_proj.weight
        for place, word in enumerate(words):
            out[:, head * HEAD_WIDTH + place] = projection @ features[word]


def _directions(width: int, count: int, random: torch.Generator) -> Tensor:
    """(count, width) orthonormal rows whose entries sum to 0."""
    drawn = torch.randn(width, count, generator=random)
    return torch.linalg.qr(drawn - drawn.mean(0))[0].T


def encode(sentences: Sequence[str]) -> Vectors:
    """Sentence vectors near those of the concept that a sentence's words are of."""
    meanings = np.eye(len(CONCEPTS), 24)
    rows = []
    for sentence in sentences:
        noise = 0.05 * generator("sentence", sentence).standard_normal(24)
        rows.append(meanings[_concept(sentence)] + noise)
    return np.stack(rows)


def _concept(sentence: str) -> int:
    for place, words in enumerate(CONCEPTS.values()):
        if sentence in words.split():
            return place
    return next(place for place, attribute in enumerate(ATTRIBUTES) if sentence in SEEDS[attribute])


ENCODER = SentenceEncoder("words", "none", encode)


def words(*counts: tuple[str, int]) -> tuple[str, ...]:
    """The first words of some concepts."""
    return tuple(word for concept, count in counts for word in CONCEPTS[concept].split()[:count])


SPECIALISTS = [*CONCEPTS, "colour", "object"]
ALL_SORTS = words(("colour", 2), ("shape", 2), ("texture", 1), ("object", 1), ("position", 1), ("animal", 1))
THREE_SORTS = words(("shape", 3), ("texture", 3), ("animal", 2))
PLANTED: dict[Place, tuple[str, ...]] = {
    **{(1, head): words((concept, 8)) for head, concept in enumerate(SPECIALISTS)},
    **{(1, head): ALL_SORTS for head in range(8, 12)},
    **{(2, head): THREE_SORTS for head in range(6)},
    **{(2, head): ALL_SORTS for head in range(6, 12)},
}
SETTINGS = Settings(concepts=len(CONCEPTS))


def pictures(count: int = 40) -> Source:
    return Source("drawings", tiny.Drawings([f"drawing/{row}" for row in range(count)]))  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def planted_table() -> RoleTable:
    pool = Pool("words.txt", POOL)
    return diagnose(planted_backbone(PLANTED), range(1, 3), pictures(), pool, ENCODER, SETTINGS)


@pytest.mark.parametrize("place", PLANTED)
def test_a_heads_texts_are_those_planted_in_it(place: Place) -> None:
    assert sorted(planted_table().head(*place).texts) == sorted(PLANTED[place])


def test_planted_roles_are_recovered_by_the_thresholds() -> None:
    table = planted_table()
    assert table.rule == "thresholds"
    assert [concept.name for concept in table.concepts[:5]] == list(ATTRIBUTES)
    assert len(table.concepts) == len(CONCEPTS)
    for place, concept in enumerate(SPECIALISTS):
        head = table.head(1, place)
        assert (head.role, head.attribute) == ("attribute", concept if concept in ATTRIBUTES else None)
        assert head.entropy == 0
    for place, texts in PLANTED.items():
        if texts == ALL_SORTS:
            assert table.head(*place).role == "generalization"
            assert table.head(*place).entropy == 2.5
        if texts == THREE_SORTS:
            assert table.head(*place).role == "mixed"
            assert table.head(*place).attribute is None
    assert table.warnings() == ()


def test_a_planted_heads_distribution_counts_its_texts() -> None:
    table = planted_table()
    names = [concept.name for concept in table.concepts]
    head: Head = table.head(2, 0)
    shares = dict(zip(names, head.distribution, strict=True))
    assert (shares["shape"], shares["texture"], shares["colour"]) == (0.375, 0.375, 0)
    assert head.entropy == pytest.approx(1.561278)


def test_two_diagnoses_give_the_same_bytes(tmp_path: Path) -> None:
    again = diagnose(planted_backbone(PLANTED), range(1, 3), pictures(), Pool("words.txt", POOL), ENCODER, SETTINGS)
    planted_table().save(tmp_path / "one.json")
    again.save(tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert RoleTable.load(tmp_path / "one.json") == again


def test_the_table_names_what_it_was_made_from() -> None:
    table, backbone, pool = planted_table(), planted_backbone(PLANTED), Pool("words.txt", POOL)
    assert table.backbone_digest == backbone.digest
    assert table.images.digest == pictures().images.digest
    assert (table.pool.digest, table.pool.count, table.encoder.name) == (pool.digest, len(POOL), "words")
    other = diagnose(backbone, range(1, 2), pictures(30), pool, ENCODER, SETTINGS)
    assert other.layers == (1,)
    assert other.images.digest != table.images.digest
    assert other.digest != table.digest


def test_a_model_with_the_layers_and_heads_of_vit_l_works() -> None:
    configuration = tiny.config(layers=24, vision=(64, 16), image_size=28, patch_size=14)
    backbone = tiny.wrapped(tiny.model(configuration))
    table = diagnose(backbone, range(21, 25), pictures(12), Pool("words.txt", POOL), ENCODER, SETTINGS)
    assert len(table.heads) == 64
    assert all(0 < len(head.texts) <= 4 for head in table.heads)
    assert table.rule in ("thresholds", "quantiles")
    table.check_fits(backbone)


@pytest.mark.parametrize("name", ["ViT-B-32", "ViT-B-16", "ViT-L-14"])
def test_the_shapes_of_the_published_backbones_are_diagnosed(name: str) -> None:
    """With all but two of the layers left out."""
    shapes = copy.deepcopy(open_clip.get_model_config(name))
    shapes["vision_cfg"]["layers"] = shapes["text_cfg"]["layers"] = 2
    backbone = tiny.wrapped(tiny.model(shapes))
    table = diagnose(backbone, range(1, 3), pictures(4), Pool("words.txt", POOL), ENCODER, SETTINGS)
    heads = {"ViT-B-32": 12, "ViT-B-16": 12, "ViT-L-14": 16}[name]
    assert (table.depth, table.width, len(table.heads)) == (2, heads, 2 * heads)


def test_attributes_are_the_requested_ones() -> None:
    pool = Pool("words.txt", POOL)
    table = diagnose(
        planted_backbone(PLANTED), range(1, 3), pictures(), pool, ENCODER, SETTINGS, attributes=("texture", "colour")
    )
    assert table.attributes == ("texture", "colour")
    assert [concept.name for concept in table.concepts[:2]] == ["texture", "colour"]
    for place, concept in enumerate(SPECIALISTS):
        assert table.head(1, place).attribute == (concept if concept in table.attributes else None)
    assert [head.role for head in table.heads] == [head.role for head in planted_table().heads]


def test_auto_takes_the_concepts_that_have_a_head_of_their_own_the_most_heads_first() -> None:
    pool = Pool("words.txt", POOL)
    table = diagnose(planted_backbone(PLANTED), range(1, 3), pictures(), pool, ENCODER, SETTINGS, attributes=None)
    served = [head.attribute for head in table.heads if head.role == "attribute"]
    assert len(table.attributes) == len(CONCEPTS)
    assert sorted({str(name) for name in served}) == sorted(table.attributes)
    counts = [len(table.serving(name)) for name in table.attributes]
    assert counts == sorted(counts, reverse=True) == [2, 2, 1, 1, 1, 1]
    with pytest.raises(UserError, match="--attributes auto: no head represents a single concept"):
        clearest(["a", "b"], [(0.5, 0.5)], ["mixed"])


def test_layers_that_do_not_exist_are_refused() -> None:
    pool = Pool("words.txt", POOL)
    for layers in (range(2, 4), range(2), range(2, 2)):
        with pytest.raises(UserError, match="layers 1 to 2"):
            diagnose(planted_backbone(PLANTED), layers, pictures(2), pool, ENCODER, SETTINGS)


def test_a_description_too_long_for_the_backbone_is_named() -> None:
    pool = Pool("words.txt", (*POOL, "red " * 9))
    with pytest.raises(UserError, match="exceeds the context of 8"):
        diagnose(planted_backbone(PLANTED), range(1, 2), pictures(2), pool, ENCODER, SETTINGS)
