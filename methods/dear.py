"""DeAR: attribute tokens in the upper vision blocks, masked in each attention head according to its role."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.head_roles import ATTRIBUTES, RoleTable
from promptarena.benchmark.backbone.towers import Edit, Tower
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import NotReadyError, UserError
from promptarena.benchmark.core.paths import DATASETS
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import append, check_depth, drawn_context, drawn_linear, insert, overwrite
from promptarena.benchmark.plugins.learner import About, Config, Images, Learner, assumed
from promptarena.benchmark.plugins.role_masks import Door, by_layer, door_of, role_mask

Mask = Literal["roles", "none", "generalization_only", "all_generalization", "layers"]


class DeARConfig(Config):
    """Tokens, masks, read-out and losses of DeAR."""

    first_layer: int = Field(9, ge=1, description="J, first layer with tokens, counted from 1; they stay to the last")
    attribute_tokens: bool = Field(True, description="vision tokens, one for each attribute; off: the frozen feature")
    mask: Mask = Field(
        "roles",
        description="which heads are masked: by the role table; none; only its generalization heads, the others being "
        "mixed; all, as generalization heads; or all heads of a layer in the same way, as most of them",
    )
    roles: str = Field("", description="file of the role table; empty: the one shipped for the backbone")
    mask_direction: Literal["both", "one_way"] = assumed(
        "both", description="generalization heads: tokens and image apart; one_way: tokens may still read the image"
    )
    n_text: int = assumed(5, ge=0, description="K, text tokens")
    beta: float = assumed(
        0.5, ge=0, le=1, description="share of the learned tokens in the input of later layers; 1: set anew at each"
    )
    shared_space: bool = assumed(
        False, description="both towers see one R (A, rep_dim) through linear maps of each layer, as in MMRL"
    )
    rep_dim: int = assumed(512, ge=1, description="width of the shared space")
    attr_projection: Literal["clip", "random"] = assumed(
        "clip", description="initial W_attr: CLIP's image projection, or drawn from N(0, 1 / W_vision)"
    )
    fusion_start: float = assumed(
        2.4567, ge=0, le=20, description="initial w_cls, the other w being 0; 2.4567: alpha_cls = 0.70; 0: all equal"
    )
    reg_weight: float = assumed(1.0, ge=0, description="lambda_reg, weight of the cosine losses")
    fusion_weight: float = assumed(0.1, ge=0, description="lambda_fusion, weight of -log alpha_cls")
    branch_weight: float = assumed(0.0, ge=0, description="weight of a cross-entropy of the mean attribute logits")

    @model_validator(mode="after")
    def _fitting_tokens(self) -> Self:
        if self.shared_space and not self.roles and self.n_text != len(ATTRIBUTES):
            raise ValueError(f"with shared_space n_text must be {len(ATTRIBUTES)}, as many as there are attributes")
        if not self.attribute_tokens and self.n_text == 0:
            raise ValueError("without attribute_tokens n_text must be 1 or more, or nothing is trained")
        return self

    @property
    def needs_roles(self) -> bool:
        """Whether a role table is read."""
        return self.attribute_tokens and self.mask in ("roles", "generalization_only", "layers")


@dataclass(frozen=True)
class ClassTokens:
    """Frozen tokens (C, L, W_text) before layer J and, for training only, the frozen class features t^0 (C, D)."""

    tokens: Prompts
    t_frozen: Tensor | None = None


class DeAR(Learner):
    """Decomposing Attention head Roles.

    "DeAR: Fine-Grained VLM Adaptation by Decomposing Attention Head Roles", CVPR 2026.

    From layer J on, tokens r_k, one for each of the role table's A attributes (the paper's: colour, shape, texture,
    object and position), follow the patches, and K text tokens follow the start token. Before each later layer their
    rows become

        beta r + (1 - beta) (output of the previous layer).

    M (heads, L, L) in {0, -inf} is added to the vision attention of each layer; O: class token and patches. Its zeros,
    by the head's role:

        generalization, or a specialist of something else:  O -> O, r -> r
        attribute k:                                        O -> O, O <-> r_k, each r to itself
        mixed:                                              all

    f_cls = LN(class token) W, f_k = LN(r_k) W_attr with W_attr: (W_vision, D), t: class features, all normalised:

        logits = s (alpha_cls f_cls + sum_k alpha_k f_k) t^T,    alpha = softmax(w), w in R^(1 + A)
        L = CE + lambda_reg ((1 - cos(f_cls, f_cls^0)) + (1 - cos(t, t^0))) - lambda_fusion log alpha_cls

    with frozen CLIP's f_cls^0 and t^0, cosines averaged. All classes and datasets are scored by these logits.
    """

    about = About(
        "DeAR",
        "DeAR: Fine-Grained VLM Adaptation by Decomposing Attention Head Roles",
        "CVPR",
        2026,
        "https://arxiv.org/abs/2603.01111",
        parity="properties",
        assumed=(
            "recipe: MMRL's",
            "the head diagnosis that made the role table",
            "tokens that an attribute head shuts out see themselves only",
            "regularised by cosine, towards the same template and view",
            "other datasets are scored like novel classes",
        ),
    )
    config_type = DeARConfig
    config: DeARConfig
    stackable = True
    ablations: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mask": {"mask": "none"},
        "attribute_tokens": {"attribute_tokens": False},
        "fusion_reg": {"fusion_weight": 0.0},
        "generalization_only": {"mask": "generalization_only"},
        "all_generalization": {"mask": "all_generalization"},
        "one_way": {"mask_direction": "one_way"},
        "layers": {"mask": "layers"},
    }

    def __init__(self, backbone: Backbone, config: DeARConfig, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        check_depth("first_layer", config.first_layer, min(backbone.text.depth, backbone.vision.depth))
        self.first = config.first_layer - 1
        self.attributes = RoleTable.load(Path(config.roles)).attributes if config.roles else ATTRIBUTES
        if config.shared_space and config.n_text != len(self.attributes):
            raise UserError(f"dear.n_text: with shared_space it must be {len(self.attributes)}, as many as attributes")
        self._masks: dict[int, Mapping[int, Tensor]] = {}
        width = backbone.vision.width
        if config.shared_space:
            self.r = nn.Parameter(drawn_context(config.rep_dim, len(self.attributes), generator))
            self.f_t = self._aligners(backbone.text, generator)
        else:
            self.r_t = nn.Parameter(drawn_context(backbone.text.width, config.n_text, generator))
        if not config.attribute_tokens:
            return
        if config.shared_space:
            self.f_v = self._aligners(backbone.vision, generator)
        else:
            self.r_v = nn.Parameter(drawn_context(width, len(self.attributes), generator))
        if config.attr_projection == "clip":
            self.w_attr = nn.Parameter(backbone.model.visual.proj.detach().clone())
        else:
            self.w_attr = nn.Parameter(torch.randn(width, backbone.embed_dim, generator=generator) * width**-0.5)
        self.w = nn.Parameter(torch.tensor([config.fusion_start] + [0.0] * len(self.attributes)))

    def _aligners(self, tower: Tower, generator: torch.Generator) -> nn.ModuleList:
        """One linear map of the shared space for each layer J .. L, all starting equal."""
        drawn = drawn_linear(self.config.rep_dim, tower.width, generator)
        return nn.ModuleList(copy.deepcopy(drawn) for _ in range(self.first, tower.depth))

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[DeARConfig, Recipe]:
        """MMRL's recipe, with the same settings for every dataset."""
        epochs, batch_size, warmup_epochs = 10, 4, 1
        if task.protocol in ("cross-dataset", "domain-generalization"):
            epochs, batch_size, warmup_epochs = 1, 32, 0
        elif task.is_source:
            epochs, batch_size = 5, 32
        elif task.protocol == "few-shot":
            epochs, batch_size = 50, 32
        return DeARConfig(), Recipe(
            epochs=epochs,
            batch_size=batch_size,
            lr=1e-3,
            optimizer="adamw",
            warmup_epochs=warmup_epochs,
            crop_scale=(0.5, 1.0),
        )

    @classmethod
    def reads(cls, config: DeARConfig, backbone_digest: str) -> Mapping[str, Path]:
        """The file of the role table, if one is read. Raises UserError as `find_roles` does."""
        needed = config.needs_roles or config.roles
        return {"roles": find_roles(config, backbone_digest)[0]} if needed else {}

    def prompts(self, classes: Classes) -> ClassTokens:
        """The dataset's template with each name, run through the frozen layers before J."""
        return ClassTokens(self.backbone.frozen_below(self.backbone.prompts(classes.filled()), self.first))

    def training_prompts(self, classes: Classes) -> ClassTokens:
        """The same, with the frozen class features."""
        with torch.no_grad():
            t_frozen = self.backbone.encode_texts(classes.filled()).float()
        return replace(self.prompts(classes), t_frozen=t_frozen)

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D): t."""
        rows = self.text_tokens()
        edits = {self.first: insert(rows[0], 1)} | self._mixing(rows, 1)
        return self.backbone.encode_text(prompts.tokens, edits=edits)

    def image_features(self, images: Images) -> Tensor:
        """(B, D): f_cls."""
        return self.both_image_features(images)[0]

    def attribute_features(self, images: Images) -> Tensor:
        """(B, A, D) normalised: f_k of the attributes, in order; (B, 0, D) without their tokens."""
        return F.normalize(self.both_image_features(images)[1], dim=-1)

    def both_image_features(self, images: Images) -> tuple[Tensor, Tensor]:
        """f_cls (B, D) and f_k (B, A, D), not normalised; without attribute tokens frozen CLIP's and (B, 0, D)."""
        if not self.config.attribute_tokens:
            return images.features, images.features.new_zeros(len(images), 0, self.backbone.embed_dim)
        tokens, rows = images.tokens_at(self.first), self.vision_tokens()
        edits = {self.first: append(rows[0])} | self._mixing(rows, -len(self.attributes))
        bias = self._role_masks(tokens.shape[1])
        read = torch.arange(-len(self.attributes), 1, device=tokens.device)[None]
        tokens = self.backbone.vision.read(tokens, read, start=self.first, edits=edits, bias=bias)
        attributes = self.backbone.normalize_image(tokens[:, :-1])
        return self.backbone.project_image(tokens[:, -1]), attributes @ self.w_attr

    def text_tokens(self) -> list[Tensor]:
        """The learned tokens (K, W_text) of each of the layers J .. L."""
        if self.config.shared_space:
            return [aligner(self.r) for aligner in self.f_t]
        return [self.r_t] * (self.backbone.text.depth - self.first)

    def vision_tokens(self) -> list[Tensor]:
        """The learned r (A, W_vision) of each of the layers J .. L."""
        if self.config.shared_space:
            return [aligner(self.r) for aligner in self.f_v]
        return [self.r_v] * (self.backbone.vision.depth - self.first)

    def _mixing(self, rows: Sequence[Tensor], at: int) -> dict[int, Edit]:
        """The edits of the layers J + 1 .. L."""
        return {block: mix(r, self.config.beta, at) for block, r in enumerate(rows[1:], start=self.first + 1)}

    def _role_masks(self, originals: int) -> Mapping[int, Tensor]:
        """Block -> M (1, heads, L, L), for blocks where it masks anything, with `originals` class and patch tokens."""
        if originals not in self._masks:
            one_way, count = self.config.mask_direction == "one_way", len(self.attributes)
            with torch.inference_mode(False):
                doors = {layer - 1: doors for layer, doors in self._doors().items()}
                masks = {block: role_mask(each, originals, count, one_way) for block, each in doors.items()}
                self._masks[originals] = {
                    block: mask[None].to(self.backbone.device) for block, mask in masks.items() if mask.any()
                }
        return self._masks[originals]

    def _doors(self) -> Mapping[int, Sequence[Door]]:
        """Layer -> the `Door` of each of its heads. Raises UserError when the role table does not fit."""
        tower, config = self.backbone.vision, self.config
        layers = range(config.first_layer, tower.depth + 1)
        if not config.needs_roles:
            door: Door = "open" if config.mask == "none" else "closed"
            return {layer: [door] * tower.heads for layer in layers}
        _, table = find_roles(config, self.backbone.digest)
        table.check_fits(self.backbone)
        only = config.mask == "generalization_only"
        doors = {
            layer: [
                door_of(table.head(layer, head), table.attributes, generalization_only=only)
                for head in range(tower.heads)
            ]
            for layer in layers
        }
        return {layer: by_layer(each) for layer, each in doors.items()} if config.mask == "layers" else doors

    def alpha(self) -> Tensor:
        """(1 + A,) float32, the weights of f_cls and of the f_k; (1,) without attribute tokens."""
        if not self.config.attribute_tokens:
            return torch.ones(1, device=self.backbone.device)
        return self.w.float().softmax(dim=0)

    def fuse(self, f_cls: Tensor, f_k: Tensor) -> Tensor:
        """(B, D): the normalised f_cls (B, D) and f_k (B, A, D), weighted by alpha."""
        with torch.autocast(f_cls.device.type, enabled=False):
            return self.alpha() @ torch.cat([f_cls[:, None], f_k], dim=1).float()

    def readings(self, images: Images, classifier: Any) -> Mapping[str, Tensor]:
        """(B, C): the fused logits, and as a second reading those of the class feature alone."""
        f_cls, f_k = (F.normalize(features, dim=-1) for features in self.both_image_features(images))
        return {
            "": self.similarity(self.fuse(f_cls, f_k), classifier),
            "class feature": self.similarity(f_cls, classifier),
        }

    def logits(self, images: Images, classifier: Any) -> Tensor:
        """(B, C): the fused logits."""
        return self.readings(images, classifier)[""]

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """The cross-entropy of the fused logits, the cosine losses, and the loss of the fusion weights."""
        config = self.config
        f_cls, f_k = (F.normalize(features, dim=-1) for features in self.both_image_features(images))
        t = F.normalize(self.text_features(prompts), dim=-1)
        logits = self.similarity(self.fuse(f_cls, f_k), t)
        losses = {
            "cross_entropy": F.cross_entropy(logits.float(), labels),
            "reg_image": config.reg_weight * (1 - F.cosine_similarity(f_cls.float(), images.features).mean()),
            "reg_text": config.reg_weight * (1 - F.cosine_similarity(t.float(), prompts.t_frozen).mean()),
            "fusion": -config.fusion_weight * self.alpha()[0].log(),
        }
        if config.attribute_tokens and config.branch_weight:
            branch = self.similarity(f_k.mean(dim=1), t)
            losses["branch"] = config.branch_weight * F.cross_entropy(branch.float(), labels)
        return logits, losses


