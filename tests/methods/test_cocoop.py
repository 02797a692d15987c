"""CoCoOp: each image shifts the context, and sees class features of its own."""

from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods import cocoop as module
from promptarena.methods.cocoop import CoCoOp, CoCoOpConfig
from promptarena.methods.coop import CoOp, CoOpConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.")
NOVEL = Classes(("wren", "sea lion"), "art of the {}.")
LABELS = torch.tensor([0, 1, 2, 1])


def wide(precision: Any = "fp32") -> Backbone:
    """D = 64, so that the Meta-Net has four hidden units."""
    return tiny.wrapped(tiny.model(tiny.config() | {"embed_dim": 64}), precision)


BACKBONE = wide()
IMAGES = PixelBatch(tiny.pixels(4), BACKBONE)
FEATURES = F.normalize(IMAGES.features, dim=-1)


def cocoop(seed: int = 0, **config: Any) -> CoCoOp:
    return CoCoOp(BACKBONE, CoCoOpConfig(**config), CLASSES, torch.Generator().manual_seed(seed))


def logits(learner: Any, classes: Classes = CLASSES, images: Any = IMAGES) -> Tensor:
    found: Tensor = learner.logits(images, learner.classifier(learner.prompts(classes)))
    return found


def coop(context: Tensor) -> CoOp:
    learner = CoOp(BACKBONE, CoOpConfig(ctx_init="", n_ctx=len(context)), CLASSES, torch.Generator())
    with torch.no_grad():
        learner.context.copy_(context)
    return learner


def zeroshot(template: str) -> Tensor:
    return logits(ZeroShot(BACKBONE, ZeroShotConfig(templates=(template,)), CLASSES, torch.Generator()))


def silence(learner: CoCoOp) -> CoCoOp:
    with torch.no_grad():
        learner.get_parameter("metanet.linear2.weight").zero_()
        learner.get_parameter("metanet.linear2.bias").zero_()
    return learner


def close(one: Tensor, other: Tensor, relative: float = 1e-4) -> bool:
    return bool((one - other).abs().max() <= relative * other.abs().max())


def test_without_a_shift_it_is_coop_and_with_words_zero_shot() -> None:
    drawn = silence(cocoop(ctx_init="", n_ctx=6))
    assert close(logits(drawn), logits(coop(drawn.context)))
    assert close(logits(silence(cocoop())), zeroshot("a photo of a {}."))
    assert close(logits(silence(cocoop(ctx_init="tyrannosaurus_of"))), zeroshot("tyrannosaurus of {}."))


