"""DeAR with attributes other than the paper's: tokens, masks and weights are as many as the role table has."""

from pathlib import Path

import pytest
import torch
from dear_learners import BACKBONE, CLASSES, IMAGES, Roles, close, drawn, loss_terms, naive_features, table

from promptarena.benchmark.core.errors import UserError
from promptarena.methods.dear import DeAR, DeARConfig

WINGS = ("wings", "open", "a red thing")
ROLES: Roles = (
    ("wings", "specialist", "generalization"),
    ("mixed", "a red thing", "generalization"),
    ("open", "mixed", "a red thing"),
)


def dear(folder: Path, roles: Roles = ROLES, attributes: tuple[str, ...] = WINGS, **config: object) -> DeAR:
    path = folder / "roles.json"
    table(roles, attributes=attributes).save(path)
    settings = DeARConfig.model_validate({"first_layer": 1, "n_text": 2, "roles": str(path)} | config)
    return drawn(DeAR(BACKBONE, settings, CLASSES, torch.Generator().manual_seed(0)))


def equal_to_naive(learner: DeAR, roles: Roles, attributes: tuple[str, ...] = WINGS) -> bool:
    expected = naive_features(learner, [learner.r_v] * 3, roles, 0.5, attributes=attributes)
    return all(close(*pair, 1e-4) for pair in zip(learner.both_image_features(IMAGES), expected, strict=True))


def test_there_is_a_token_a_feature_and_a_weight_for_each_attribute(tmp_path: Path) -> None:
    learner = dear(tmp_path)
    assert learner.attributes == WINGS
    assert (learner.r_v.shape[0], learner.w.shape) == (3, (4,))
    assert learner.attribute_features(IMAGES).shape == (4, 3, BACKBONE.embed_dim)
    assert equal_to_naive(learner, ROLES)
    assert all(term.isfinite() for term in loss_terms(learner).values())


def test_one_attribute_is_enough_and_ten_are_not_too_many(tmp_path: Path) -> None:
    for attributes in (("wings",), tuple(f"part {number}" for number in range(10))):
        roles = ((attributes[0], "mixed", attributes[-1]),) * 3
        assert equal_to_naive(dear(tmp_path, roles, attributes), roles, attributes)


def test_ablations_of_the_mask_keep_the_tables_tokens_and_read_its_file(tmp_path: Path) -> None:
    learner = dear(tmp_path, mask="none")
    assert learner.r_v.shape[0] == 3
    assert DeAR.reads(learner.config, BACKBONE.digest) == {"roles": tmp_path / "roles.json"}


def test_by_layers_all_heads_of_a_layer_have_the_role_of_most(tmp_path: Path) -> None:
    roles = (("wings", "open", "open"), ("mixed", "generalization", "specialist"), ("a red thing", "mixed", "wings"))
    same = (("open",) * 3, ("generalization",) * 3, ("a red thing",) * 3)
    assert DeAR.ablations["layers"] == {"mask": "layers"}
    learner = dear(tmp_path, roles, mask="layers")
    assert equal_to_naive(learner, same)
    assert not close(learner.image_features(IMAGES), dear(tmp_path, roles).image_features(IMAGES), 1e-2)


def test_a_shared_space_has_as_many_text_tokens_as_attributes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dear\.n_text: with shared_space it must be 3"):
        dear(tmp_path, shared_space=True, n_text=5)
    assert dear(tmp_path, shared_space=True, n_text=3).r.shape[0] == 3