def mix(r: Tensor, beta: float, at: int) -> Edit:
    """Rows at .. at + n - 1 become beta r + (1 - beta) of what they were; a negative `at` counts from the end. r: (n,
    W)."""

    def edit(x: Tensor) -> Tensor:
        first = at % x.shape[1]
        return overwrite(beta * r + (1 - beta) * x[:, first : first + len(r)], first)(x)

    return edit


def find_roles(config: DeARConfig, backbone_digest: str) -> tuple[Path, RoleTable]:
    """The role table and its file: the one named in the configuration, or else the one shipped for these weights.

    Raises NotReadyError when there is none for these weights, UserError when it is without a layer from J on.
    """
    paths = [Path(config.roles)] if config.roles else sorted(DATASETS.glob("*/heads/*.json"))
    tables = {path: RoleTable.load(path) for path in paths}
    fitting = [path for path, table in tables.items() if table.backbone_digest == backbone_digest]
    if not fitting:
        problem = f"{config.roles} is not the role table of" if config.roles else "no role table is shipped for"
        raise NotReadyError(f"dear.roles: {problem} the weights {backbone_digest[:12]}; {_advice('')}")
    path = fitting[0]
    table = tables[path]
    missing = sorted(set(range(config.first_layer, table.depth + 1)) - set(table.layers))
    if missing:
        raise UserError(
            f"dear.first_layer {config.first_layer}: the role table {path} has no layer {missing[0]}; "
            + _advice(f" --layers {config.first_layer}-{table.depth}")
        )
    return path, table


def _advice(layers: str) -> str:
    return f"make one with: promptarena heads diagnose SUITE{layers} --out FILE, and pass --set dear.roles=FILE"
