"""RAda with trained encoders, and RAda adapted to each test image."""

import pytest
import tiny
import torch
from rada_kinds import BACKBONE, CLASSES, close, gradient_step, logits, plain, seeded

from promptarena.benchmark.backbone.loading import weights_digest
from promptarena.methods.rada import RAdaConfig
from promptarena.methods.rada_tuned import RAdaTuned


def tuned() -> RAdaTuned:
    return RAdaTuned(BACKBONE, RAdaConfig(), CLASSES, seeded())


def test_full_fine_tuning_starts_as_rada() -> None:
    assert close(logits(tuned()), logits(plain()))


def test_full_fine_tuning_moves_its_own_encoders_and_not_the_backbone() -> None:
    learner = tuned()
    before = logits(learner)
    gradients = gradient_step(learner)
    encoders = {name: gradient for name, gradient in gradients.items() if name.startswith("encoders.")}
    assert len(encoders) == len(list(BACKBONE.model.parameters())) - 1
    assert all(gradient.any() for gradient in encoders.values())
    assert "encoders.logit_scale" not in gradients
    assert not close(logits(learner), before, 1e-2)
    assert weights_digest(BACKBONE.model.state_dict()) == BACKBONE.digest
    assert not any(parameter.requires_grad for parameter in BACKBONE.model.parameters())


@pytest.mark.parametrize("tower", ["visual.", "transformer."])
def test_full_fine_tuning_scores_with_the_trained_encoders(tower: str) -> None:
    learner = tuned()
    with torch.no_grad():
        for name, parameter in learner.encoders.named_parameters():
            if name.startswith(tower) and name.endswith("mlp.c_fc.weight"):
                parameter.neg_()
    assert not close(logits(learner), logits(plain()), 1e-2)


def test_full_fine_tuning_gives_the_attention_ten_times_the_rate() -> None:
    learner = tuned()
    factors = {name.split(".")[0]: learner.lr_factor(name) for name, _ in learner.named_parameters()}
    assert factors == {"attention": 10.0, "encoders": 1.0}
    _, recipe = RAdaTuned.preset(tiny.training_task())
    assert (recipe.optimizer, recipe.lr, recipe.weight_decay) == ("adamw", 1e-5, 0.1)
    assert (recipe.batch_size, recipe.epochs, recipe.warmup_epochs) == (512, 10, 1)
