"""TCP: prompt tokens computed for each class from its own zero-shot feature, deep in the text encoder."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import drawn_context, drawn_linear, overwrite
from promptarena.benchmark.plugins.learner import About, Config, Images, Learner

M = 4
"""Context vectors, and class-aware tokens: the layouts begin with this many words or placeholders."""
PRIORS = {
    "dtd": "a photo of a {}, a type of texture.",
    "fgvc_aircraft": "a photo of an aircraft {}.",
    "food101": "a photo of a {}, a type of food.",
}
"""Templates of the textual prior that differ from their dataset's own."""
LAYOUTS = {
    "oxford_pets": "X X X X {}, a type of pet.",
    "oxford_flowers": "X X X X {}, a type of flower.",
    "fgvc_aircraft": "X X X X {}, a type of aircraft.",
    "dtd": "X X X X {} texture.",
    "eurosat": "X X X X {}.",
    "sun397": "X X X X {}.",
    "caltech101": "X X X X {}.",
    "stanford_cars": "X X X X {}, a type of car",
    "food101": "X X X X {}, a type of food.",
    "ucf101": "a photo of a person doing {}.",
    **dict.fromkeys(
        ("imagenet", "imagenetv2", "imagenet-sketch", "imagenet-a", "imagenet-r"),
        "a photo of a {}.",
    ),
}
"""The prompts, whose first four tokens the context replaces; what follows them stays."""


class TCPConfig(Config):
    """Prompts of TCP."""

    layer: int = Field(8, ge=1, description="block, counted from 0, before which the class-aware tokens replace others")
    weight: float = Field(8.0, ge=0, description="omega, of the distance to the textual prior")


@dataclass(frozen=True)
class ClassAware:
    """Token embeddings of the layout, and the textual prior w: (C, D), zero-shot features, normalised."""

    texts: Prompts
    w: Tensor


class TCP(Learner):
    """Textual-based Class-aware Prompt tuning.

    Yao, Zhang and Xu, "TCP: Textual-based Class-aware Prompt tuning for Visual-Language Model", CVPR 2024.

    Context v: (4, W) follows the start token, W the text width. From the prior w_c: (D,), the frozen feature of a
    hand-written prompt for class c, the textual knowledge embedding computes the class-aware tokens

        T_c = TKE(w_c): (4, W),    TKE = linear D -> D / 4, QuickGELU, linear D / 4 -> 4 W

    which replace the context before block `layer`. With the normalised class features g_c,

        L = L_ce + omega (1 - 1/C sum_c cos(g_c, w_c))
    """

    about = About(
        "TCP",
        "TCP: Textual-based Class-aware Prompt tuning for Visual-Language Model",
        "CVPR",
        2024,
        "https://arxiv.org/abs/2311.18231",
        parity="golden",
        assumed=(
            "recipe outside base-to-novel",
            "token layout of a dataset outside the field's",
        ),
    )
    config_type = TCPConfig
    config: TCPConfig

    def __init__(self, backbone: Backbone, config: TCPConfig, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        last = backbone.text.depth - 1
        if config.layer > last:
            raise UserError(f"layer {config.layer} is not one of the text blocks 1 to {last}; lower it")
        width, hidden = backbone.text.width, backbone.embed_dim // 4
        self.context = nn.Parameter(drawn_context(width, M, generator))
        self.metanet = nn.ModuleDict(
            {
                "linear1": drawn_linear(backbone.embed_dim, hidden, generator),
                "linear2": drawn_linear(hidden, M * width, generator),
            }
        )

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[TCPConfig, Recipe]:
        """As released for base-to-novel: 50 epochs, 25 on ImageNet and SUN397. The same elsewhere (assumed)."""
        epochs = 25 if task.dataset in ("imagenet", "sun397") else 50
        return TCPConfig(), Recipe(epochs=epochs, batch_size=32, lr=0.002, optimizer="adam", eps=1e-3)

    @torch.no_grad()
    def prompts(self, classes: Classes) -> ClassAware:
        """The layout's token embeddings (C, L, W) and the textual prior, both frozen."""
        after = classes.template.partition("{}")[2]
        layout = LAYOUTS.get(classes.dataset, f"{' '.join('X' * M)} {{}}{after}")
        prior = self._embedded(classes.filled(PRIORS.get(classes.dataset)))
        with self.backbone.autocast():
            w = self.backbone.encode_text(prior)
        return ClassAware(self._embedded(classes.filled(layout)), F.normalize(w.float(), dim=-1))

    def _embedded(self, texts: list[str]) -> Prompts:
        return self.backbone.embed(self.backbone.tokenize(texts))

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D): v in rows 1 .. 4 of the input, T_c in these rows before block `layer`."""
        embeddings = overwrite(self.context, 1)(prompts.texts.embeddings)
        edits = {self.config.layer: overwrite(self.class_aware(prompts.w), 1)}
        return self.backbone.encode_text(Prompts(embeddings, prompts.texts.eot), edits=edits)

    def class_aware(self, w: Tensor) -> Tensor:
        """T_c = TKE(w_c): (C, D) -> (C, 4, W), with QuickGELU(x) = x sigmoid(1.702 x)."""
        hidden = self.metanet["linear1"](w)
        tokens: Tensor = self.metanet["linear2"](hidden * torch.sigmoid(1.702 * hidden)).unflatten(-1, (M, -1))
        return tokens

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Logits (B, C) and the two terms of L."""
        g = self.classifier(prompts)
        logits = self.logits(images, g)
        cosines = F.cosine_similarity(g.float(), prompts.w, dim=-1)
        return logits, {
            "cross_entropy": F.cross_entropy(logits.float(), labels),
            "prior": self.config.weight * (1 - cosines.mean()),
        }
