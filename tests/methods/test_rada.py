"""RAda: the mask of the rational matrix against its definition written out, and where it starts."""

import itertools
import math
from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from torch import Tensor

import promptarena.methods.rada as rada
from promptarena.benchmark.backbone.clip import Precision
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.rada import RAda, RAdaConfig, RationalAttention, RationalConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

D = 24
MODEL = tiny.model(tiny.config() | {"embed_dim": D})
BACKBONE = tiny.wrapped(MODEL)
CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.")
IMAGES = PixelBatch(tiny.pixels(4), BACKBONE)
LABELS = torch.tensor([0, 1, 2, 1])
MAPS = ("q1", "q2", "q3", "k", "v", "o")


def learner(precision: Precision = "fp32", **config: Any) -> RAda:
    backbone = tiny.wrapped(MODEL, precision)
    return RAda(backbone, RAdaConfig(**config), CLASSES, torch.Generator().manual_seed(0))


def moved(precision: Precision = "fp32", **config: Any) -> RAda:
    """With an output map that is not 0."""
    found, drawn = learner(precision, **config), torch.Generator().manual_seed(1)
    with torch.no_grad():
        found.attention.o.weight.copy_(0.3 * torch.randn(D, D, generator=drawn))
        found.attention.o.bias.copy_(0.3 * torch.randn(D, generator=drawn))
    return found


