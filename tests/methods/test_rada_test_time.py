"""RAda adapted to each image as it is scored."""

from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from rada_kinds import BACKBONE, CLASSES, IMAGES, LABELS, close, gradient_step, logits, plain, seeded
from torch import Tensor

from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.rada import RAda
from promptarena.methods.rada_test_time import RAdaTestTime, RAdaTestTimeConfig, drawn_crops


def adapting(seed: int = 0, **config: Any) -> RAdaTestTime:
    settings = {"views": 6, "keep": 0.5, "lr": 0.01} | config
    learner = RAdaTestTime(BACKBONE, RAdaTestTimeConfig(**settings), CLASSES, seeded(seed))
    learner.eval()
    return learner


def naively_adapted(learner: RAdaTestTime) -> Tensor:
    """Image by image: views, the confident half of them, one AdamW step (whose first is lr g / |g|), the image."""
    found = []
    t = F.normalize(learner.prompts(CLASSES), dim=-1)
    for image in IMAGES.pixels:
        z = F.normalize(BACKBONE.encode_image(learner.views(image)), dim=-1).detach()
        adapted = plain()
        adapted.load_state_dict({name: tensor for name, tensor in learner.state_dict().items() if name != "crops"})
        probabilities = [row.softmax(0).detach() for row in adapted.similarity(z, t)]
        entropies = [float(-(p * p.log()).sum()) for p in probabilities]
        kept = sorted(range(6), key=entropies.__getitem__)[:3]
        mean = adapted.similarity(z[kept], t).softmax(1).sum(0) / 3
        (-(mean * mean.log()).sum()).backward()
        with torch.no_grad():
            for parameter in adapted.parameters():
                parameter -= 0.01 * parameter.grad / (parameter.grad.abs() + 1e-8)
            found.append(adapted.similarity(z[:1], t)[0])
    return torch.stack(found)


def test_an_image_is_scored_after_one_step_on_its_own_entropy() -> None:
    learner = adapting()
    assert close(logits(learner), naively_adapted(learner), 1e-3)
    assert not close(logits(learner), logits(plain()), 1e-2)


def test_a_trained_mask_is_adapted_likewise() -> None:
    learner = adapting()
    learner.train()
    gradient_step(learner)
    gradient_step(learner)
    learner.eval()
    assert close(logits(learner), naively_adapted(learner), 1e-3)


def test_without_a_step_it_is_rada() -> None:
    assert close(logits(adapting(lr=0.0)), logits(plain()))


def test_in_training_it_is_rada() -> None:
    learner = adapting()
    learner.train()
    found, losses = learner.training_step(IMAGES, LABELS, learner.training_prompts(CLASSES))
    expected, terms = plain().training_step(IMAGES, LABELS, plain().training_prompts(CLASSES))
    assert close(found, expected)
    assert losses.keys() == terms.keys()


def test_the_step_is_forgotten_and_other_images_do_not_matter() -> None:
    learner = adapting()
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    whole = logits(learner)
    alone = [logits(learner, PixelBatch(IMAGES.pixels[row : row + 1], BACKBONE))[0] for row in (3, 2, 1, 0)]
    assert torch.equal(torch.stack(alone).flip(0), whole)
    assert all(torch.equal(tensor, before[name]) for name, tensor in learner.state_dict().items())
    assert all(parameter.grad is None for parameter in learner.parameters())


def test_views_are_the_image_and_crops_inside_it() -> None:
    learner = adapting(views=40)
    columns = torch.arange(16.0).expand(3, 16, 16)
    seen = learner.views(columns)
    assert seen.shape == (40, 3, 16, 16)
    assert torch.equal(seen[0], columns)
    for view, crop in zip(seen[1:], learner.crops, strict=True):
        centres = (torch.arange(16.0) + 0.5) / 8 - 1
        cut = (crop[0, 0] * centres + crop[0, 2] + 1) * 8 - 0.5
        inner = (cut > 1) & (cut < 14)
        assert float((view[0, 5] - cut)[inner].abs().max()) < 0.1


def test_crops_have_the_shapes_of_the_usual_augmentation() -> None:
    crops = drawn_crops(4000, seeded())
    width, height = crops[:, 0, 0].abs(), crops[:, 1, 1]
    assert bool((width + crops[:, 0, 2].abs() <= 1 + 1e-6).all())
    assert bool((height + crops[:, 1, 2].abs() <= 1 + 1e-6).all())
    assert not crops[:, 0, 1].any()
    assert not crops[:, 1, 0].any()
    assert float((crops[:, 0, 0] < 0).float().mean()) == pytest.approx(0.5, abs=0.03)
    inside = (width < 1) & (height < 1)
    for axis in (0, 1):
        assert float((crops[inside, axis, 2] < 0).float().mean()) == pytest.approx(0.5, abs=0.03)
    assert float((width * height).min()) >= 0.08 * 0.99
    assert float((width * height).median()) == pytest.approx(0.54, abs=0.04)
    assert bool(((width / height)[inside] <= 4 / 3 + 1e-3).all())
    assert bool(((width / height)[inside] >= 3 / 4 - 1e-3).all())


def test_the_seed_decides_the_crops() -> None:
    assert torch.equal(adapting().crops, adapting().crops)
    assert not torch.equal(adapting().crops, adapting(seed=1).crops)


def test_at_least_one_view_is_kept() -> None:
    assert logits(adapting(views=2, keep=0.01)).isfinite().all()


def test_the_defaults_are_those_of_test_time_prompt_tuning() -> None:
    config, recipe = RAdaTestTime.preset(tiny.training_task())
    assert (config.views, config.keep, config.lr) == (64, 0.1, 5e-3)
    assert recipe.epochs == 0
    assert recipe.model_copy(update={"epochs": 10}) == RAda.preset(tiny.training_task())[1]
    with pytest.raises(ValidationError, match="views"):
        RAdaTestTimeConfig(views=1)


def test_without_training_the_mask_is_not_computed_for_views_and_the_bits_stay() -> None:
    learner = adapting()
    t, untrained = learner.classifier(learner.prompts(CLASSES))
    seen: list[int] = []
    learner.attention.register_forward_pre_hook(lambda _module, inputs: seen.append(len(inputs[0])))
    found = learner.logits(IMAGES, (t, untrained))
    assert untrained
    assert set(seen) == {3, 1}  # the views that are kept, and the image after the step
    assert torch.equal(found, learner.logits(IMAGES, (t, False)))
    assert 6 in seen


def test_a_trained_mask_is_computed_for_every_view() -> None:
    learner = adapting()
    with torch.no_grad():
        learner.attention.o.bias[0] = 0.1
    seen: list[int] = []
    learner.attention.register_forward_pre_hook(lambda _module, inputs: seen.append(len(inputs[0])))
    logits(learner)
    assert 6 in seen
