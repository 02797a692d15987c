from typing import Any

import pytest
import tiny
import torch
from dear_learners import (
    BACKBONE,
    CLASSES,
    CLOSED,
    IMAGES,
    LABELS,
    MIXED,
    ROLES,
    Make,
    Roles,
    close,
    naive_features,
    random_roles,
)
from torch import Tensor

from promptarena.benchmark.backbone.head_roles import ATTRIBUTES
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.benchmark.plugins.edits import append
from promptarena.methods.dear import role_mask


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("roles", [ROLES, MIXED, CLOSED, *map(random_roles, range(4))])
def test_image_features_are_those_of_tokens_after_the_class_token_masked_pair_by_pair(
    dear: Make, roles: Roles, beta: float
) -> None:
    for first_layer in (1, 2):
        learner = dear(roles, beta=beta, first_layer=first_layer)
        expected = naive_features(learner, [learner.r_v] * (4 - first_layer), roles, beta)
        found = learner.both_image_features(IMAGES)
        assert close(found[0], expected[0], 1e-4)
        assert close(found[1], expected[1], 1e-4)
        assert torch.equal(learner.image_features(IMAGES), found[0])


def test_one_way_lets_tokens_read_the_image_in_heads_that_are_closed(dear: Make) -> None:
    learner = dear(mask_direction="one_way")
    expected = naive_features(learner, [learner.r_v] * 3, ROLES, 0.5, one_way=True)
    assert all(close(*pair, 1e-4) for pair in zip(learner.both_image_features(IMAGES), expected, strict=True))
    assert not close(learner.both_image_features(IMAGES)[1], dear().both_image_features(IMAGES)[1], 1e-2)


def test_ablated_masks_replace_the_roles_that_they_name(dear: Make) -> None:
    for mask, roles in {
        "none": MIXED,
        "all_generalization": CLOSED,
        "generalization_only": [["mixed" if kind != "generalization" else kind for kind in kinds] for kinds in ROLES],
    }.items():
        learner = dear(mask=mask)
        expected = naive_features(learner, [learner.r_v] * 3, roles, 0.5)
        assert all(close(*pair, 1e-4) for pair in zip(learner.both_image_features(IMAGES), expected, strict=True))


def test_with_generalization_heads_only_the_class_feature_is_the_frozen_one_and_no_token_sees_the_image(
    dear: Make,
) -> None:
    learner = dear(CLOSED)
    f_cls, f_k = learner.both_image_features(IMAGES)
    assert close(f_cls, IMAGES.features)
    assert close(f_k, f_k[:1].expand_as(f_k))
    f_cls.sum().backward()
    assert learner.r_v.grad is None or not learner.r_v.grad.any()
    one_way = dear(CLOSED, mask_direction="one_way")
    f_cls, f_k = one_way.both_image_features(IMAGES)
    assert close(f_cls, IMAGES.features)
    assert not close(f_k, f_k[:1].expand_as(f_k), 1e-2)


def test_a_specialist_of_something_else_is_as_closed_as_a_generalization_head(dear: Make) -> None:
    assert close(dear((("specialist",) * 3,) * 3).image_features(IMAGES), IMAGES.features)


def test_a_single_wrong_entry_of_a_mask_breaks_the_isolation() -> None:
    tokens, rows = IMAGES.tokens_at(2), torch.randn(5, 48, generator=torch.Generator().manual_seed(1))

    def f_cls(mask: Tensor) -> Tensor:
        return BACKBONE.image_features_from(tokens, start=2, edits={2: append(rows)}, bias={2: mask[None]})

    mask = role_mask(["closed"] * 3, tokens.shape[1], len(ATTRIBUTES))
    assert mask.shape == (3, 10, 10)
    assert close(f_cls(mask), IMAGES.features)
    mask[1, 0, 7] = 0
    assert not close(f_cls(mask), IMAGES.features, 1e-2)


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_attribute_head_lets_its_own_token_into_the_image_and_no_other(dear: Make, attribute: str) -> None:
    learner = dear((*CLOSED[:2], ("generalization", attribute, "generalization")), first_layer=3)
    before = learner.image_features(IMAGES)
    for name, token in zip(ATTRIBUTES, learner.r_v, strict=True):
        with torch.no_grad():
            token += torch.linspace(-2, 2, len(token))
        after = learner.image_features(IMAGES)
        assert close(after, before) == (name != attribute)
        before = after