def inputs(images: int = 3, classes: int = 4, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(seed)
    rows = [F.normalize(torch.randn(count, D, generator=drawn), dim=-1) for count in (images, classes)]
    return rows[0], rows[1], torch.tensor(16.0)


def naive_mask(attention: RationalAttention, z: Tensor, t: Tensor, s: Tensor) -> Tensor:
    """Image by image and head by head, with every map in full."""
    state, head = attention.state_dict(), D // 8
    tau, joint = attention.config.temperature, attention.config.softmax == "joint"
    count = len(t)

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    masks = []
    for image in z:
        products = torch.stack([image * text for text in t])
        queries = (math.sqrt(s) * torch.stack([image] * count), math.sqrt(s) * t, s * products)
        keys, values = linear("k", s * products), linear("v", s * products)
        mixed = torch.zeros(count, D)
        for number in range(8):
            part = slice(number * head, (number + 1) * head)
            maps = []
            for name, query in zip(("q1", "q2", "q3"), queries, strict=True):
                scores = linear(name, query)[:, part] @ keys[:, part].T / math.sqrt(head)
                if joint:
                    weights = (scores / tau).exp()
                    maps.append(count * weights / weights.sum())
                else:
                    maps.append((scores / tau).softmax(dim=1))
            mixed[:, part] = sum(maps[1:], maps[0]) / 3 @ values[:, part]
        masks.append((1 + linear("o", mixed)).clamp_min(0))
    return torch.stack(masks)


@torch.no_grad()
def logits(found: RAda, classes: Classes = CLASSES, images: PixelBatch = IMAGES) -> Tensor:
    return found.logits(images, found.classifier(found.prompts(classes)))


def close(one: Tensor, other: Tensor, relative: float = 1e-5) -> bool:
    return bool((one - other).abs().max() <= relative * other.abs().max())


@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize(("softmax", "tau"), [("joint", 1.0), ("joint", 0.5), ("row", 0.5)])
@torch.no_grad()
def test_the_mask_is_the_attention_written_out(softmax: Any, tau: float, classes: int) -> None:
    attention = moved(softmax=softmax, temperature=tau).attention
    given = inputs(classes=classes)
    mask = attention(*given)
    assert mask.shape == (3, classes, D)
    assert close(mask, naive_mask(attention, *given))
    assert (mask == 0).any()


@torch.no_grad()
def test_the_two_softmaxes_differ() -> None:
    assert not close(moved(softmax="row").attention(*inputs()), moved().attention(*inputs()), 1e-2)


@torch.no_grad()
def test_logits_sum_the_masked_products() -> None:
    found = moved()
    z = F.normalize(IMAGES.features, dim=-1)
    t = F.normalize(found.prompts(CLASSES), dim=-1)
    mask = naive_mask(found.attention, z, t, BACKBONE.scale)
    expected = torch.zeros(4, 3)
    for image, label in itertools.product(range(4), range(3)):
        expected[image, label] = BACKBONE.scale * (mask[image, label] * z[image] * t[label]).sum()
    assert close(logits(found), expected)
    assert not close(logits(found), logits(learner()), 1e-2)


def test_it_starts_as_zero_shot_with_one_template_for_every_dataset() -> None:
    plain = ZeroShot(BACKBONE, ZeroShotConfig(templates=("a photo of a {}.",)), CLASSES, torch.Generator())
    with torch.no_grad():
        expected = plain.logits(IMAGES, plain.classifier(plain.prompts(CLASSES)))
        assert torch.equal(learner().attention(*inputs()), torch.ones(3, 4, D))
    assert close(logits(learner()), expected)
    found = learner()
    _, losses = found.training_step(IMAGES, LABELS, found.training_prompts(CLASSES))
    assert not losses["mask"].any()
    assert close(losses["cross_entropy"], F.cross_entropy(expected, LABELS))


def test_the_first_step_reaches_the_output_map_only_and_the_second_all() -> None:
    found = learner()
    optimizer = torch.optim.SGD(found.parameters(), lr=0.1)
    reached = []
    for _ in range(2):
        optimizer.zero_grad()
        _, losses = found.training_step(IMAGES, LABELS, found.training_prompts(CLASSES))
        torch.stack(list(losses.values())).sum().backward()
        reached.append({name.split(".")[1] for name, tensor in found.named_parameters() if tensor.grad.any()})
        optimizer.step()
    assert reached == [{"o"}, set(MAPS)]


def test_the_penalty_is_the_largest_deviation_of_each_image() -> None:
    found = moved(alpha=0.7)
    z = F.normalize(IMAGES.features, dim=-1)
    t = F.normalize(found.prompts(CLASSES), dim=-1)
    mask = naive_mask(found.attention, z, t, BACKBONE.scale)
    found_logits, losses = found.training_step(IMAGES, LABELS, found.training_prompts(CLASSES))
    expected = 0.7 * sum(float((image - 1).abs().max()) for image in mask) / 4
    assert losses["mask"].item() == pytest.approx(expected, rel=1e-5)
    assert close(losses["cross_entropy"], F.cross_entropy(logits(found), LABELS))
    assert close(found_logits.detach(), logits(found))


def test_permuted_classes_permute_the_logits_and_other_classes_change_them() -> None:
    found = moved()
    order = [2, 0, 1]
    permuted = Classes(tuple(CLASSES.names[label] for label in order), CLASSES.template)
    assert close(logits(found, permuted), logits(found)[:, order])
    fewer = Classes(CLASSES.names[:2], CLASSES.template)
    assert not close(logits(found, fewer), logits(found)[:, :2], 1e-3)


@torch.no_grad()
def test_an_image_does_not_see_the_others() -> None:
    attention = moved().attention
    z, t, s = inputs()
    other = torch.stack([z[0], -z[1], z[2].flip(0)])
    assert close(attention(other, t, s)[0], attention(z, t, s)[0])
    assert not close(attention(other, t, s)[1], attention(z, t, s)[1], 1e-2)


@torch.no_grad()
def test_large_maps_are_computed_a_few_images_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    attention = moved().attention
    given = inputs(images=7, classes=5)
    whole = attention(*given)
    sizes = []
    attention.k.register_forward_hook(lambda _module, _inputs, keys: sizes.append(len(keys)))
    for entries in (1, 8 * 25 * 3):
        monkeypatch.setattr(rada, "LARGEST_MAP", entries)
        assert close(attention(*given), whole)
    assert sizes == [1] * 7 + [3, 3, 1]


def test_the_mask_is_computed_in_float32_in_mixed_precision() -> None:
    found = moved("bf16")
    given = inputs()
    exact = found.attention(*given).detach()
    with found.backbone.autocast():
        assert torch.equal(found.attention(*given), exact)
        mask = found.attention(*(tensor.bfloat16() for tensor in given[:2]), given[2])
        assert mask.dtype == torch.float32
        assert close(mask, exact, 0.1)


def test_it_has_the_published_number_of_parameters() -> None:
    attention = RationalAttention(512, RationalConfig(), torch.Generator().manual_seed(0))
    assert sum(parameter.numel() for parameter in attention.parameters()) == 1_575_936


def test_eight_heads_must_divide_the_embedding() -> None:
    with pytest.raises(UserError, match="8 heads do not divide the embedding size 20"):
        RationalAttention(20, RationalConfig(), torch.Generator())


@pytest.mark.parametrize("protocol", ["base-to-novel", "cross-dataset", "domain-generalization", "few-shot"])
def test_one_preset_serves_all_protocols(protocol: Any) -> None:
    config, recipe = RAda.preset(tiny.training_task(protocol))
    assert (config.alpha, config.softmax, config.template) == (0.01, "joint", "a photo of a {}.")
    assert (recipe.optimizer, recipe.lr, recipe.weight_decay, recipe.epochs) == ("adam", 1e-3, 5e-4, 10)
    assert (recipe.batch_size, recipe.warmup_epochs, recipe.warmup_lr) == (32, 1, 1e-5)
