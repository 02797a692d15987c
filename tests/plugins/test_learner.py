"""The base of every method: what a learner does that overrides nothing."""

import pytest
import tiny
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.plugins.learner import Config, Learner, assumed, assumed_settings

IMAGES = tiny.Given(torch.randn(4, 20, generator=torch.Generator().manual_seed(1)))
CLASSES = Classes(tiny.NAMES, tiny.TEMPLATE)


class Plain(Learner):
    """Zero-shot CLIP, in the two functions that have no default."""

    def prompts(self, classes: Classes) -> list[str]:
        return classes.filled()

    def text_features(self, prompts: list[str]) -> torch.Tensor:
        return self.backbone.encode_texts(prompts)


class Settings(Config):
    """Settings, one of them assumed."""

    scale: float = 1.0
    n_ctx: int = assumed(4, description="context tokens", ge=1)


def learner(kind: type[Learner] = Plain) -> Learner:
    return kind(tiny.backbone(), Config(), CLASSES, torch.Generator())


def test_by_default_it_is_clip() -> None:
    plain, backbone = learner(), tiny.backbone()
    classifier = plain.classifier(plain.prompts(CLASSES))
    expected = (
        backbone.scale
        * F.normalize(IMAGES.features, dim=-1)
        @ F.normalize(backbone.encode_texts(CLASSES.filled()), dim=-1).T
    )
    torch.testing.assert_close(plain.logits(IMAGES, classifier), expected)
    assert list(plain.readings(IMAGES, classifier)) == [""]
    labels = torch.tensor([0, 1, 2, 0])
    logits, terms = plain.training_step(IMAGES, labels, plain.training_prompts(CLASSES))
    torch.testing.assert_close(terms["cross_entropy"], F.cross_entropy(expected, labels))
    torch.testing.assert_close(logits, expected)


def test_by_default_the_sum_of_all_terms_is_minimised() -> None:
    linear = tiny.linear()
    linear.backward({"one": linear.weight.sum(), "two": 2 * linear.bias.sum()})
    assert (linear.weight.grad == 1).all()  # type: ignore[union-attr]
    assert (linear.bias.grad == 2).all()  # type: ignore[union-attr]
    assert linear.begin_stage(0).keys() == dict(linear.named_parameters()).keys()
    assert linear.lr_factor("weight") == 1


def test_the_backbone_is_neither_trained_nor_saved() -> None:
    assert list(learner().parameters()) == []
    assert learner().state_dict() == {}


def test_what_has_no_default_is_named() -> None:
    bare = learner(Learner)
    for call in (lambda: bare.prompts(CLASSES), lambda: bare.text_features(None)):
        with pytest.raises(NotImplementedError, match="Learner does not define"):
            call()


def test_assumed_settings_are_known_and_limited() -> None:
    assert assumed_settings(Settings) == ("n_ctx",)
    with pytest.raises(ValidationError):
        Settings(n_ctx=0)
    with pytest.raises(ValidationError):
        Settings(n_ctxx=4)  # type: ignore[call-arg]
