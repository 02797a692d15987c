"""MMA: adapters beside the upper blocks of both towers, each block's pair of adapters joined by a shared layer."""

from typing import Any, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.towers import RowFunction
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import check_depth
from promptarena.benchmark.plugins.learner import About, Config, Images, Learner


class MMAConfig(Config):
    """Adapters of MMA."""

    first_layer: int = Field(5, ge=1, description="k, first layer with adapters, counted from 1")
    last_layer: int = Field(12, ge=1, description="last layer with adapters")
    width: int = Field(32, ge=1, description="h, hidden width of an adapter")
    scale: float = Field(0.001, gt=0, description="s, factor of an adapter's output; gradients are divided by it")
    template: str = Field("a photo of a {}.", description="used for every dataset")

    @model_validator(mode="after")
    def _layers_in_order(self) -> Self:
        if self.first_layer > self.last_layer:
            raise ValueError(f"first_layer {self.first_layer} is after last_layer {self.last_layer}")
        return self


class MMA(Learner):
    """Multi-Modal Adapter.

    Yang et al., "MMA: Multi-Modal Adapter for Vision-Language Models", CVPR 2024.

    Layers i = k .. L of both towers have an adapter beside the whole block. With x: (..., W) the rows before block i,
    Down_i and Up_i linear maps W -> h and h -> W of the tower, and Shared_i: h -> h, which both towers use:

        block_i'(x) = block_i(x) + s Up_i(relu(Shared_i(relu(Down_i(LN_1(x))))))

    Cross-entropy on logits = exp(logit_scale) n(f) n(g)^T. The gradients of all adapter parameters are divided by s;
    those that pass through an adapter to earlier layers are not.
    """

    about = About(
        "MMA",
        "MMA: Multi-Modal Adapter for Vision-Language Models",
        "CVPR",
        2024,
        "https://openaccess.thecvf.com/content/CVPR2024/papers/"
        "Yang_MMA_Multi-Modal_Adapter_for_Vision-Language_Models_CVPR_2024_paper.pdf",
        parity="golden",
        assumed=("cross-dataset and domain-generalization recipe", "few-shot recipe"),
    )
    config_type = MMAConfig
    config: MMAConfig

    def __init__(self, backbone: Backbone, config: MMAConfig, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        check_depth("last_layer", config.last_layer, min(backbone.text.depth, backbone.vision.depth))
        self.blocks = range(config.first_layer - 1, config.last_layer)
        towers, h = (backbone.text.width, backbone.vision.width), config.width
        self.text_down, self.vision_down = (self._layers(width, h, generator) for width in towers)
        self.text_up, self.vision_up = (self._layers(h, width, generator) for width in towers)
        self.shared = self._layers(h, h, generator)

    def _layers(self, inputs: int, outputs: int, generator: torch.Generator) -> nn.ModuleList:
        """A linear map for each adapted block: weights N(0, 2 / outputs), biases 0."""
        layers = nn.ModuleList()
        for _ in self.blocks:
            layer = nn.Linear(inputs, outputs)
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)
            layers.append(layer)
        return layers

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[MMAConfig, Recipe]:
        """As released for base-to-novel, with larger batches on the source; the same for the rest (assumed)."""
        batch_size = 128 if task.is_source else 16
        return MMAConfig(), Recipe(epochs=5, batch_size=batch_size, lr=0.0015, warmup_epochs=0)

    def prompts(self, classes: Classes) -> Prompts:
        """The template with each name, run through the frozen layers before the first adapter."""
        texts = classes.filled(self.config.template)
        return self.backbone.frozen_below(self.backbone.prompts(texts), self.blocks[0])

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D), with the text adapters."""
        return self.backbone.encode_text(prompts, beside_block=self._branches(self.text_down, self.text_up))

    def image_features(self, images: Images) -> Tensor:
        """(B, D), with the vision adapters."""
        first = self.blocks[0]
        branches = self._branches(self.vision_down, self.vision_up)
        return self.backbone.image_features_from(images.tokens_at(first), start=first, beside_block=branches)

    def _branches(self, down: nn.ModuleList, up: nn.ModuleList) -> dict[int, RowFunction]:
        layers = zip(self.blocks, down, self.shared, up, strict=True)
        return {block: self._branch(*each) for block, *each in layers}

    def _branch(self, down: nn.Module, shared: nn.Module, up: nn.Module) -> RowFunction:
        return lambda rows: self.config.scale * up(F.relu(shared(F.relu(down(rows)))))

    def backward(self, losses: Any) -> None:
        """Gradients of the sum, divided by s. A higher learning rate would not do: weight decay would grow, too."""
        super().backward(losses)
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.grad /= self.config.scale
