"""DeAR: attribute tokens, the masks of heads by role, the fusion of six features, and its losses."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from promptarena.benchmark.backbone import Backbone
from promptarena.benchmark.cards import DATASETS
from promptarena.benchmark.errors import UserError
from promptarena.benchmark.heads.concepts import ATTRIBUTES
from promptarena.benchmark.heads.roles import Concept, Head, RoleTable, Settings, Source
from promptarena.benchmark.inputs import PixelBatch
from promptarena.benchmark.insertions import append
from promptarena.benchmark.method import Classes
from promptarena.benchmark.weights import backbone_of_shapes, weights_digest
from promptarena.methods.dear import DeAR, DeARConfig, role_mask

CLASSES = Classes(("red fox", "zebra", "great barn owl"), "art of the {}.", "zoo")
BACKBONE = tiny.backbone()
IMAGES = PixelBatch(tiny.pixels(4), BACKBONE)
LABELS = torch.tensor([0, 1, 2, 1])
KINDS = (*ATTRIBUTES, "mixed", "generalization", "specialist")
ROLES = (
    ("shape", "specialist", "generalization"),
    ("mixed", "colour", "generalization"),
    ("position", "mixed", "colour"),
)
CLOSED = (("generalization",) * 3,) * 3
MIXED = (("mixed",) * 3,) * 3

Roles = Sequence[Sequence[str]]
Make = Callable[..., DeAR]


def row(layer: int, head: int, kind: str) -> Head:
    attribute: Any = kind if kind in ATTRIBUTES else None
    role: Any = "attribute" if attribute or kind == "specialist" else kind
    shares = (0.5, 0.5)
    return Head(
        layer=layer,
        head=head,
        role=role,
        attribute=attribute,
        entropy=1.0,
        distribution=shares,
        dominant=0,
        texts=("a",),
    )


def table(roles: Roles, backbone: Backbone = BACKBONE, **changes: Any) -> RoleTable:
    """The roles of the heads of the last layers."""
    depth, width, source = backbone.vision.depth, backbone.vision.heads, Source(name="x", count=3, digest="d")
    layers = tuple(range(depth + 1 - len(roles), depth + 1))
    by_layer = zip(layers, roles, strict=True)
    values: dict[str, Any] = {
        "backbone": "tiny",
        "backbone_digest": backbone.digest,
        "depth": depth,
        "width": width,
        "layers": layers,
        "rule": "thresholds",
        "concepts": tuple(Concept(name=name, attribute=None, texts=4) for name in "ab"),
        "found_with": 5,
        "heads": tuple(row(layer, head, kind) for layer, kinds in by_layer for head, kind in enumerate(kinds)),
        "images": source,
        "pool": source,
        "encoder": source,
        "settings": Settings(concepts=2),
    }
    return RoleTable(**(values | changes))


@pytest.fixture
def dear(tmp_path: Path) -> Make:
    """A learner with these roles, and with tokens and weights drawn large enough to matter."""

    def make(kinds: Roles = ROLES, backbone: Backbone = BACKBONE, **config: Any) -> DeAR:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        table(kinds, backbone).save(path)
        settings = {"first_layer": 1, "n_text": 2, "roles": str(path)} | config
        learner = DeAR(backbone, DeARConfig(**settings), CLASSES, torch.Generator().manual_seed(0))
        return drawn(learner)

    return make


def drawn(learner: DeAR) -> DeAR:
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in learner.named_parameters():
            if name != "w":
                parameter += torch.randn(parameter.shape, generator=random) * (1.0 if name in ("r_v", "r_t") else 0.1)
    return learner


def random_roles(seed: int) -> Roles:
    chosen = torch.randint(len(KINDS), (3, 3), generator=torch.Generator().manual_seed(seed)).tolist()
    return [[KINDS[index] for index in layer] for layer in chosen]


def close(one: Tensor, other: Tensor, relative: float = 1e-5) -> bool:
    return bool((one - other).abs().max() <= relative * other.abs().max())


def readings(learner: DeAR) -> dict[str, Tensor]:
    with torch.no_grad():
        return dict(learner.readings(IMAGES, learner.classifier(learner.prompts(CLASSES))))


def loss_terms(learner: DeAR) -> dict[str, Tensor]:
    return learner.training_step(IMAGES, LABELS, learner.training_prompts(CLASSES))[1]


# the vision tower, written out with the tokens behind the class token


def sees(role: str, query: str, key: str, one_way: bool) -> bool:
    if role == "mixed" or query == key:
        return True
    if role in ("generalization", "specialist"):
        return query != "image" and (key != "image" or one_way)
    return {query, key} == {"image", role}


def naive_block(block: Any, x: Tensor, roles: Sequence[str], names: Sequence[str], one_way: bool) -> Tensor:
    attention, size = block.attn, x.shape[2] // len(roles)
    bias = [[[0.0 if sees(role, q, k, one_way) else -math.inf for k in names] for q in names] for role in roles]
    q, k, v = (block.ln_1(x) @ attention.in_proj_weight.T + attention.in_proj_bias).chunk(3, dim=2)
    mixed = []
    for head in range(len(roles)):
        own = slice(head * size, (head + 1) * size)
        scores = q[:, :, own] @ k[:, :, own].transpose(1, 2) / math.sqrt(size) + torch.tensor(bias[head])
        mixed.append(scores.softmax(dim=2) @ v[:, :, own])
    x = x + torch.cat(mixed, dim=2) @ attention.out_proj.weight.T + attention.out_proj.bias
    return x + block.mlp(block.ln_2(x))


@torch.no_grad()
def naive_features(
    learner: DeAR, rows: Sequence[Tensor], roles: Roles, beta: float, one_way: bool = False
) -> tuple[Tensor, Tensor]:
    """f_cls and f_k; rows: the tokens that each layer is given."""
    visual, first = BACKBONE.model.visual, learner.config.first_layer - 1
    x = IMAGES.tokens_at(first)
    names = ["image", *ATTRIBUTES] + ["image"] * (x.shape[1] - 1)
    x = torch.cat([x[:, :1], rows[0].expand(len(x), -1, -1), x[:, 1:]], dim=1)
    for number, (tokens, kinds) in enumerate(zip(rows, roles[first:], strict=True)):
        if number:
            x[:, 1:6] = beta * tokens + (1 - beta) * x[:, 1:6]
        x = naive_block(visual.transformer.resblocks[first + number], x, kinds, names, one_way)
    x = visual.ln_post(x)
    return x[:, 0] @ visual.proj, x[:, 1:6] @ learner.w_attr


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("roles", [ROLES, MIXED, CLOSED, *map(random_roles, range(4))])
def test_image_features_are_those_of_tokens_behind_the_class_token_masked_pair_by_pair(
    dear: Make, roles: Roles, beta: float
) -> None:
    for first_layer in (1, 2):
        learner = dear(roles, beta=beta, first_layer=first_layer)
        expected = naive_features(learner, [learner.r_v] * (4 - first_layer), roles, beta)
        found = learner.both_image_features(IMAGES)
        assert close(found[0], expected[0], 1e-4)
        assert close(found[1], expected[1], 1e-4)
        assert torch.equal(learner.image_features(IMAGES), found[0])


def test_one_way_lets_tokens_read_the_image_in_heads_that_are_closed(dear: Make) -> None:
    learner = dear(mask_direction="one_way")
    expected = naive_features(learner, [learner.r_v] * 3, ROLES, 0.5, one_way=True)
    assert all(close(*pair, 1e-4) for pair in zip(learner.both_image_features(IMAGES), expected, strict=True))
    assert not close(learner.both_image_features(IMAGES)[1], dear().both_image_features(IMAGES)[1], 1e-2)


def test_ablated_masks_replace_the_roles_that_they_name(dear: Make) -> None:
    for mask, roles in {
        "none": MIXED,
        "all_generalization": CLOSED,
        "generalization_only": [["mixed" if kind != "generalization" else kind for kind in kinds] for kinds in ROLES],
    }.items():
        learner = dear(mask=mask)
        expected = naive_features(learner, [learner.r_v] * 3, roles, 0.5)
        assert all(close(*pair, 1e-4) for pair in zip(learner.both_image_features(IMAGES), expected, strict=True))


def test_with_generalization_heads_only_the_class_feature_is_the_frozen_one_and_no_token_sees_the_image(
    dear: Make,
) -> None:
    learner = dear(CLOSED)
    f_cls, f_k = learner.both_image_features(IMAGES)
    assert close(f_cls, IMAGES.features)
    assert close(f_k, f_k[:1].expand_as(f_k))
    f_cls.sum().backward()
    assert learner.r_v.grad is None or not learner.r_v.grad.any()
    one_way = dear(CLOSED, mask_direction="one_way")
    f_cls, f_k = one_way.both_image_features(IMAGES)
    assert close(f_cls, IMAGES.features)
    assert not close(f_k, f_k[:1].expand_as(f_k), 1e-2)


def test_a_specialist_of_something_else_is_as_closed_as_a_generalization_head(dear: Make) -> None:
    assert close(dear((("specialist",) * 3,) * 3).image_features(IMAGES), IMAGES.features)


def test_a_single_wrong_entry_of_a_mask_breaks_the_isolation() -> None:
    tokens, rows = IMAGES.tokens_at(2), torch.randn(5, 48, generator=torch.Generator().manual_seed(1))

    def f_cls(mask: Tensor) -> Tensor:
        return BACKBONE.image_features_from(tokens, start=2, edits={2: append(rows)}, bias={2: mask[None]})

    mask = role_mask(["closed"] * 3, tokens.shape[1])
    assert mask.shape == (3, 10, 10)
    assert close(f_cls(mask), IMAGES.features)
    mask[1, 0, 7] = 0
    assert not close(f_cls(mask), IMAGES.features, 1e-2)


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_attribute_head_lets_its_own_token_into_the_image_and_no_other(dear: Make, attribute: str) -> None:
    learner = dear((*CLOSED[:2], ("generalization", attribute, "generalization")), first_layer=3)
    before = learner.image_features(IMAGES)
    for name, token in zip(ATTRIBUTES, learner.r_v, strict=True):
        with torch.no_grad():
            token += torch.linspace(-2, 2, len(token))
        after = learner.image_features(IMAGES)
        assert close(after, before) == (name != attribute)
        before = after


def test_an_attribute_head_shows_the_image_to_its_own_token_only(dear: Make) -> None:
    f_k = dear((("texture",) * 3,) * 3).both_image_features(IMAGES)[1]
    alike = [close(f, f[:1].expand_as(f), 1e-4) for f in f_k.unbind(1)]
    assert alike == [name != "texture" for name in ATTRIBUTES]


def test_permuting_tokens_with_the_roles_permutes_the_attribute_features(dear: Make) -> None:
    order = [3, 0, 4, 1, 2]
    renamed = {ATTRIBUTES[old]: ATTRIBUTES[new] for new, old in enumerate(order)}
    learner, permuted = dear(), dear([[renamed.get(kind, kind) for kind in kinds] for kinds in ROLES])
    with torch.no_grad():
        permuted.r_v.copy_(learner.r_v[order])
    (f_cls, f_k), (f_cls_permuted, f_k_permuted) = (each.both_image_features(IMAGES) for each in (learner, permuted))
    assert close(f_cls_permuted, f_cls)
    assert close(f_k_permuted, f_k[:, order])
    assert not close(f_k_permuted, f_k, 1e-2)


def test_with_beta_one_every_layer_starts_from_the_learned_tokens(dear: Make) -> None:
    seen: list[Tensor] = []
    norms = [block.get_submodule("ln_1") for block in BACKBONE.vision.blocks]
    hooks = [norm.register_forward_pre_hook(lambda _, given: seen.append(given[0][:, -5:])) for norm in norms]
    learner = dear(beta=1.0)
    try:
        learner.image_features(IMAGES)
    finally:
        for hook in hooks:
            hook.remove()
    assert len(seen) == 3
    assert all(torch.equal(given, learner.r_v.expand(4, -1, -1)) for given in seen)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_no_role_table_gives_a_value_that_is_not_finite(dear: Make, precision: Any) -> None:
    backbone = tiny.backbone(precision=precision)
    images = PixelBatch(tiny.pixels(4), backbone)
    for roles in (CLOSED, MIXED, (("colour",) * 3,) * 3, *map(random_roles, range(6))):
        learner = dear(roles, backbone)
        with backbone.autocast():
            _, losses = learner.training_step(images, LABELS, learner.training_prompts(CLASSES))
            features = learner.attribute_features(images)
        learner.backward(losses)
        assert all(loss.isfinite() for loss in losses.values())
        assert features.isfinite().all()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in learner.parameters())


# text


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_text_tokens_enter_behind_the_start_and_move_the_end_of_text_back(dear: Make, beta: float) -> None:
    learner = dear(first_layer=2, beta=beta)
    found = learner.text_features(learner.prompts(CLASSES)).detach()
    for name, feature in zip(CLASSES.names, found, strict=True):
        with torch.no_grad():
            tokens = BACKBONE.text_tokens(BACKBONE.embed(BACKBONE.tokenize([f"art of the {name}."])), stop=1)
            tokens = torch.cat([tokens[:, :1], learner.r_t[None], tokens[:, 1:]], dim=1)
            tokens = BACKBONE.text.run(tokens, start=1, stop=2)
            tokens[:, 1:3] = beta * learner.r_t + (1 - beta) * tokens[:, 1:3]
            assert close(feature, BACKBONE.project_text(BACKBONE.text.run(tokens, start=2)[0, -1]), 1e-4)


def test_without_text_tokens_class_features_are_frozen_clips(dear: Make) -> None:
    learner = dear(n_text=0)
    frozen = BACKBONE.encode_text(BACKBONE.embed(BACKBONE.tokenize(CLASSES.filled())))
    assert close(learner.text_features(learner.prompts(CLASSES)), frozen)


# fusion and losses


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


# a space that both towers share


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


# ablations, role tables, settings


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


def test_a_role_table_that_is_missing_or_does_not_fit_is_told_before_training(tmp_path: Path) -> None:
    path = tmp_path / "roles.json"
    named = DeARConfig(roles=str(path), first_layer=2)
    with pytest.raises(UserError, match=r"no role table is shipped .* promptarena heads diagnose SUITE --out FILE"):
        DeAR.reads(DeARConfig(), BACKBONE.digest)
    with pytest.raises(UserError, match="cannot read"):
        DeAR.reads(named, BACKBONE.digest)
    path.write_text("{}")
    with pytest.raises(UserError, match="is missing"):
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
