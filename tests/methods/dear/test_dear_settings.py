from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from dear_learners import BACKBONE, CLASSES, IMAGES, ROLES, Make, close, loss_terms, naive_features, readings, table
from pydantic import ValidationError

from promptarena.benchmark.backbone.head_roles import RoleTable
from promptarena.benchmark.backbone.loading import backbone_of_shapes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.paths import DATASETS
from promptarena.methods.dear import DeAR, DeARConfig


def test_it_has_the_published_shapes_and_starts_as_described() -> None:
    learner = DeAR(backbone_of_shapes("ViT-B-16"), DeARConfig(), CLASSES, torch.Generator().manual_seed(0))
    assert {name: tuple(p.shape) for name, p in learner.named_parameters()} == {
        "r_v": (5, 768),
        "r_t": (5, 512),
        "w_attr": (768, 512),
        "w": (6,),
    }
    assert sum(parameter.numel() for parameter in learner.parameters()) == 399_622
    assert float(learner.r_v.detach().std()) == pytest.approx(0.02, rel=0.1)
    started = DeAR(BACKBONE, DeARConfig(first_layer=1), CLASSES, torch.Generator().manual_seed(0))
    assert torch.equal(started.w_attr, BACKBONE.model.visual.proj)
    config = DeARConfig(first_layer=1, attr_projection="random")
    started = DeAR(BACKBONE, config, CLASSES, torch.Generator().manual_seed(0))
    assert float(started.w_attr.detach().std()) == pytest.approx(48**-0.5, rel=0.1)


def test_in_a_shared_space_each_layer_sees_the_tokens_through_a_map_of_its_own(dear: Make) -> None:
    learner = dear(shared_space=True, n_text=5, rep_dim=12, first_layer=2)
    state = learner.state_dict()
    rows = [state["r"] @ state[f"f_v.{i}.weight"].T + state[f"f_v.{i}.bias"] for i in range(2)]
    expected = naive_features(learner, rows, ROLES, 0.5)
    assert all(close(*pair, 1e-4) for pair in zip(learner.both_image_features(IMAGES), expected, strict=True))
    assert not close(*rows, 1e-2)
    for features in (learner.text_features(learner.prompts(CLASSES)), learner.image_features(IMAGES)):
        learner.r.grad = None
        features.sum().backward()
        assert learner.r.grad is not None


def test_the_maps_of_a_tower_start_equal() -> None:
    config = DeARConfig(shared_space=True, first_layer=1)
    learner = DeAR(BACKBONE, config, CLASSES, torch.Generator().manual_seed(0))
    state = learner.state_dict()
    assert state["r"].shape == (5, 512)
    for name in ("f_v", "f_t"):
        assert torch.equal(state[f"{name}.0.weight"], state[f"{name}.2.weight"])


@pytest.mark.parametrize("name", DeAR.ablations)
def test_every_ablation_can_be_trained_and_scores_differently(dear: Make, name: str) -> None:
    learner, whole = dear(**DeAR.ablations[name]), dear()
    terms = loss_terms(learner)
    torch.stack(list(terms.values())).sum().backward()
    if name == "fusion_reg":
        assert sum(terms.values()) < sum(loss_terms(whole).values())
    else:
        assert not close(readings(learner)[""], readings(whole)[""], 1e-3)


def test_without_attribute_tokens_the_frozen_image_meets_the_learned_text(dear: Make) -> None:
    learner = dear(attribute_tokens=False)
    assert [name for name, _ in learner.named_parameters()] == ["r_t"]
    t = learner.text_features(learner.prompts(CLASSES)).detach()
    expected = BACKBONE.scale * F.normalize(IMAGES.features, dim=-1) @ F.normalize(t, dim=-1).T
    assert all(close(logits, expected) for logits in readings(learner).values())
    assert learner.attribute_features(IMAGES).shape == (4, 0, 20)
    losses = loss_terms(learner)
    assert not losses["fusion"]
    assert losses["reg_image"].item() == pytest.approx(0, abs=1e-6)


