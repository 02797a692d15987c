"""DePT: a linear head beside a host, which it leaves as it is."""

from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from depts import CLASSES, NAMES, dept, each_host, settings
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.dept import DePT
from promptarena.methods.dept_plus import DePTCoOp, DePTKgCoOp, DePTMaPLe

LABELS = torch.tensor([0, 1, 2, 1])


def images() -> PixelBatch:
    return PixelBatch(tiny.pixels(4), tiny.backbone())


def logits(learner: Any, classes: Classes = CLASSES) -> Tensor:
    return learner.logits(images(), learner.classifier(learner.prompts(classes)))


@each_host
def test_without_weight_it_is_the_host_bit_for_bit(kind: type[DePT]) -> None:
    learner = dept(kind, head_weight=0.0)
    host = kind.host_type(
        tiny.backbone(), kind.config_type(**settings(kind)), CLASSES, torch.Generator().manual_seed(0)
    )
    assert torch.equal(logits(learner), logits(host))
    for one in (learner, host):
        one.backward(one.training_step(images(), LABELS, one.training_prompts(CLASSES))[1])
    gradients = {name: parameter.grad for name, parameter in host.named_parameters()}
    assert all(torch.equal(learner.host.get_parameter(name).grad, expected) for name, expected in gradients.items())


@each_host
def test_the_loss_is_that_of_both_heads_and_the_hosts_other_terms(kind: type[DePT]) -> None:
    learner = dept(kind, head_weight=0.6)
    prompts = learner.training_prompts(CLASSES)
    _, losses = learner.training_step(images(), LABELS, prompts)
    host_logits, host = learner.host.training_step(images(), LABELS, prompts.host)
    plain = learner.prompts(CLASSES).host
    f, g = learner.host.image_features(images()), learner.host.text_features(plain)
    u, v = learner.image_scale * f + learner.image_bias, learner.text_scale * g + learner.text_bias
    rows = torch.cat([v[LABELS], u]) @ learner.head.weight.T + learner.head.bias
    assert len(rows) == 2 * len(LABELS)
    expected = {**host, "cross_entropy": 0.4 * F.cross_entropy(host_logits, LABELS)}
    expected["head"] = 0.6 * F.cross_entropy(rows, LABELS.repeat(2))
    assert losses.keys() == expected.keys()
    for name, term in expected.items():
        assert torch.allclose(losses[name], term, rtol=1e-4, atol=1e-6), name
    fused = 0.4 * host_logits + 0.6 * (u @ learner.head.weight.T + learner.head.bias)
    assert torch.allclose(logits(learner), fused, atol=1e-4)


@pytest.mark.parametrize(
    ("names", "dataset", "fused"),
    [
        (NAMES, "imagenet", True),
        (NAMES, "imagenetv2", True),
        (NAMES, "imagenet-sketch", True),
        (NAMES[1:], "imagenet-a", True),
        (NAMES, "caltech101", False),
        (("red fox", "a stranger"), "imagenet", False),
    ],
)
def test_the_head_scores_trained_classes_of_the_dataset_and_its_variants(
    names: tuple[str, ...], dataset: str, fused: bool
) -> None:
    learner = dept()
    classes = Classes(names, "art of the {}.", dataset)
    before = logits(learner, classes)
    with torch.no_grad():
        learner.head.bias += torch.arange(3)
    shift = 0.7 * torch.arange(3)[[NAMES.index(name) for name in names]] if fused else 0.0
    assert torch.allclose(logits(learner, classes), before + shift, atol=1e-4)


def test_permuted_names_permute_the_logits() -> None:
    learner, order = dept(), [2, 0, 1]
    permuted = Classes(tuple(NAMES[place] for place in order), CLASSES.template, CLASSES.dataset)
    assert torch.allclose(logits(learner, permuted), logits(learner)[:, order], atol=1e-4)


def test_it_starts_with_unscaled_channels_and_the_published_number_of_parameters() -> None:
    learner = DePTCoOp(tiny.backbone(), DePTCoOp.config_type(), CLASSES, torch.Generator())
    d = tiny.backbone().embed_dim
    added = sum(parameter.numel() for name, parameter in learner.named_parameters() if not name.startswith("host."))
    assert added == 4 * d + (d + 1) * 3
    assert torch.equal(learner.image_scale, torch.ones(d))
    assert not learner.text_bias.any()


def test_what_is_added_has_the_higher_rate_but_not_in_the_warm_up() -> None:
    learner = dept(DePTMaPLe)
    factors = {name.startswith("host."): learner.lr_factor(name) for name, _ in learner.named_parameters()}
    assert factors == {True: 1.0, False: 6.5}
    for kind in (DePTCoOp, DePTKgCoOp, DePTMaPLe):
        recipe = kind.preset(tiny.training_task())[1]
        assert (recipe.epochs, recipe.batch_size, recipe.lr, recipe.factors_in_warmup) == (10, 4, 0.0035, False)
