import math

import pytest
import torch
import torch.nn.functional as F
from dear_learners import BACKBONE, CLASSES, CLOSED, IMAGES, LABELS, Make, close, loss_terms, readings

from promptarena.benchmark.backbone.loading import weights_digest


def test_the_fusion_starts_at_seventy_percent_for_the_class_feature(dear: Make) -> None:
    alpha = dear().alpha().detach()
    assert alpha.tolist() == pytest.approx([0.7] + [0.06] * 5, abs=5e-4)
    assert float(alpha.sum()) == pytest.approx(1)


def test_logits_are_six_cosines_weighted_by_alpha(dear: Make) -> None:
    learner = dear()
    with torch.no_grad():
        learner.w.copy_(torch.tensor([1.0, 0.5, -1.0, 0.2, 0.0, 2.0]))
        t = learner.text_features(learner.prompts(CLASSES))
        f_cls, f_k = learner.both_image_features(IMAGES)
        weights = [math.exp(w) / sum(map(math.exp, learner.w.tolist())) for w in learner.w.tolist()]
        expected = torch.zeros(4, 3)
        for image in range(4):
            for label in range(3):
                features = [f_cls[image], *f_k[image]]
                cosines = [float(f @ t[label] / (f.norm() * t[label].norm())) for f in features]
                expected[image, label] = BACKBONE.scale * sum(a * c for a, c in zip(weights, cosines, strict=True))
    found = readings(learner)
    assert list(found) == ["", "class feature"]
    assert close(found[""], expected, 1e-4)
    with torch.no_grad():
        assert torch.equal(learner.logits(IMAGES, learner.classifier(learner.prompts(CLASSES))), found[""])
    assert close(learner.attribute_features(IMAGES), f_k / f_k.norm(dim=-1, keepdim=True))


def test_all_weight_on_the_class_feature_leaves_its_logits(dear: Make) -> None:
    learner = dear()
    assert not close(readings(learner)[""], readings(learner)["class feature"], 1e-2)
    with torch.no_grad():
        learner.w[0] = 100.0
    assert close(readings(learner)[""], readings(learner)["class feature"])


def test_the_fusion_loss_is_ln_6_for_equal_weights_and_falls_to_0(dear: Make) -> None:
    learner = dear(fusion_start=0.0, fusion_weight=2.0)
    assert loss_terms(learner)["fusion"].item() == pytest.approx(2 * math.log(6))
    for w_cls in (3.0, 100.0):
        with torch.no_grad():
            learner.w[0] = w_cls
        expected = -2 * math.log(math.exp(w_cls) / (math.exp(w_cls) + 5))
        assert loss_terms(learner)["fusion"].item() == pytest.approx(expected, abs=1e-6)
    assert not loss_terms(dear(fusion_weight=0.0))["fusion"]


def test_losses_are_the_papers(dear: Make) -> None:
    learner = dear(reg_weight=3.0, branch_weight=0.3)
    with torch.no_grad():
        f_cls, f_k = learner.both_image_features(IMAGES)
        t = learner.text_features(learner.prompts(CLASSES))
        texts = [BACKBONE.encode_text(BACKBONE.embed(BACKBONE.tokenize([text])))[0] for text in CLASSES.filled()]
        logits, losses = learner.training_step(IMAGES, LABELS, learner.training_prompts(CLASSES))
        branch = BACKBONE.scale * torch.stack([F.cosine_similarity(f_k, c, dim=-1).mean(1) for c in t], dim=1)
    cosines_image = [f @ g / (f.norm() * g.norm()) for f, g in zip(f_cls, IMAGES.features, strict=True)]
    cosines_text = [f @ g / (f.norm() * g.norm()) for f, g in zip(t, texts, strict=True)]
    expected = {
        "cross_entropy": torch.stack([-readings(learner)[""][i].log_softmax(0)[LABELS[i]] for i in range(4)]).mean(),
        "reg_image": 3 * (1 - torch.stack(cosines_image).mean()),
        "reg_text": 3 * (1 - torch.stack(cosines_text).mean()),
        "fusion": torch.tensor(-0.1 * math.log(0.7)),
        "branch": 0.3 * torch.stack([-branch[i].log_softmax(0)[LABELS[i]] for i in range(4)]).mean(),
    }
    assert close(logits, readings(learner)[""])
    assert losses.keys() == expected.keys()
    assert all(close(losses[name], expected[name], 1e-3) for name in expected)
    assert "branch" not in loss_terms(dear())


def test_where_nothing_departs_from_frozen_clip_nothing_is_regularised(dear: Make) -> None:
    losses = loss_terms(dear(CLOSED, n_text=0))
    assert losses["reg_image"].item() == pytest.approx(0, abs=1e-6)
    assert losses["reg_text"].item() == pytest.approx(0, abs=1e-6)
    assert loss_terms(dear(CLOSED))["reg_text"].item() > 1e-3
    assert loss_terms(dear(n_text=0))["reg_image"].item() > 1e-3


def test_a_step_changes_tokens_projection_and_weights_and_nothing_else(dear: Make) -> None:
    learner = dear()
    before = {name: parameter.clone() for name, parameter in learner.named_parameters()}
    assert before.keys() == {"r_v", "r_t", "w_attr", "w"}
    assert learner.state_dict().keys() == before.keys()
    optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-3)
    torch.stack(list(loss_terms(learner).values())).sum().backward()
    optimizer.step()
    for name, parameter in learner.named_parameters():
        assert (parameter != before[name]).flatten(1 if parameter.ndim > 1 else 0).any(-1).all(), name
    assert weights_digest(BACKBONE.model.state_dict()) == BACKBONE.digest


def test_a_learner_that_has_scored_can_still_be_trained(dear: Make) -> None:
    learner = dear()
    with torch.inference_mode():
        learner.image_features(IMAGES)
    torch.stack(list(loss_terms(learner).values())).sum().backward()
    assert learner.r_v.grad is not None
