"""Methods on a CLIP with a residual network: those that leave the image encoder as it is work, others say why not."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import openai_files
import pytest
import tiny
import torch
import trials
from torch import nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.contract.kit import Subject
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.methods.dear import DeARConfig

METHODS = {name: method for name, method in load_registry().methods.items() if method.origin.startswith("promptarena ")}
NEED_TOKENS = {"vpt", "ivlp", "maple", "promptsrc", "mmrl", "dear", "rada-ivlp", "rada-maple", "rada-promptsrc"}
NEED_TOKENS |= {"mmrlpp", "mma", "dept-maple", "dept-promptsrc", "skip-tuning", "clip-lora", "atprompt-maple"}
NEED_TOKENS |= {"two-stage", "coprompt"}
SETTINGS = {"dear": DeARConfig(mask="none")}
PAGE = Path(__file__).parents[2] / "docs" / "backbones.md"


@cache
def residual_clip() -> Any:
    config = tiny.config(layers=12, quick_gelu=True) | {"embed_dim": 64}
    config["vision_cfg"] = {"image_size": 64, "layers": [1, 2, 1, 1], "width": 16}
    return openai_files.drawn(config).float()


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Subject]:
    world = trials.world(tmp_path_factory.mktemp("world"), layers=12)
    world = replace(world, backbone=tiny.wrapped(residual_clip()))
    return cache(lambda name: Subject(METHODS[name].learner, world, SETTINGS.get(name)))


@contextmanager
def counted_batch_norms(backbone: Backbone) -> Iterator[list[bool]]:
    """Whether each batch norm that ran was training."""
    seen: list[bool] = []
    norms = [module for module in backbone.model.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_hook(lambda module, *_: seen.append(module.training)) for norm in norms]
    yield seen
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("name", sorted(METHODS.keys() - NEED_TOKENS))
def test_a_method_that_leaves_the_image_encoder_as_it_is_takes_a_step(
    name: str, subject: Callable[[str], Subject]
) -> None:
    trial = subject(name)
    before = {key: tensor.clone() for key, tensor in trial.backbone.model.state_dict().items()}
    learner = trial.build()
    learner.train()
    images, labels = trial.batch()
    with counted_batch_norms(trial.backbone) as training:
        logits, losses = learner.training_step(images, labels, learner.training_prompts(trial.classes))
        assert logits.shape == (len(labels), len(trial.classes))
        assert all(loss.isfinite() for loss in losses.values())
        if trial.recipe.epochs:
            learner.backward(losses)
            assert any(parameter.grad is not None for parameter in learner.parameters())
        assert trial.logits(learner, rows=[0, 1]).isfinite().all()
    assert not any(training)
    after = trial.backbone.model.state_dict()
    assert all(torch.equal(tensor, after[key]) for key, tensor in before.items())
    assert not any(parameter.requires_grad for parameter in trial.backbone.model.parameters())


@pytest.mark.parametrize("name", sorted(NEED_TOKENS))
def test_a_method_that_needs_image_tokens_says_so_in_one_line(name: str, subject: Callable[[str], Subject]) -> None:
    with pytest.raises(UserError) as refused:
        subject(name).build()
    assert str(refused.value) == (
        "backbone tiny: its image encoder has no token sequence to edit; use a CLIP ViT, or a method that leaves the "
        "image encoder as it is, such as coop"
    )


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_residual_network_computes_in_mixed_precision(precision: Any) -> None:
    clip = residual_clip()
    full, mixed = tiny.wrapped(clip), tiny.wrapped(clip, precision)
    pixels = tiny.pixels(4, 64)
    with torch.no_grad(), mixed.autocast():
        features = mixed.encode_image(pixels)
    expected = full.encode_image(pixels)
    assert features.dtype is not torch.float32
    assert (features.float() - expected).abs().mean() < 0.05 * expected.abs().mean()


def test_the_page_says_which_methods_work() -> None:
    (works,), (refused,) = (
        re.findall(rf"^\| {kind} \| (.*) \|$", PAGE.read_text(), re.M) for kind in ("ViT and ResNet", "ViT only")
    )
    assert set(re.findall(r"`([\w-]+)`", works)) == METHODS.keys() - NEED_TOKENS
    assert set(re.findall(r"`([\w-]+)`", refused)) == NEED_TOKENS
