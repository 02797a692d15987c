"""Skip Tuning: the upper blocks are trained, on a constant number of classes."""

from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.skip_tuning import SkipTuning, SkipTuningConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

NAMES = ("red fox", "zebra", "great barn owl", "ox", "snow leopard", "hen", "carp", "oak")
CLASSES = Classes(NAMES, "art of the {}.")
LABELS = torch.tensor([6, 6, 3, 6])


def images() -> PixelBatch:
    return PixelBatch(tiny.pixels(4), tiny.backbone())


def skip_tuning(seed: int = 0, classes: Classes = CLASSES, **config: Any) -> SkipTuning:
    settings = SkipTuningConfig(**{"start": 2, **config})
    return SkipTuning(tiny.backbone(), settings, classes, torch.Generator().manual_seed(seed))


def logits(learner: Any) -> torch.Tensor:
    return learner.logits(images(), learner.classifier(learner.prompts(CLASSES)))


def test_it_starts_as_zero_shot_clip_with_its_template() -> None:
    config = ZeroShotConfig(templates=(CLASSES.template,))
    plain = ZeroShot(tiny.backbone(), config, CLASSES, torch.Generator())
    assert torch.allclose(logits(skip_tuning()), logits(plain), atol=1e-4)
    textures = Classes(NAMES, CLASSES.template, "dtd")
    learner = skip_tuning(classes=textures)
    expected = learner.backbone.encode_texts(textures.filled("itap of a {}."))
    assert torch.allclose(learner.text_features(learner.prompts(textures)), expected, atol=1e-5)


@pytest.mark.parametrize("start", [0, 1, 3])
def test_what_is_trained(start: int) -> None:
    names = {name.replace("/", ".").removeprefix("weights.") for name, _ in skip_tuning(start=start).named_parameters()}
    last = {"ln_final.weight", "ln_final.bias", "text_projection"}
    last |= {"visual.ln_post.weight", "visual.ln_post.bias", "visual.proj"}
    blocks = {
        name
        for name, _ in tiny.backbone().model.named_parameters()
        if any(f"transformer.resblocks.{block}." in name for block in range(start, 3))
    }
    assert names == last | blocks
    assert len(names) == 6 + 2 * 12 * (3 - start)


def test_all_classes_kept_is_plain_fine_tuning() -> None:
    learner = skip_tuning(top_share=1.0)
    scores, losses = learner.training_step(images(), LABELS, learner.training_prompts(CLASSES))
    assert torch.allclose(losses["cross_entropy"], F.cross_entropy(logits(learner), LABELS), rtol=1e-4)
    assert torch.allclose(scores, logits(learner), atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_over_the_classes_of_the_batch_and_those_most_like_it(seed: int) -> None:
    learner = skip_tuning(seed)
    prompts = learner.training_prompts(CLASSES)
    f = F.normalize(learner.image_features(images()), dim=-1)
    similar = (f @ prompts.prototypes.T).amax(0)
    ranked = [3, 6, *(c for c in similar.argsort(descending=True).tolist() if c not in (3, 6))]
    kept = sorted(ranked[rank] for rank in learner.ranks.tolist())
    assert learner.kept(f, LABELS, prompts.prototypes).tolist() == kept
    assert {3, 6, *ranked[:4]} <= set(kept)
    assert 4 < len(kept) < 8  # rank 4 is always drawn, the last never
    scores, losses = learner.training_step(images(), LABELS, prompts)
    targets = torch.tensor([kept.index(label) for label in LABELS.tolist()])
    assert torch.allclose(losses["cross_entropy"], F.cross_entropy(logits(learner)[:, kept], targets), rtol=1e-4)
    skipped = [c for c in range(8) if c not in kept]
    assert torch.equal(scores[:, skipped], -learner.backbone.scale.expand(4, len(skipped)))


def test_an_image_whose_class_is_skipped_does_not_count() -> None:
    learner = skip_tuning(top_limit=1, decay=0.01)
    assert len(learner.ranks) == 2
    labels = torch.tensor([0, 1, 2, 3])
    _, losses = learner.training_step(images(), labels, learner.training_prompts(CLASSES))
    assert torch.isfinite(losses["cross_entropy"])


def test_the_draw_is_the_seeds_own_and_is_saved() -> None:
    many = Classes(tuple(f"bird {number}" for number in range(60)), "a {}.")
    draws = [skip_tuning(seed, many, decay=2.0).ranks.tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert draws[0][:30] == list(range(30))
    assert "ranks" in skip_tuning().state_dict()


def test_lower_blocks_stay_as_they_are_and_upper_ones_move() -> None:
    learner = skip_tuning()
    before = {name: weight.clone() for name, weight in learner.tuned.model.state_dict().items()}
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1)
    learner.backward(learner.training_step(images(), LABELS, learner.training_prompts(CLASSES))[1])
    optimizer.step()
    after = learner.tuned.model.state_dict()
    trained = {name.replace("/", ".") for name in learner.weights}
    assert {name for name in before if not torch.equal(before[name], after[name])} == trained


@pytest.mark.parametrize(
    ("protocol", "shots", "dataset", "expected"),
    [
        ("base-to-novel", 16, "dtd", (20, 2e-5, 0.25, 1, 1e-6, True)),
        ("base-to-novel", 16, "food101", (5, 2e-5, 0.25, 1, 1e-6, True)),
        ("few-shot", 2, "dtd", (40, 1e-5, 1.0, 0, 1e-6, False)),
        ("few-shot", 4, "sun397", (10, 1e-5, 1.0, 0, 1e-6, True)),
        ("cross-dataset", 16, "imagenet", (5, 1e-5, 0.1, 1, 1e-8, True)),
    ],
)
def test_the_preset_is_the_released_one(protocol: Any, shots: int, dataset: str, expected: Any) -> None:
    task = tiny.training_task(protocol, shots).model_copy(update={"dataset": dataset})
    config, recipe = SkipTuning.preset(task)
    rates = recipe.lr, config.image_factor
    assert (recipe.epochs, *rates, recipe.warmup_epochs, recipe.warmup_lr, recipe.one_class) == expected
    assert (recipe.batch_size, recipe.optimizer, recipe.factors_in_warmup) == (4, "sgd", False)
    learner = skip_tuning(image_factor=0.1)
    assert {learner.lr_factor(name) for name, _ in learner.named_parameters() if "visual" in name} == {0.1}
    assert {learner.lr_factor(name) for name, _ in learner.named_parameters() if "visual" not in name} == {1.0}
