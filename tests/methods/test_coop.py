"""CoOp: the prompt is assembled as the paper says, and only the context learns."""

from typing import Any

import pytest
import tiny
import torch
from pydantic import ValidationError
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.benchmark.plugins.learner import CannotTransferError
from promptarena.methods.coop import CoOp, CoOpConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.")
NOVEL = Classes(("wren", "sea lion"), "art of the {}.")
IMAGES = PixelBatch(tiny.pixels(4), tiny.backbone())
LABELS = torch.tensor([0, 1, 2, 1])


def coop(seed: int = 0, classes: Classes = CLASSES, **config: Any) -> CoOp:
    return CoOp(tiny.backbone(), CoOpConfig(**config), classes, torch.Generator().manual_seed(seed))


def logits(learner: Any, classes: Classes = CLASSES) -> Tensor:
    found: Tensor = learner.logits(IMAGES, learner.classifier(learner.prompts(classes)))
    return found


def zeroshot(template: str, classes: Classes = CLASSES) -> Tensor:
    return logits(ZeroShot(tiny.backbone(), ZeroShotConfig(templates=(template,)), classes, torch.Generator()), classes)


def close(one: Tensor, other: Tensor, relative: float = 1e-4) -> bool:
    """Equal up to the rounding of encoding the shared beginning apart."""
    return bool((one - other).abs().max() <= relative * other.abs().max())


@pytest.mark.parametrize("classes", [CLASSES, NOVEL])
def test_with_words_it_starts_as_zero_shot(classes: Classes) -> None:
    assert close(logits(coop(ctx_init="a photo of a"), classes), zeroshot("a photo of a {}.", classes))
    assert close(logits(coop(ctx_init="a_photo_of a"), classes), zeroshot("a photo of a {}.", classes))


@pytest.mark.parametrize(
    ("position", "template"),
    [("end", "a photo of a {}."), ("middle", "a photo {} of a."), ("front", "{} a photo of a.")],
)
def test_each_position_is_the_prompt_written_by_hand(position: str, template: str) -> None:
    learner = coop(ctx_init="a photo of a", class_token_position=position)
    assert close(logits(learner), zeroshot(template))


def test_an_odd_context_is_split_after_its_smaller_half() -> None:
    learner = coop(ctx_init="one big photo", class_token_position="middle")
    assert close(logits(learner), zeroshot("one {} big photo."))


def test_a_word_of_several_tokens_leaves_the_rest_frozen() -> None:
    backbone = tiny.backbone()
    phrase = "tyrannosaurus of"
    assert sum(backbone.token_counts([phrase])) > 2
    learner = coop(ctx_init=phrase)
    assert learner.context.shape == (2, 32)
    assert close(logits(learner), zeroshot("tyrannosaurus of {}."))


def test_a_drawn_context_has_the_published_spread() -> None:
    learner = coop(ctx_init="", n_ctx=16)
    assert learner.context.shape == (16, 32)
    context = learner.context.detach()
    assert abs(float(context.std()) - 0.02) < 0.003
    assert abs(float(context.mean())) < 0.003
    assert torch.equal(learner.context, coop(ctx_init="").context)
    assert not torch.equal(learner.context, coop(seed=1, ctx_init="").context)


@pytest.mark.parametrize("position", ["end", "middle", "front"])
def test_only_the_context_has_a_gradient(position: str) -> None:
    learner = coop(ctx_init="", n_ctx=3, class_token_position=position)
    _, losses = learner.training_step(IMAGES, LABELS, learner.prompts(CLASSES))
    losses["cross_entropy"].backward()
    assert [name for name, _ in learner.named_parameters()] == ["context"]
    assert learner.context.grad is not None
    assert learner.context.grad.abs().sum(-1).all()


def test_equal_class_specific_contexts_are_the_unified_one() -> None:
    unified, specific = coop(ctx_init="", n_ctx=4), coop(ctx_init="", n_ctx=4, class_specific=True)
    assert specific.context.shape == (3, 4, 32)
    with torch.no_grad():
        specific.context.copy_(unified.context.expand(3, -1, -1))
    assert close(logits(specific), logits(unified))
    for learner in (unified, specific):
        _, losses = learner.training_step(IMAGES, LABELS, learner.prompts(CLASSES))
        losses["cross_entropy"].backward()
    assert unified.context.grad is not None
    assert specific.context.grad is not None
    assert close(specific.context.grad.sum(0), unified.context.grad, 1e-4)


def test_class_specific_contexts_cannot_transfer() -> None:
    learner = coop(ctx_init="", class_specific=True)
    with pytest.raises(CannotTransferError, match="trained on"):
        learner.prompts(NOVEL)


def test_one_class_does_not_feel_the_length_of_another() -> None:
    learner = coop(ctx_init="", n_ctx=4)
    longer = Classes((*CLASSES.names, "a class with a rather long name"), CLASSES.template)
    assert close(logits(learner, longer)[:, :3], logits(learner))


def test_a_loaded_context_serves_new_names() -> None:
    learner = coop(seed=3, ctx_init="", n_ctx=4)
    other = coop(seed=4, ctx_init="", n_ctx=4, classes=NOVEL)
    other.load_state_dict(learner.state_dict())
    assert torch.equal(logits(other, NOVEL), logits(learner, NOVEL))
    assert torch.equal(logits(other), logits(learner))


def test_the_context_must_fit() -> None:
    with pytest.raises(UserError, match="exceeds the context of 24"):
        logits(coop(ctx_init="", n_ctx=21))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"ctx_init": "a photo", "n_ctx": 3}, "n_ctx is 3 but ctx_init has 2 words"),
        ({"class_specific": True}, "class_specific needs a drawn context"),
        ({"n_ctx": 0}, "greater than or equal to 1"),
        ({"nctx": 4}, "Extra inputs"),
    ],
)
def test_contradictory_settings_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CoOpConfig(**config)


@pytest.mark.parametrize(
    ("protocol", "shots", "is_source", "epochs", "words"),
    [
        ("base-to-novel", 16, False, 200, "a photo of a"),
        ("base-to-novel", 16, True, 50, "a photo of a"),
        ("cross-dataset", 16, True, 50, "a photo of a"),
        ("domain-generalization", 16, True, 50, "a photo of a"),
        ("few-shot", 1, False, 50, ""),
        ("few-shot", 2, False, 100, ""),
        ("few-shot", 4, False, 100, ""),
        ("few-shot", 8, False, 200, ""),
        ("few-shot", 16, False, 200, ""),
        ("few-shot", 16, True, 50, ""),
    ],
)
def test_presets_are_the_released_ones(protocol: Any, shots: int, is_source: bool, epochs: int, words: str) -> None:
    config, recipe = CoOp.preset(tiny.training_task(protocol, shots, is_source))
    assert config == CoOpConfig(ctx_init=words)
    expected = Recipe(epochs=epochs, batch_size=32, lr=0.002)
    assert recipe == expected
    assert (recipe.optimizer, recipe.momentum, recipe.weight_decay, recipe.warmup_lr) == ("sgd", 0.9, 5e-4, 1e-5)
