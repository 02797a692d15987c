"""CLIP-LoRA: low-rank updates with dropout on their inputs."""

import copy
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.clip_lora import CLIPLoRA, CLIPLoRAConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.")
LABELS = torch.tensor([0, 1, 2, 1])


def images() -> PixelBatch:
    return PixelBatch(tiny.pixels(4), tiny.backbone())


def clip_lora(zero: bool = False, **config: Any) -> CLIPLoRA:
    learner = CLIPLoRA(tiny.backbone(), CLIPLoRAConfig(**config), CLASSES, torch.Generator().manual_seed(0))
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in learner.named_parameters():
            if name.endswith(".b") and not zero:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=random))
    return learner


def logits(learner: Any) -> Tensor:
    return learner.logits(images(), learner.classifier(learner.prompts(CLASSES)))


def test_it_starts_as_zero_shot_clip_with_its_own_template() -> None:
    plain = ZeroShot(tiny.backbone(), ZeroShotConfig(templates=("a photo of a {}.",)), CLASSES, torch.Generator())
    assert torch.allclose(logits(clip_lora(zero=True)) / 100, logits(plain) / plain.backbone.scale, atol=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_scoring_equals_merged_weights_and_draws_nothing(dropout: float) -> None:
    learner = clip_lora(dropout=dropout, rank=3, alpha=2.0).eval()
    plain = tiny.backbone()
    model = copy.deepcopy(plain.model)
    merged = Backbone(model, plain.name, "merged", plain.device, "fp32")
    for layers, blocks in ((learner.text, model.transformer), (learner.vision, model.visual.transformer)):
        for each, block in zip(layers, blocks.resblocks, strict=True):
            update = torch.cat([each[name].b @ each[name].a for name in "qkv"])
            block.attn.in_proj_weight.data += 2.0 / 3**0.5 * update.detach()
    assert torch.allclose(learner.image_features(images()), merged.encode_image(tiny.pixels(4)), atol=1e-4)
    texts = CLASSES.filled("a photo of a {}.")
    assert torch.allclose(learner.text_features(learner.prompts(CLASSES)), merged.encode_texts(texts), atol=1e-4)
    assert torch.equal(logits(learner), logits(learner))


def test_at_first_only_the_upper_matrices_have_a_gradient() -> None:
    learner = clip_lora(zero=True)
    learner.backward(learner.training_step(images(), LABELS, learner.training_prompts(CLASSES))[1])
    for name, parameter in learner.named_parameters():
        assert parameter.grad is not None
        assert bool(parameter.grad.any()) == name.endswith(".b"), name


def test_dropout_is_drawn_anew_in_every_step_and_keyed_by_the_epoch() -> None:
    def losses(learner: CLIPLoRA, seed: int) -> list[float]:
        learner.begin_epoch(1, torch.Generator().manual_seed(seed))
        prompts = learner.training_prompts(CLASSES)
        steps = [learner.training_step(images(), LABELS, prompts)[1]["cross_entropy"] for _ in range(2)]
        return [float(loss.detach()) for loss in steps]

    first, again, other = (losses(clip_lora(), seed) for seed in (1, 1, 2))
    assert first == again
    assert first[0] != first[1]
    assert first[0] != other[0]


def test_dropout_keeps_the_expected_update_and_draws_for_each_text() -> None:
    learner = clip_lora(dropout=0.5)
    rows = torch.ones(200, 50, 16)
    learner.begin_epoch(1, torch.Generator().manual_seed(1))
    dropped = learner._update(torch.nn.Identity(), rows) / 2**-0.5
    assert sorted({round(value, 4) for value in dropped.unique().tolist()}) == [0.0, 2.0]
    assert float(dropped.mean()) == pytest.approx(1, abs=0.02)
    twins = Classes(("zebra", "zebra"), CLASSES.template)
    one, two = learner.text_features(learner.prompts(twins))
    assert not torch.allclose(one, two, atol=1e-4)


def test_the_published_size_and_recipe() -> None:
    assert 12 * 3 * 2 * 2 * (512 + 768) == 184_320
    learner, towers = clip_lora(), (tiny.backbone().text, tiny.backbone().vision)
    expected = sum(tower.depth * 3 * 2 * 2 * tower.width for tower in towers)
    assert sum(parameter.numel() for parameter in learner.parameters()) == expected
    _, recipe = CLIPLoRA.preset(tiny.training_task("few-shot", 16))
    assert (recipe.iterations, recipe.batch_size, recipe.drop_last) == ((8000,), 32, False)
    assert (recipe.optimizer, recipe.lr, recipe.final_lr, recipe.weight_decay) == ("adamw", 2e-4, 1e-6, 1e-2)
    assert (recipe.schedule, recipe.warmup_epochs) == ("by step", 0)