def test_an_attribute_head_shows_the_image_to_its_own_token_only(dear: Make) -> None:
    f_k = dear((("texture",) * 3,) * 3).both_image_features(IMAGES)[1]
    equal = [close(f, f[:1].expand_as(f), 1e-4) for f in f_k.unbind(1)]
    assert equal == [name != "texture" for name in ATTRIBUTES]


def test_permuting_tokens_with_the_roles_permutes_the_attribute_features(dear: Make) -> None:
    order = [3, 0, 4, 1, 2]
    renamed = {ATTRIBUTES[old]: ATTRIBUTES[new] for new, old in enumerate(order)}
    learner, permuted = dear(), dear([[renamed.get(kind, kind) for kind in kinds] for kinds in ROLES])
    with torch.no_grad():
        permuted.r_v.copy_(learner.r_v[order])
    (f_cls, f_k), (f_cls_permuted, f_k_permuted) = (each.both_image_features(IMAGES) for each in (learner, permuted))
    assert close(f_cls_permuted, f_cls)
    assert close(f_k_permuted, f_k[:, order])
    assert not close(f_k_permuted, f_k, 1e-2)


def test_with_beta_one_every_layer_starts_from_the_learned_tokens(dear: Make) -> None:
    seen: list[Tensor] = []
    norms = [block.get_submodule("ln_1") for block in BACKBONE.vision.blocks]
    hooks = [norm.register_forward_pre_hook(lambda _, given: seen.append(given[0][:, -5:])) for norm in norms]
    learner = dear(beta=1.0)
    try:
        learner.image_features(IMAGES)
    finally:
        for hook in hooks:
            hook.remove()
    assert len(seen) == 3
    assert all(torch.equal(given, learner.r_v.expand(4, -1, -1)) for given in seen)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_no_role_table_gives_a_value_that_is_not_finite(dear: Make, precision: Any) -> None:
    backbone = tiny.backbone(precision=precision)
    images = PixelBatch(tiny.pixels(4), backbone)
    for roles in (CLOSED, MIXED, (("colour",) * 3,) * 3, *map(random_roles, range(6))):
        learner = dear(roles, backbone)
        with backbone.autocast():
            _, losses = learner.training_step(images, LABELS, learner.training_prompts(CLASSES))
            features = learner.attribute_features(images)
        learner.backward(losses)
        assert all(loss.isfinite() for loss in losses.values())
        assert features.isfinite().all()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in learner.parameters())


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_text_tokens_enter_after_the_start_and_move_the_end_of_text_back(dear: Make, beta: float) -> None:
    learner = dear(first_layer=2, beta=beta)
    found = learner.text_features(learner.prompts(CLASSES)).detach()
    for name, feature in zip(CLASSES.names, found, strict=True):
        with torch.no_grad():
            tokens = BACKBONE.text_tokens(BACKBONE.embed(BACKBONE.tokenize([f"art of the {name}."])), stop=1)
            tokens = torch.cat([tokens[:, :1], learner.r_t[None], tokens[:, 1:]], dim=1)
            tokens = BACKBONE.text.run(tokens, start=1, stop=2)
            tokens[:, 1:3] = beta * learner.r_t + (1 - beta) * tokens[:, 1:3]
            assert close(feature, BACKBONE.project_text(BACKBONE.text.run(tokens, start=2)[0, -1]), 1e-4)


def test_without_text_tokens_class_features_are_frozen_clips(dear: Make) -> None:
    learner = dear(n_text=0)
    frozen = BACKBONE.encode_text(BACKBONE.embed(BACKBONE.tokenize(CLASSES.filled())))
    assert close(learner.text_features(learner.prompts(CLASSES)), frozen)
