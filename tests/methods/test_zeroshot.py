"""Zero-shot CLIP: the plain formula, ensembles, and what must not matter."""

from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from open_clip.tokenizer import SimpleTokenizer
from pydantic import ValidationError
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.benchmark.plugins.templates import IMAGENET_80, SELECT_7
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig, ZeroShotEnsemble, ZeroShotEnsembleConfig

NAMES = ("red fox", "barn owl", "zebra", "wren")
CLASSES = Classes(NAMES, "a photo of a {}.")
TEMPLATES = ("a photo of a {}.", "art of the {}.", "a {} in a video game.")
PIXELS = tiny.pixels(5)


def learner(*templates: str) -> ZeroShot:
    return ZeroShot(tiny.backbone(), ZeroShotConfig(templates=templates), CLASSES, torch.Generator())


@torch.no_grad()
def logits(classes: Classes = CLASSES, *templates: str) -> Tensor:
    zeroshot = learner(*templates)
    return zeroshot.logits(PixelBatch(PIXELS, zeroshot.backbone), zeroshot.classifier(zeroshot.prompts(classes)))


def test_it_is_open_clips_own_logits() -> None:
    backbone = tiny.backbone()
    tokenizer = SimpleTokenizer(context_length=backbone.context_length)
    with torch.no_grad():
        expected, _ = backbone.model.get_logits(PIXELS, tokenizer([f"a photo of a {name}." for name in NAMES]))
    torch.testing.assert_close(logits(), expected, rtol=1e-4, atol=1e-4)


def test_it_learns_nothing_and_needs_no_seed() -> None:
    assert not list(learner().parameters())
    assert not learner().state_dict()
    assert ZeroShot.preset(tiny.training_task())[1].epochs == 0
    assert not ZeroShot.seeded


def test_one_template_is_the_plain_prompt_to_the_bit() -> None:
    assert torch.equal(logits(CLASSES, "a photo of a {}."), logits())
    other = Classes(NAMES, "art of the {}.")
    assert torch.equal(logits(CLASSES, "art of the {}."), logits(other))
    assert not torch.equal(logits(other), logits())


def test_an_ensemble_is_the_normalised_mean_of_normalised_features() -> None:
    backbone = tiny.backbone()
    with torch.no_grad():
        parts = []
        for template in TEMPLATES:
            texts = [template.replace("{}", name) for name in NAMES]
            parts.append(F.normalize(backbone.encode_text(backbone.embed(backbone.tokenize(texts))), dim=-1))
        expected = F.normalize(torch.stack(parts).mean(0), dim=-1)
        ensemble = learner(*TEMPLATES)
        found = ensemble.classifier(ensemble.prompts(CLASSES))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def ensemble(classes: Classes, **config: Any) -> Tensor:
    settings = ZeroShotEnsembleConfig(**config)
    found = ZeroShotEnsemble(tiny.backbone(), settings, CLASSES, torch.Generator())
    with torch.no_grad():
        return found.logits(PixelBatch(PIXELS, found.backbone), found.classifier(found.prompts(classes)))


def test_the_ensemble_is_seven_templates_and_the_datasets_own() -> None:
    flowers = Classes(NAMES, "a photo of a {}, a type of flower.", "oxford_flowers")
    for _ in range(2):
        assert torch.equal(ensemble(flowers), logits(CLASSES, *SELECT_7, flowers.template))
    assert not torch.equal(ensemble(flowers), ensemble(flowers, with_own=False))
    assert torch.equal(ensemble(flowers, with_own=False), logits(CLASSES, *SELECT_7))


def test_the_ensemble_of_imagenet_is_the_seven_alone_but_not_that_of_its_variants() -> None:
    template = "a photo of a {}."
    assert torch.equal(ensemble(Classes(NAMES, template, "imagenet")), logits(CLASSES, *SELECT_7))
    assert torch.equal(ensemble(Classes(NAMES, template, "imagenet-a")), logits(CLASSES, *SELECT_7, template))


def test_an_own_template_among_the_others_is_not_counted_twice() -> None:
    assert torch.equal(ensemble(Classes(NAMES, "art of the {}.", "art")), logits(CLASSES, *SELECT_7))
    assert torch.equal(ensemble(CLASSES, templates=IMAGENET_80), logits(CLASSES, *IMAGENET_80))


def test_an_ensemble_of_one_is_the_plain_prompt_to_the_bit() -> None:
    assert torch.equal(ensemble(CLASSES, templates=("a photo of a {}.",)), logits())


def test_the_ensemble_learns_nothing_and_needs_no_seed() -> None:
    config, recipe = ZeroShotEnsemble.preset(tiny.training_task())
    assert config == ZeroShotEnsembleConfig(templates=SELECT_7, with_own=True)
    assert recipe.epochs == 0
    assert not ZeroShotEnsemble.seeded


def test_a_template_needs_a_place_for_the_name() -> None:
    for config in (ZeroShotConfig, ZeroShotEnsembleConfig):
        with pytest.raises(ValidationError, match="templates"):
            config(templates=("a photo of a cat.",))
    with pytest.raises(ValidationError, match="templates"):
        ZeroShotEnsembleConfig(templates=())


def test_letter_case_and_other_classes_do_not_matter() -> None:
    upper = Classes(tuple(name.upper() for name in NAMES), CLASSES.template)
    assert torch.equal(logits(upper), logits())
    longer = Classes((*NAMES, "a very long name of a class that nobody needs"), CLASSES.template)
    torch.testing.assert_close(logits(longer)[:, :4], logits(), rtol=1e-4, atol=1e-4)


def test_fewer_candidates_never_lose_a_right_answer() -> None:
    """Over half of the classes, the images of that half are scored at least as well."""
    base = Classes(NAMES[:2], CLASSES.template)
    among_all, among_base = logits(), logits(base)
    torch.testing.assert_close(among_base, among_all[:, :2], rtol=1e-4, atol=1e-4)
    for label in (0, 1):
        right_among_all = among_all.argmax(-1) == label
        assert (among_base.argmax(-1) == label)[right_among_all].all()


@pytest.mark.parametrize("factor", [0.01, 50.0])
def test_the_scale_changes_no_prediction(factor: float) -> None:
    zeroshot = learner()
    backbone = tiny.wrapped(tiny.model())
    backbone.scale = backbone.scale * factor
    scaled = ZeroShot(backbone, zeroshot.config, CLASSES, torch.Generator())
    with torch.no_grad():
        found = scaled.logits(PixelBatch(PIXELS, backbone), scaled.classifier(scaled.prompts(CLASSES)))
    torch.testing.assert_close(found, logits() * factor, rtol=1e-5, atol=1e-6)
    assert torch.equal(found.argmax(-1), logits().argmax(-1))
