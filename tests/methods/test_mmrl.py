"""MMRL: representation tokens in both towers, two image branches, and the choice between them."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.mmrl import MMRL, MMRLConfig

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.", "zoo")
BACKBONE = tiny.backbone()
IMAGES = PixelBatch(tiny.pixels(4), BACKBONE)
LABELS = torch.tensor([0, 1, 2, 1])


def mmrl(seed: int = 0, **config: Any) -> MMRL:
    settings = {"rep_layers": (2, 3), "rep_dim": 12, "n_rep_tokens": 2} | config
    return MMRL(BACKBONE, MMRLConfig(**settings), CLASSES, torch.Generator().manual_seed(seed))


@torch.no_grad()
def logits(learner: MMRL, classes: Classes = CLASSES) -> Tensor:
    return learner.logits(IMAGES, learner.classifier(learner.prompts(classes)))


@torch.no_grad()
def branches(learner: MMRL, classes: Classes = CLASSES) -> tuple[Tensor, Tensor]:
    features = F.normalize(learner.text_features(learner.prompts(classes)), dim=-1)
    return learner.branches(IMAGES, features)


def loss_terms(learner: MMRL) -> dict[str, Tensor]:
    return learner.training_step(IMAGES, LABELS, learner.training_prompts(CLASSES))[1]


def close(one: Tensor, other: Tensor, relative: float = 1e-5) -> bool:
    return bool((one - other).abs().max() <= relative * other.abs().max())


def aligned(learner: MMRL, which: str, layer: int) -> Tensor:
    state = learner.state_dict()
    return state["r"] @ state[f"{which}.{layer}.weight"].T + state[f"{which}.{layer}.bias"]


@pytest.fixture
def parted() -> MMRL:
    """The aligners of its layers differ, as after a first step."""
    learner = mmrl()
    drawn = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=drawn))
    return learner


def test_image_tokens_enter_after_the_class_token_and_are_overwritten_later(parted: MMRL) -> None:
    with torch.no_grad():
        tokens = BACKBONE.image_tokens(IMAGES.pixels, stop=1)
        tokens = torch.cat([tokens[:, :1], aligned(parted, "f_v", 0).expand(4, -1, -1), tokens[:, 1:]], dim=1)
        assert tokens.shape[1] == 1 + 2 + 4
        tokens = BACKBONE.vision.run(tokens, start=1, stop=2)
        tokens[:, 1:3] = aligned(parted, "f_v", 1)
        tokens = F.layer_norm(
            BACKBONE.vision.run(tokens, start=2),
            (48,),
            BACKBONE.model.visual.ln_post.weight,
            BACKBONE.model.visual.ln_post.bias,
        )
        f_c, f_r = parted.both_image_features(IMAGES)
        assert close(f_c, tokens[:, 0] @ BACKBONE.model.visual.proj)
        assert close(f_r, (tokens[:, 1] + tokens[:, 2]) / 2 @ parted.w_r)
        assert close(parted.image_features(IMAGES), f_c)


def test_text_tokens_enter_after_the_start_and_move_the_end_of_text_back(parted: MMRL) -> None:
    found = parted.text_features(parted.prompts(CLASSES)).detach()
    for name, row in zip(CLASSES.names, found, strict=True):
        with torch.no_grad():
            tokens = BACKBONE.text_tokens(BACKBONE.embed(BACKBONE.tokenize([f"art of the {name}."])), stop=1)
            tokens = torch.cat([tokens[:, :1], aligned(parted, "f_t", 0)[None], tokens[:, 1:]], dim=1)
            tokens = BACKBONE.text.run(tokens, start=1, stop=2)
            tokens[:, 1:3] = aligned(parted, "f_t", 1)
            assert close(row, BACKBONE.project_text(BACKBONE.text.run(tokens, start=2)[0, -1]), 1e-4)


def test_tokens_may_enter_in_front_of_the_first_layer() -> None:
    learner = mmrl(rep_layers=(1, 3))
    with torch.no_grad():
        rows = aligned(learner, "f_v", 0).expand(4, -1, -1)
        tokens = torch.cat([IMAGES.tokens_at(0)[:, :1], rows, IMAGES.tokens_at(0)[:, 1:]], dim=1)
        tokens = BACKBONE.vision.run(tokens, stop=2)
        tokens[:, 1:3] = aligned(learner, "f_v", 1)
        assert close(learner.image_features(IMAGES), BACKBONE.image_features_from(tokens, start=2))


def test_it_has_the_published_number_of_parameters() -> None:
    vit: Any = SimpleNamespace(
        vision=SimpleNamespace(width=768, depth=12), text=SimpleNamespace(width=512, depth=12), embed_dim=512
    )
    learner = MMRL(vit, MMRLConfig(), CLASSES, torch.Generator().manual_seed(0))
    assert sum(parameter.numel() for parameter in learner.parameters()) == 4_992_256
    assert float(learner.w_r.detach().std()) == pytest.approx(768**-0.5, rel=0.01)
    assert float(learner.r.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_the_aligners_of_a_tower_start_equal_and_part_in_the_first_step() -> None:
    learner = mmrl()
    weights = [[aligner.weight for aligner in aligners] for aligners in (learner.f_v, learner.f_t)]
    assert all(torch.equal(first, second) for first, second in weights)
    optimizer = torch.optim.SGD(learner.parameters(), lr=0.1)
    torch.stack(list(loss_terms(learner).values())).sum().backward()
    optimizer.step()
    assert not any(torch.equal(first, second) for first, second in weights)


@pytest.mark.parametrize("tower", ["text", "vision"])
def test_the_shared_tokens_learn_from_either_tower(tower: str) -> None:
    learner = mmrl()
    text = learner.text_features(learner.prompts(CLASSES))
    (text if tower == "text" else learner.image_features(IMAGES)).sum().backward()
    assert learner.r.grad is not None
    assert learner.r.grad.any()
    other = learner.f_v if tower == "text" else learner.f_t
    assert all(parameter.grad is None for parameter in other.parameters())


def test_losses_are_the_papers(parted: MMRL) -> None:
    learner = mmrl(alpha=0.6, reg_weight=3.0)
    learner.load_state_dict(parted.state_dict())
    with torch.no_grad():
        f_c, f_r = learner.both_image_features(IMAGES)
        w = learner.text_features(learner.prompts(CLASSES))
        texts = [BACKBONE.encode_text(BACKBONE.embed(BACKBONE.tokenize([text])))[0] for text in CLASSES.filled()]
        class_branch, rep_branch = (
            torch.stack([torch.stack([BACKBONE.scale * (f @ g) / (f.norm() * g.norm()) for g in w]) for f in features])
            for features in (f_c, f_r)
        )
        cosines_image = [f @ g / (f.norm() * g.norm()) for f, g in zip(f_c, IMAGES.features, strict=True)]
        cosines_text = [f @ g / (f.norm() * g.norm()) for f, g in zip(w, texts, strict=True)]
        rows = range(4)
        expected = {
            "ce_class": 0.6 * torch.stack([-class_branch[i].log_softmax(0)[LABELS[i]] for i in rows]).mean(),
            "ce_rep": 0.4 * torch.stack([-rep_branch[i].log_softmax(0)[LABELS[i]] for i in rows]).mean(),
            "cos_image": 3 * (1 - torch.stack(cosines_image).mean()),
            "cos_text": 3 * (1 - torch.stack(cosines_text).mean()),
        }
        fused, losses = learner.training_step(IMAGES, LABELS, learner.training_prompts(CLASSES))
    assert close(fused, 0.6 * class_branch + 0.4 * rep_branch, 1e-4)
    assert losses.keys() == expected.keys()
    assert all(close(losses[name], expected[name], 1e-4) for name in expected)


def test_with_the_class_branch_alone_the_token_projection_learns_nothing() -> None:
    learner = mmrl(alpha=1.0, reg_weight=0.0)
    losses = loss_terms(learner)
    torch.stack(list(losses.values())).sum().backward()
    assert learner.w_r.grad is not None
    assert not learner.w_r.grad.any()
    assert not any(losses[name].any() for name in ("ce_rep", "cos_image", "cos_text"))


def test_classes_trained_on_are_scored_by_both_branches_in_any_order() -> None:
    learner = mmrl()
    logits_c, logits_r = branches(learner)
    assert close(logits(learner), 0.7 * logits_c + 0.3 * logits_r)
    turned = dataclasses.replace(CLASSES, names=CLASSES.names[::-1])
    assert close(logits(learner, turned), logits(learner).flip(1), 1e-4)


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(CLASSES, dataset="zoo-sketch"),
        dataclasses.replace(CLASSES, names=("red fox", "zebra", "hen")),
        dataclasses.replace(CLASSES, names=CLASSES.names[:2]),
        dataclasses.replace(CLASSES, names=(*CLASSES.names, "hen")),
    ],
)
def test_other_classes_and_other_datasets_are_scored_by_the_class_branch(other: Classes) -> None:
    learner = mmrl()
    logits_c, logits_r = branches(learner, other)
    assert close(logits(learner, other), logits_c)
    assert not close(logits_r, logits_c, 1e-2)


def test_layers_and_settings_are_checked() -> None:
    with pytest.raises(UserError, match="rep_layers 12 exceeds the backbone's 3 layers"):
        mmrl(rep_layers=(2, 12))
    for layers in ((3, 2), (2, 2), (0, 1), ()):
        with pytest.raises(ValidationError, match="rep_layers"):
            MMRLConfig(rep_layers=layers)


@pytest.mark.parametrize(
    ("protocol", "dataset", "is_source", "expected"),
    [
        ("base-to-novel", "stanford_cars", False, (10, 4, 1, 7.0, 512)),
        ("base-to-novel", "eurosat", False, (10, 4, 1, 0.01, 2048)),
        ("base-to-novel", "imagenet", True, (5, 32, 1, 0.5, 512)),
        ("few-shot", "imagenet", True, (5, 32, 1, 0.5, 512)),
        ("few-shot", "oxford_pets", False, (50, 32, 1, 0.2, 512)),
        ("few-shot", "my own", False, (50, 32, 1, 0.5, 512)),
        ("cross-dataset", "imagenet", True, (1, 32, 0, 0.2, 512)),
        ("domain-generalization", "imagenet", True, (1, 32, 0, 0.2, 512)),
    ],
)
def test_presets_are_the_released_ones(protocol: Any, dataset: str, is_source: bool, expected: tuple[Any, ...]) -> None:
    task = tiny.training_task(protocol, 16, is_source).model_copy(update={"dataset": dataset})
    config, recipe = MMRL.preset(task)
    found = (recipe.epochs, recipe.batch_size, recipe.warmup_epochs, config.reg_weight, config.rep_dim)
    assert found == expected
    assert (recipe.optimizer, recipe.lr, recipe.weight_decay) == ("adamw", 1e-3, 5e-4)
    assert recipe.crop_scale == (0.5, 1.0)
    assert config.rep_layers == (6, 7, 8, 9, 10, 11, 12)