def test_a_constant_shift_is_coop_with_a_shifted_context() -> None:
    learner, shift = silence(cocoop()), 0.1 * torch.randn(32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        learner.get_parameter("metanet.linear2.bias").copy_(shift)
    assert close(logits(learner), logits(coop(learner.context + shift)))
    assert not close(logits(learner), zeroshot("a photo of a {}."), 1e-3)


def test_the_metanet_shifts_the_context_from_the_start() -> None:
    assert not close(logits(cocoop()), zeroshot("a photo of a {}."), 1e-3)


def spelled_out(learner: CoCoOp) -> Tensor:
    """One image and one class at a time, whole prompts."""
    named = dict(learner.named_parameters())
    rows = []
    for feature in FEATURES:
        hidden = named["metanet.linear1.weight"] @ feature + named["metanet.linear1.bias"]
        shift = named["metanet.linear2.weight"] @ hidden.clamp(min=0) + named["metanet.linear2.bias"]
        for name in CLASSES.names:
            plain = BACKBONE.embed(BACKBONE.tokenize([f"a photo of a {name}."]))
            start, rest = plain.embeddings[0, :1], plain.embeddings[0, 5:]
            prompt = torch.cat([start, named["context"] + shift, rest])[None]
            text = BACKBONE.encode_text(Prompts(prompt, plain.eot))[0]
            rows.append(BACKBONE.scale * feature @ text / text.norm())
    return torch.stack(rows).view(4, 3)


def test_logits_and_gradients_are_those_of_single_prompts() -> None:
    learner, naive = cocoop(seed=2), cocoop(seed=2)
    found, losses = learner.training_step(IMAGES, LABELS, learner.prompts(CLASSES))
    expected = spelled_out(naive)
    assert close(found, expected)
    sum(losses.values(), torch.zeros(())).backward()
    F.cross_entropy(expected, LABELS).backward()
    for (name, one), other in zip(learner.named_parameters(), naive.parameters(), strict=True):
        assert one.grad is not None, name
        assert other.grad is not None, name
        assert other.grad.any(), name
        assert close(one.grad, other.grad, 1e-3), name


def test_each_image_has_its_own_class_features() -> None:
    learner = cocoop()
    features = learner.conditioned_features(FEATURES, learner.prompts(NOVEL))
    assert features.shape == (4, 2, 64)
    assert not close(features[0], features[1], 1e-3)
    assert close(features[2:3], learner.conditioned_features(FEATURES[2:3], learner.prompts(NOVEL)))


@pytest.mark.parametrize("at_once", [1, 7, 9])
def test_encoding_a_few_images_at_once_changes_nothing(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = cocoop()
    whole = logits(learner)
    monkeypatch.setattr(module, "PROMPTS_AT_ONCE", at_once)
    assert close(logits(learner), whole)


def test_the_length_of_an_image_feature_does_not_matter() -> None:
    learner = cocoop()
    assert close(logits(learner, images=tiny.Given(5 * IMAGES.features)), logits(learner))


def test_one_class_does_not_feel_the_length_of_another() -> None:
    learner = cocoop()
    longer = Classes((*CLASSES.names, "a class with a rather long name"), CLASSES.template)
    assert close(logits(learner, longer)[:, :3], logits(learner))


def test_the_metanet_starts_as_linear_layers_do_and_the_context_as_words_or_drawn() -> None:
    learner = cocoop()
    for layer, inputs in (("linear1", 64), ("linear2", 4)):
        for tensor in ("weight", "bias"):
            values = learner.get_parameter(f"metanet.{layer}.{tensor}").detach().abs()
            assert 0.3 * inputs**-0.5 < float(values.max()) <= inputs**-0.5
    words = BACKBONE.embed(BACKBONE.tokenize(["a photo of a"])).embeddings[0, 1:5]
    assert torch.equal(learner.context, words)
    assert cocoop(ctx_init="").context.shape == (4, 32)
    assert abs(float(cocoop(ctx_init="", n_ctx=16).context.detach().std()) - 0.02) < 0.003


def parameters(m: int, embed_dim: int, width: int) -> int:
    hidden = embed_dim // 16
    return m * width + (embed_dim * hidden + hidden) + (hidden * width + width)


def test_it_has_the_published_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in cocoop().parameters()) == parameters(4, 64, 32)
    assert parameters(4, 512, 512) == 35_360


def test_in_half_precision_it_nearly_agrees() -> None:
    backbone = wide("bf16")
    learner = CoCoOp(backbone, CoCoOpConfig(), CLASSES, torch.Generator().manual_seed(0))
    with backbone.autocast():
        found, losses = learner.training_step(tiny.Given(IMAGES.features), LABELS, learner.prompts(CLASSES))
    losses["cross_entropy"].backward()
    assert losses["cross_entropy"].dtype == torch.float32
    assert close(found.float(), logits(cocoop()), 0.1)
    assert all(parameter.grad is not None for parameter in learner.parameters())


def test_contradictory_or_too_long_contexts_are_refused() -> None:
    with pytest.raises(ValidationError, match="n_ctx is 3 but ctx_init has 2 words"):
        CoCoOpConfig(ctx_init="a photo", n_ctx=3)
    with pytest.raises(ValidationError, match="Extra inputs"):
        CoCoOpConfig(class_token_position="front")  # type: ignore[call-arg]
    with pytest.raises(UserError, match="exceeds the context of 24"):
        cocoop(ctx_init="", n_ctx=21).prompts(CLASSES)


@pytest.mark.parametrize("protocol", ["base-to-novel", "cross-dataset", "domain-generalization"])
def test_the_preset_is_the_released_one(protocol: Any) -> None:
    config, recipe = CoCoOp.preset(tiny.training_task(protocol, 16))
    assert config == CoCoOpConfig(ctx_init="a photo of a", n_ctx=None)
    assert recipe == Recipe(epochs=10, batch_size=1, lr=0.002)
