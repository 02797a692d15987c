"""Small DeAR learners with role tables made up for them, and their features by naive code."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import tiny
import torch
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.head_roles import ATTRIBUTES, Concept, Head, RoleTable, Settings, Source
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.inputs.views import PixelBatch
from promptarena.methods.dear import DeAR

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
    attribute: Any = None if kind in ("mixed", "generalization", "specialist") else kind
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
    learner: DeAR,
    rows: Sequence[Tensor],
    roles: Roles,
    beta: float,
    one_way: bool = False,
    attributes: Sequence[str] = ATTRIBUTES,
) -> tuple[Tensor, Tensor]:
    """f_cls and f_k; rows: the tokens that each layer is given."""
    own = slice(1, 1 + len(attributes))
    visual, first = BACKBONE.model.visual, learner.config.first_layer - 1
    x = IMAGES.tokens_at(first)
    names = ["image", *attributes] + ["image"] * (x.shape[1] - 1)
    x = torch.cat([x[:, :1], rows[0].expand(len(x), -1, -1), x[:, 1:]], dim=1)
    for number, (tokens, kinds) in enumerate(zip(rows, roles[first:], strict=True)):
        if number:
            x[:, own] = beta * tokens + (1 - beta) * x[:, own]
        x = naive_block(visual.transformer.resblocks[first + number], x, kinds, names, one_way)
    x = visual.ln_post(x)
    return x[:, 0] @ visual.proj, x[:, own] @ learner.w_attr
