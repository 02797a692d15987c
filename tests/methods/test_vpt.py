"""VPT: vision prompts alone, placed where IVLP and the released code place them."""

from typing import Any

import pytest
import tiny
import torch
from open_clip import CLIP
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.ivlp import IVLP, IVLPConfig
from promptarena.methods.vpt import VPT, VPTConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.")
IMAGES = PixelBatch(tiny.pixels(4), tiny.backbone())
LABELS = torch.tensor([0, 1, 2, 1])


def vpt(seed: int = 0, **config: Any) -> VPT:
    settings = {"n_ctx": 3, "prompt_depth": 3} | config
    return VPT(tiny.backbone(), VPTConfig(**settings), CLASSES, torch.Generator().manual_seed(seed))


@torch.no_grad()
def image(learner: Any) -> Tensor:
    found: Tensor = learner.image_features(IMAGES)
    return found


def plain_text(template: str) -> Tensor:
    zeroshot = ZeroShot(tiny.backbone(), ZeroShotConfig(templates=(template,)), CLASSES, torch.Generator())
    with torch.no_grad():
        return zeroshot.text_features(zeroshot.prompts(CLASSES))


def close(one: Tensor, other: Tensor, relative: float = 1e-5) -> bool:
    return bool((one - other).abs().max() <= relative * other.abs().max())


def test_its_text_features_are_those_of_a_fixed_prompt() -> None:
    for phrase, template in (("a photo of a", "a photo of a {}."), ("art_of the", "art of the {}."), ("", "{}.")):
        learner = vpt(ctx_init=phrase)
        assert torch.equal(learner.text_features(learner.prompts(CLASSES)), plain_text(template))


def test_text_is_encoded_once_and_never_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = vpt()
    prompts = learner.training_prompts(CLASSES)
    monkeypatch.setattr(tiny.backbone().text, "run", None)
    logits, losses = learner.training_step(IMAGES, LABELS, prompts)
    losses["cross_entropy"].backward()
    assert logits.shape == (4, 3)
    assert all(prompt.grad is not None and prompt.grad.any() for prompt in learner.vision_prompts)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_prompts_stand_after_the_patches_and_go_on_beyond_their_depth(depth: int) -> None:
    learner, backbone = vpt(prompt_depth=depth), tiny.backbone()
    with torch.no_grad():
        for prompt in learner.vision_prompts:
            prompt.mul_(50)
        first = backbone.model.visual.ln_pre(learner.vision_prompts[0]).expand(4, -1, -1)
        tokens = torch.cat([IMAGES.tokens_at(0), first], dim=1)
        for block in range(3):
            if 0 < block < depth:
                tokens[:, -3:] = learner.vision_prompts[block]
            tokens = backbone.vision.run(tokens, start=block, stop=block + 1)
        assert tokens.shape[1] == 1 + 4 + 3
        assert close(image(learner), backbone.project_image(tokens[:, 0]))
    assert not close(image(learner), IMAGES.features, 1e-3)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_every_layer_acts_on_the_images(layer: int) -> None:
    learner = vpt()
    with torch.no_grad():
        learner.vision_prompts[layer].neg_()
    assert not close(image(learner), image(vpt()), 1e-3)


def test_prompts_have_no_order() -> None:
    learner = vpt()
    with torch.no_grad():
        for prompt in learner.vision_prompts:
            prompt.copy_(prompt[[2, 0, 1]].clone())
    assert close(image(learner), image(vpt()))


def test_it_is_the_image_branch_of_ivlp() -> None:
    learner = vpt()
    config = IVLPConfig(n_ctx_vision=3, prompt_depth_vision=3, prompt_depth_text=1)
    ivlp = IVLP(tiny.backbone(), config, CLASSES, torch.Generator())
    ivlp.vision_prompts.load_state_dict(learner.vision_prompts.state_dict())
    assert torch.equal(image(learner), image(ivlp))


def test_it_has_the_published_parameters_and_nothing_else() -> None:
    learner = vpt(n_ctx=8)
    assert [name for name, _ in learner.named_parameters()] == [f"vision_prompts.{layer}" for layer in range(3)]
    assert {tuple(prompt.shape) for prompt in learner.parameters()} == {(8, 48)}
    spread = float(torch.cat(list(learner.parameters())).detach().std())
    assert spread == pytest.approx(0.02, rel=0.1)
    assert not torch.equal(learner.vision_prompts[0], learner.vision_prompts[1])
    assert not torch.equal(learner.vision_prompts[0], vpt(seed=1, n_ctx=8).vision_prompts[0])


def test_it_needs_enough_layers_and_a_transformer() -> None:
    with pytest.raises(UserError, match="prompt_depth 12 exceeds the backbone's 3 layers"):
        VPT(tiny.backbone(), VPTConfig(), CLASSES, torch.Generator())
    configuration = tiny.config(image_size=32)
    configuration["vision_cfg"] = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 16}
    with pytest.raises(UserError, match="use a CLIP ViT"):
        VPT(tiny.wrapped(CLIP(**configuration)), VPTConfig(prompt_depth=1), CLASSES, torch.Generator())


def test_the_preset_is_the_released_one() -> None:
    config, recipe = VPT.preset(tiny.training_task("base-to-novel", 16))
    assert config == VPTConfig(n_ctx=8, prompt_depth=12, ctx_init="a photo of a")
    assert (recipe.epochs, recipe.lr, recipe.batch_size, recipe.warmup_lr) == (5, 0.0025, 4, 1e-5)
