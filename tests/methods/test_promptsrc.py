"""PromptSRC: its three consistency terms, its teacher, and the Gaussian average of its prompts."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from promptsrcs import CLASSES, FEW_TEMPLATES, config, promptsrc
from pydantic import ValidationError
from torch import Tensor

from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.benchmark.plugins.templates import IMAGENET_80
from promptarena.methods.promptsrc import PromptSRC, PromptSRCConfig
from promptarena.methods.zeroshot import ZeroShot, ZeroShotConfig

IMAGES = PixelBatch(tiny.pixels(4), tiny.backbone())
LABELS = torch.tensor([0, 1, 2, 1])
PLAIN = {
    "teacher_templates": ("a photo of a {}.",),
    "prompt_depth_text": 1,
    "prompt_depth_vision": 0,
}


@torch.no_grad()
def disturbed(**changes: Any) -> PromptSRC:
    """Far from the frozen model, so that every term counts."""
    learner = promptsrc(**changes)
    for prompt in learner.parameters():
        prompt.copy_(2 * torch.randn(prompt.shape, generator=torch.Generator().manual_seed(5)))
    return learner


@torch.no_grad()
def losses(learner: PromptSRC, images: Any = IMAGES, labels: Tensor = LABELS) -> dict[str, float]:
    _, terms = learner.training_step(images, labels, learner.training_prompts(CLASSES))
    return {name: float(term) for name, term in terms.items()}


@torch.no_grad()
def features(template: str) -> Tensor:
    zeroshot = ZeroShot(tiny.backbone(), ZeroShotConfig(templates=(template,)), CLASSES, torch.Generator())
    return zeroshot.text_features(zeroshot.prompts(CLASSES))


def test_the_teacher_is_the_normalised_mean_of_features_that_are_not_normalised() -> None:
    parts = torch.stack([features(template) for template in FEW_TEMPLATES])
    teacher = promptsrc().training_prompts(CLASSES).teacher
    torch.testing.assert_close(teacher, F.normalize(parts.mean(0), dim=-1), rtol=1e-5, atol=1e-6)
    of_normalised = F.normalize(F.normalize(parts, dim=-1).mean(0), dim=-1)
    assert 1e-5 < float(1 - (teacher * of_normalised).sum(-1).min()) < 0.1


def test_its_sixty_templates_are_the_released_ones() -> None:
    order = [39, *range(39), *range(40, 60)]
    assert PromptSRCConfig().teacher_templates == tuple(IMAGENET_80[index] for index in order)


def test_the_teacher_has_no_gradient_and_is_not_changed_by_training() -> None:
    learner = promptsrc()
    prompts = learner.training_prompts(CLASSES)
    before, frozen = prompts.teacher.clone(), IMAGES.features.clone()
    optimizer = torch.optim.SGD(learner.parameters(), lr=1.0)
    for _ in range(2):
        _, terms = learner.training_step(IMAGES, LABELS, prompts)
        sum(terms.values(), torch.zeros(())).backward()
        optimizer.step()
    assert not prompts.teacher.requires_grad
    assert torch.equal(prompts.teacher, before)
    assert torch.equal(learner.training_prompts(CLASSES).teacher, before)
    assert torch.equal(IMAGES.features, frozen)


def test_scoring_does_not_ask_for_the_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = promptsrc()
    monkeypatch.setattr(learner, "teacher", None)
    assert learner.logits(IMAGES, learner.classifier(learner.prompts(CLASSES))).shape == (4, 3)


def test_the_terms_are_those_of_the_paper_spelled_out() -> None:
    learner = disturbed(text_weight=7.0, image_weight=3.0)
    with torch.no_grad():
        f = learner.image_features(IMAGES).double().numpy()
        g = learner.text_features(learner.prompts(CLASSES)).double().numpy()
        z = IMAGES.features.double().numpy()
        e = torch.stack([features(template) for template in FEW_TEMPLATES]).mean(0).double().numpy()
    f, g, z, e = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (f, g, z, e))
    scale = float(learner.backbone.scale)

    def log_softmax(rows: np.ndarray) -> np.ndarray:
        shifted = rows - rows.max(1, keepdims=True)
        logs: np.ndarray = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return logs

    student, teacher = log_softmax(scale * f @ g.T), log_softmax(scale * z @ e.T)
    found = losses(learner)
    assert found == pytest.approx(
        {
            "cross_entropy": -np.mean([student[row, label] for row, label in enumerate(LABELS.tolist())]),
            "text_l1": 7 * np.abs(g - e).sum() / (3 * 20),
            "image_l1": 3 * np.abs(f - z).sum() / (4 * 20),
            "logit_kl": (np.exp(teacher) * (teacher - student)).sum() / (4 * 3),
        },
        rel=1e-4,
    )
    assert all(value > 0.01 for value in found.values())


def test_no_vision_prompt_leaves_no_image_term() -> None:
    found = losses(promptsrc(prompt_depth_text=1, prompt_depth_vision=0))
    assert found["image_l1"] == 0
    assert found["text_l1"] > 0.01
    assert found["logit_kl"] > 1e-6


def test_with_the_plain_template_it_starts_as_zero_shot_and_nothing_pulls() -> None:
    found = losses(promptsrc(**PLAIN))
    assert found["image_l1"] == 0
    assert found["text_l1"] == pytest.approx(0, abs=1e-4)
    assert found["logit_kl"] == pytest.approx(0, abs=1e-6)
    zeroshot = tiny.backbone().scale * F.normalize(IMAGES.features, dim=-1)
    expected = F.cross_entropy(zeroshot @ F.normalize(features("a photo of a {}."), dim=-1).T, LABELS)
    assert found["cross_entropy"] == pytest.approx(float(expected), rel=1e-4)


def test_terms_stay_within_their_bounds() -> None:
    found = losses(disturbed(text_weight=1.0, image_weight=1.0))
    assert found["logit_kl"] >= 0
    assert 0 <= found["text_l1"] <= 2 / 20**0.5
    assert 0 <= found["image_l1"] <= 2 / 20**0.5


def test_showing_every_image_twice_changes_no_term() -> None:
    learner = disturbed()
    twice = PixelBatch(tiny.pixels(4).repeat(2, 1, 1, 1), tiny.backbone())
    assert losses(learner, twice, LABELS.repeat(2)) == pytest.approx(losses(learner), rel=1e-4)


class _Sharper(PromptSRC):
    def similarity(self, image_features: Tensor, class_features: Tensor) -> Tensor:
        return 2 * super().similarity(image_features, class_features)


def test_a_replaced_similarity_changes_the_student_but_not_the_teacher() -> None:
    plain, sharper = promptsrc(), promptsrc(learner=_Sharper)
    prompts = plain.training_prompts(CLASSES)
    with torch.no_grad():
        logits, _ = plain.training_step(IMAGES, LABELS, prompts)
        doubled, terms = sharper.training_step(IMAGES, LABELS, prompts)
        teacher = plain.similarity(F.normalize(IMAGES.features, dim=-1), prompts.teacher)
    assert torch.equal(doubled, 2 * logits)
    expected = F.kl_div(doubled.log_softmax(-1), teacher.softmax(-1), reduction="batchmean") / 3
    torch.testing.assert_close(terms["logit_kl"], expected, rtol=1e-4, atol=1e-7)


def test_losses_are_float32_in_mixed_precision() -> None:
    backbone = tiny.backbone(precision="bf16")
    learner = PromptSRC(backbone, config(), CLASSES, torch.Generator().manual_seed(0))
    images = PixelBatch(tiny.pixels(4), backbone)
    with backbone.autocast():
        _, terms = learner.training_step(images, LABELS, learner.training_prompts(CLASSES))
    assert {term.dtype for term in terms.values()} == {torch.float32}
    exact = losses(promptsrc())
    assert float(terms["text_l1"].detach()) == pytest.approx(exact["text_l1"], rel=0.1)


@pytest.mark.parametrize(("depth", "published"), [(9, 46_080), (3, 15_360)])
def test_it_has_the_published_number_of_parameters(depth: int, published: int) -> None:
    settings = config(prompt_depth_text=depth, prompt_depth_vision=depth)
    learner = PromptSRC(tiny.backbone(layers=12), settings, CLASSES, torch.Generator())
    assert sum(parameter.numel() for parameter in learner.parameters()) == depth * 4 * (32 + 48)
    assert depth * 4 * (512 + 768) == published


def test_a_template_needs_a_place_for_the_name_and_a_gaussian_some_width() -> None:
    with pytest.raises(ValidationError, match="teacher_templates"):
        PromptSRCConfig(teacher_templates=("a photo.",))
    with pytest.raises(ValidationError, match="teacher_templates"):
        PromptSRCConfig(teacher_templates=())
    with pytest.raises(ValidationError, match="gpa_std"):
        PromptSRCConfig(gpa_std=0)


@pytest.mark.parametrize(
    ("protocol", "dataset", "depth", "epochs", "mean", "std"),
    [
        ("base-to-novel", "dtd", 9, 20, 15, 1),
        ("cross-dataset", "imagenet", 3, 20, 6, 10),
        ("domain-generalization", "imagenet", 3, 20, 6, 10),
        *(("few-shot", name, 9, 50, 30, 30) for name in ("imagenet", "caltech101", "oxford_pets", "food101")),
        *(("few-shot", name, 9, 50, 30, 30) for name in ("ucf101", "sun397", "")),
        *(("few-shot", name, 9, 50, 45, 5) for name in ("stanford_cars", "oxford_flowers", "fgvc_aircraft")),
        *(("few-shot", name, 9, 50, 45, 5) for name in ("dtd", "eurosat")),
    ],
)
def test_presets_are_the_released_ones(
    protocol: Any, dataset: str, depth: int, epochs: int, mean: float, std: float
) -> None:
    task = tiny.training_task(protocol, 16, dataset == "imagenet").model_copy(update={"dataset": dataset})
    found, recipe = PromptSRC.preset(task)
    assert found.model_dump(exclude={"teacher_templates"}) == {
        "n_ctx_text": 4,
        "n_ctx_vision": 4,
        "ctx_init": "a photo of a",
        "prompt_depth_text": depth,
        "prompt_depth_vision": depth,
        "text_weight": 25,
        "image_weight": 10,
        "gpa_mean": mean,
        "gpa_std": std,
    }
    assert (recipe.epochs, recipe.lr, recipe.batch_size, recipe.warmup_lr) == (epochs, 0.0025, 4, 1e-5)
