"""CLIP-Adapter: a small network after the frozen image encoder, whose output is mixed with its input."""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import drawn_linear
from promptarena.benchmark.plugins.learner import About, Config, Images, Learner, assumed


class CLIPAdapterConfig(Config):
    """Adapter after the image encoder."""

    ratio: float = assumed(0.2, ge=0, le=1, description="r, share of the adapter's output; 0 is zero-shot")
    reduction: int = Field(4, ge=1, description="the hidden layer has D / reduction units")


class CLIPAdapter(Learner):
    """CLIP-Adapter with the visual adapter.

    Gao et al., "CLIP-Adapter: Better Vision-Language Models with Feature Adapters", IJCV 2024.

    With f (B, D) the frozen image features, not normalised, and W (C, D) the zero-shot text features,

        A(f) = ReLU(ReLU(f W_1) W_2),    f* = r A(f) + (1 - r) f,    logits = s n(f*) n(W)^T,    n(x) = x / |x|

    W_1: (D, D / reduction), W_2: (D / reduction, D), without bias. Trained by cross-entropy. Raises UserError if the
    reduction leaves no hidden unit.
    """

    about = About(
        "CLIP-Adapter",
        "CLIP-Adapter: Better Vision-Language Models with Feature Adapters",
        "IJCV",
        2024,
        "https://arxiv.org/abs/2110.04544",
        parity="golden",
        assumed=("optimiser and schedule are CoOp's", "epochs are CoOp's", "one recipe for all protocols"),
    )
    config_type = CLIPAdapterConfig
    config: CLIPAdapterConfig

    def __init__(
        self, backbone: Backbone, config: CLIPAdapterConfig, classes: Classes, generator: torch.Generator
    ) -> None:
        super().__init__(backbone, config, classes, generator)
        d, hidden = backbone.embed_dim, backbone.embed_dim // config.reduction
        if not hidden:
            raise UserError(f"reduction {config.reduction} leaves no hidden unit of {d} features; choose at most {d}")
        w1 = drawn_linear(d, hidden, generator, bias=False)
        w2 = drawn_linear(hidden, d, generator, bias=False)
        self.adapter = nn.Sequential(w1, nn.ReLU(), w2, nn.ReLU())

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[CLIPAdapterConfig, Recipe]:
        """Batch 32 at 1e-5 as in the paper; epochs (50 to 200) and SGD from CoOp's few-shot recipe (assumed)."""
        epochs = 50 if task.is_source else {1: 50, 2: 100, 4: 100}.get(task.shots, 200)
        return CLIPAdapterConfig(), Recipe(epochs=epochs, batch_size=32, lr=1e-5)

    def prompts(self, classes: Classes) -> Tensor:
        """(C, D): W, encoded once, from the dataset's own template."""
        with torch.no_grad():
            return self.backbone.encode_texts(classes.filled())

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D): W."""
        features: Tensor = prompts
        return features

    def image_features(self, images: Images) -> Tensor:
        """(B, D): f* = r A(f) + (1 - r) f."""
        f, r = images.features, self.config.ratio
        mixed: Tensor = r * self.adapter(f) + (1 - r) * f
        return mixed