def test_a_run_reads_the_role_table_that_it_names_or_the_shipped_one(tmp_path: Path) -> None:
    shipped = DATASETS / "mini" / "heads" / "roles.json"
    assert DeAR.reads(DeARConfig(), RoleTable.load(shipped).backbone_digest) == {"roles": shipped}
    own = tmp_path / "roles.json"
    table(ROLES).save(own)
    assert DeAR.reads(DeARConfig(roles=str(own), first_layer=1), BACKBONE.digest) == {"roles": own}


def test_settings_that_need_no_roles_read_none() -> None:
    for settings in ({"mask": "none"}, {"mask": "all_generalization"}, {"attribute_tokens": False}):
        assert DeAR.reads(DeARConfig.model_validate(settings), BACKBONE.digest) == {}
    with pytest.raises(UserError, match="no role table"):
        DeAR.reads(DeARConfig(mask="generalization_only"), BACKBONE.digest)


def test_a_role_table_that_is_missing_or_does_not_fit_is_reported_before_training(tmp_path: Path) -> None:
    path = tmp_path / "roles.json"
    named = DeARConfig(roles=str(path), first_layer=2)
    with pytest.raises(UserError, match=r"no role table is shipped .* promptarena heads diagnose SUITE --out FILE"):
        DeAR.reads(DeARConfig(), BACKBONE.digest)
    with pytest.raises(UserError, match="cannot read"):
        DeAR.reads(named, BACKBONE.digest)
    path.write_text("{}")
    with pytest.raises(UserError, match="are missing"):
        DeAR.reads(named, BACKBONE.digest)
    table(ROLES, backbone_digest="other").save(path)
    with pytest.raises(UserError, match=r"not the role table of the weights .* --set dear\.roles=FILE"):
        DeAR.reads(named, BACKBONE.digest)
    table(ROLES[2:]).save(path)
    with pytest.raises(UserError, match=r"dear\.first_layer 2: .* has no layer 2; .* --layers 2-3"):
        DeAR.reads(named, BACKBONE.digest)


def test_a_learner_without_its_role_table_says_so_when_it_is_used(dear: Make, tmp_path: Path) -> None:
    learner = DeAR(BACKBONE, DeARConfig(first_layer=1), CLASSES, torch.Generator().manual_seed(0))
    with pytest.raises(UserError, match="no role table"):
        learner.image_features(IMAGES)
    table(((*ROLES[0], "mixed"),) * 3, width=4).save(tmp_path / "roles.json")
    learner = dear(roles=str(tmp_path / "roles.json"))
    with pytest.raises(UserError, match="3 layers of 4 heads"):
        learner.image_features(IMAGES)


def test_settings_are_checked() -> None:
    with pytest.raises(UserError, match="first_layer 9 exceeds the backbone's 3 layers"):
        DeAR(BACKBONE, DeARConfig(), CLASSES, torch.Generator())
    with pytest.raises(ValidationError, match="n_text must be 5"):
        DeARConfig(shared_space=True, n_text=4)
    with pytest.raises(ValidationError, match="nothing is trained"):
        DeARConfig(attribute_tokens=False, n_text=0)


@pytest.mark.parametrize(
    ("protocol", "is_source", "expected"),
    [
        ("base-to-novel", False, (10, 4, 1)),
        ("base-to-novel", True, (5, 32, 1)),
        ("few-shot", False, (50, 32, 1)),
        ("few-shot", True, (5, 32, 1)),
        ("cross-dataset", True, (1, 32, 0)),
        ("domain-generalization", True, (1, 32, 0)),
    ],
)
def test_presets_are_mmrls(protocol: Any, is_source: bool, expected: tuple[int, int, int]) -> None:
    config, recipe = DeAR.preset(tiny.training_task(protocol, 16, is_source))
    assert config == DeARConfig()
    assert (recipe.epochs, recipe.batch_size, recipe.warmup_epochs) == expected
    assert (recipe.optimizer, recipe.lr, recipe.weight_decay) == ("adamw", 1e-3, 5e-4)
    assert recipe.crop_scale == (0.5, 1.0)
