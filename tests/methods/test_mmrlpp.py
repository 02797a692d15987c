"""MMRL++: MMRL with shared aligners, blended tokens and CLIP's own projection."""

from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.mmrl import MMRL, MMRLConfig
from promptarena.methods.mmrlpp import MMRLPP, MMRLPPConfig

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.", "eurosat")
SMALL = {"rep_layers": (2, 3), "rep_dim": 16, "n_rep_tokens": 3}
LABELS = torch.tensor([0, 1, 2, 1])


def images() -> PixelBatch:
    return PixelBatch(tiny.pixels(4), tiny.backbone())


def mmrlpp(seed: int = 0, **config: Any) -> MMRLPP:
    settings = MMRLPPConfig(**SMALL, **{"residual_rank": 2, "projection_rank": 4, **config})
    return MMRLPP(tiny.backbone(), settings, CLASSES, torch.Generator().manual_seed(seed))


def drawn(learner: MMRLPP) -> MMRLPP:
    """With all tensors away from zero."""
    random = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=random)
    return learner


def logits(learner: Any, classes: Classes = CLASSES) -> Tensor:
    return learner.logits(images(), learner.classifier(learner.prompts(classes)))


def test_it_is_mmrl_when_tokens_overwrite_and_residuals_are_zero() -> None:
    learner = mmrlpp(beta=1.0)
    plain = MMRL(tiny.backbone(), MMRLConfig(**SMALL), CLASSES, torch.Generator())
    with torch.no_grad():
        plain.r.copy_(learner.r)
        for aligners, shared in ((plain.f_v, learner.v), (plain.f_t, learner.t)):
            for aligner, bias in zip(aligners, shared.bias, strict=True):
                aligner.weight.copy_(shared.weight)
                aligner.bias.copy_(bias)
        plain.w_r.copy_(learner.backbone.model.visual.proj)
    for ours, theirs in zip(learner.both_image_features(images()), plain.both_image_features(images()), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    found, expected = (one.text_features(one.prompts(CLASSES)) for one in (learner, plain))
    assert torch.allclose(found, expected, atol=1e-5)


def test_blended_tokens_keep_a_share_of_what_the_block_before_made_of_them() -> None:
    learner = drawn(mmrlpp(beta=0.3))
    r, k = learner.r, 3
    tokens = images().tokens_at(1)
    first, second = learner.v(r)
    tokens = torch.cat([tokens[:, :1], first.expand(4, -1, -1), tokens[:, 1:]], dim=1)
    tokens = learner.backbone.vision.run(tokens, start=1, stop=2)
    tokens = torch.cat([tokens[:, :1], 0.3 * second + 0.7 * tokens[:, 1 : 1 + k], tokens[:, 1 + k :]], dim=1)
    tokens = learner.backbone.normalize_image(learner.backbone.vision.run(tokens, start=2))
    f_c, f_r = learner.both_image_features(images())
    projection = learner.backbone.model.visual.proj
    assert torch.allclose(f_c, tokens[:, 0] @ projection, atol=1e-5)
    assert torch.allclose(f_r, tokens[:, 1 : 1 + k].mean(1) @ (projection + learner.a @ learner.b), atol=1e-5)


def test_gradients_pass_through_blended_tokens() -> None:
    """What the block before made of them is not detached."""
    learner, vision = drawn(mmrlpp(beta=0.4)), tiny.backbone().vision
    first, second = learner.v(learner.r)
    tokens = images().tokens_at(1)
    tokens = torch.cat([tokens[:, :1], first.expand(4, -1, -1), tokens[:, 1:]], dim=1)
    tokens = vision.run(tokens, start=1, stop=2)
    tokens = torch.cat([tokens[:, :1], 0.4 * second + 0.6 * tokens[:, 1:4], tokens[:, 4:]], dim=1)
    plain = learner.backbone.project_image(vision.run(tokens, start=2)[:, 0])
    (expected,) = torch.autograd.grad(plain.sum(), [learner.v.bias[0]])
    (found,) = torch.autograd.grad(learner.both_image_features(images())[0].sum(), [learner.v.bias[0]])
    assert expected.any()
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_both_branches_score_trained_classes_of_the_training_dataset_only() -> None:
    learner = drawn(mmrlpp())
    f_c, f_r = learner.branches(images(), learner.classifier(learner.prompts(CLASSES))[0])
    assert torch.equal(logits(learner), learner.fuse(f_c, f_r))
    other = Classes(CLASSES.names, CLASSES.template, "dtd")
    assert torch.allclose(logits(learner, other), f_c, atol=1e-5)


def test_a_target_has_its_own_beta_only_on_request() -> None:
    target = Classes(("stripes", "dots"), "art of the {}.", "stanford_cars")
    plain, tuned = (drawn(mmrlpp(beta=0.9, tuned_targets=on)) for on in (False, True))
    assert plain.prompts(target).beta == 0.9
    assert tuned.prompts(target).beta == 0.3
    assert tuned.prompts(CLASSES).beta == 0.9
    assert not torch.allclose(logits(tuned, target), logits(plain, target), atol=1e-3)
    assert torch.allclose(logits(tuned, target), logits(drawn(mmrlpp(beta=0.3)), target), atol=1e-4)


def test_how_it_starts() -> None:
    learner = mmrlpp()
    assert not learner.b.any()
    for aligner in (learner.v, learner.t):
        assert not any(b.any() for b in aligner.b)
        assert all(torch.equal(bias, aligner.bias[0]) for bias in aligner.bias)
        assert not torch.equal(aligner.a[0], aligner.a[1])
        assert float(aligner.a[0].abs().max()) <= 2**-0.5
        assert float(aligner.weight.abs().max()) <= 16**-0.5


def test_the_published_size() -> None:
    text, vision, d, k = 512, 768, 512, 5
    aligners = sum(width * d + 7 * (width * 4 + 4 * d + width) for width in (text, vision))
    assert k * d + aligners + vision * 64 + 64 * d == 813_312


@pytest.mark.parametrize(
    ("protocol", "is_source", "dataset", "expected"),
    [
        ("base-to-novel", False, "eurosat", (10, 4, 1e-3, 1, 0.2, 0.01)),
        ("few-shot", False, "food101", (100, 32, 2e-3, 1, 0.1, 1.0)),
        ("few-shot", True, "imagenet", (5, 32, 1e-3, 1, 0.9, 0.2)),
        ("cross-dataset", True, "imagenet", (1, 32, 1e-3, 0, 0.9, 0.1)),
        ("base-to-novel", False, "", (10, 4, 1e-3, 1, 0.9, 1.0)),
    ],
)
def test_the_preset_is_the_released_one(protocol: Any, is_source: bool, dataset: str, expected: Any) -> None:
    task = tiny.training_task(protocol).model_copy(update={"is_source": is_source, "dataset": dataset})
    config, recipe = MMRLPP.preset(task)
    found = recipe.epochs, recipe.batch_size, recipe.lr, recipe.warmup_epochs, config.beta, config.reg_weight
    assert found == expected
    assert (recipe.optimizer, recipe.crop_scale, config.rep_dim) == ("adamw", (0.5, 1.0), 512)
    assert not config.tuned_targets
