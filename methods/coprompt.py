"""CoPrompt: MaPLe with adapters, kept consistent with frozen CLIP on other views and other sentences."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import drawn_linear
from promptarena.benchmark.plugins.learner import About, Images
from promptarena.benchmark.plugins.templates import IMAGENET_80, Template
from promptarena.methods.maple import MaPLe, MaPLeConfig


class CoPromptConfig(MaPLeConfig):
    """Prompts of MaPLe, adapters and consistency."""

    weight: float = Field(1.0, ge=0, description="lambda, of the consistency; 1 in the released file, 8 in the code")
    image_mix: float = Field(0.1, ge=0, le=1, description="share of the image adapter's output")
    text_mix: float = Field(0.2, ge=0, le=1, description="share of the text adapter's output")
    sentences: str = Field("", description="JSON file, class name -> its sentences, as many for each; empty: templates")
    templates: tuple[Template, ...] = Field(IMAGENET_80, min_length=1, description="the sentences without a file")


@dataclass(frozen=True)
class Consistent:
    """The student's prompts, and e: (N, C, D), normalised frozen features of N sentences for each class."""

    student: Prompts
    e: Tensor


class CoPrompt(MaPLe):
    """CoPrompt.

    Roy and Etemad, "Consistency-guided Prompt Learning for Vision-Language Models", ICLR 2024.

    From MaPLe's features f and g, adapters give f' = a relu(A_2 relu(A_1 f)) + (1 - a) f and likewise g'. With frozen
    features z of a second view of each image, and e_c of one sentence about class c, the same number for all classes,

        L = CE(s n(f') n(g')^T, y) + lambda (1 - mean_c cos(g'_c, e_c)) + lambda (1 - mean_b cos(f'_b, z_b))
    """

    about = About(
        "CoPrompt",
        "Consistency-guided Prompt Learning for Vision-Language Models",
        "ICLR",
        2024,
        "https://arxiv.org/abs/2306.01195",
        parity="golden",
        assumed=("transfer recipes", "few-shot recipe", "templates in place of sentences when there is no file"),
    )
    config_type = CoPromptConfig
    config: CoPromptConfig

    def __init__(
        self, backbone: Backbone, config: CoPromptConfig, classes: Classes, generator: torch.Generator
    ) -> None:
        super().__init__(backbone, config, classes, generator)
        size = backbone.embed_dim
        self.image_adapter, self.text_adapter = (
            nn.Sequential(
                drawn_linear(size, size // 4, generator, bias=False),
                nn.ReLU(),
                drawn_linear(size // 4, size, generator, bias=False),
                nn.ReLU(),
            )
            for _ in range(2)
        )
        self.random = torch.Generator().manual_seed(int(torch.randint(2**62, (1,), generator=generator)))

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[CoPromptConfig, Recipe]:
        """As released for base-to-novel; the transfer protocols with MaPLe's depth and epochs (assumed)."""
        recipe = Recipe(epochs=8, batch_size=4, lr=0.0035, augmentation="randaugment")
        if task.protocol in ("cross-dataset", "domain-generalization"):
            return CoPromptConfig(prompt_depth=3), recipe.model_copy(update={"epochs": 2})
        return CoPromptConfig(), recipe

    @classmethod
    def reads(cls, config: CoPromptConfig, backbone_digest: str) -> Mapping[str, Path]:
        """The file of sentences, if there is one."""
        if not config.sentences:
            return {}
        path = Path(config.sentences).expanduser()
        if not path.is_file():
            raise UserError(f"no file of sentences {path}; set coprompt.sentences to a JSON file, or to nothing")
        return {"sentences": path}

    def begin_epoch(self, epoch: int, random: torch.Generator) -> None:
        """The sentences' numbers are drawn from it."""
        self.random = random

    def draw(self, count: int) -> int:
        """A number from 0 to count - 1."""
        return int(torch.randint(count, (1,), generator=self.random))

    def texts(self, classes: Classes) -> list[list[str]]:
        """N lists of C texts. Raises UserError for a file without one of the classes, or with unequal numbers."""
        if not (files := self.reads(self.config, self.backbone.digest)):
            return [classes.filled(template) for template in self.config.templates]
        path, form = files["sentences"], "a JSON object with a list of equally many sentences for each class"
        try:
            every = json.loads(path.read_text(encoding="utf-8"))
            own = [every[name] for name in classes.names]
        except KeyError as error:
            raise UserError(f"{path} has no sentences for the class {error}; add them") from error
        except (ValueError, TypeError) as error:
            raise UserError(f"{path} must be {form}: {error}") from error
        if not all(isinstance(texts, list) and texts and len(texts) == len(own[0]) for texts in own):
            raise UserError(f"{path} must be {form}; it has no sentence, no list, or unequal numbers for some")
        return [list(texts) for texts in zip(*own, strict=True)]

    @torch.no_grad()
    def training_prompts(self, classes: Classes) -> Consistent:
        """MaPLe's prompts, and the features of all sentences."""
        e = torch.stack([self.backbone.encode_texts(texts).float() for texts in self.texts(classes)])
        return Consistent(self.prompts(classes), F.normalize(e, dim=-1))

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D): g'."""
        return self._adapted(super().text_features(prompts), self.text_adapter, self.config.text_mix)

    def image_features(self, images: Images) -> Tensor:
        """(B, D): f'."""
        return self._adapted(super().image_features(images), self.image_adapter, self.config.image_mix)

    def _adapted(self, features: Tensor, adapter: nn.Module, share: float) -> Tensor:
        added: Tensor = adapter(features)
        return share * added + (1 - share) * features

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits (B, C) and the three terms of L."""
        f, g = self.image_features(images), self.text_features(prompts.student)
        logits = self.similarity(F.normalize(f, dim=-1), F.normalize(g, dim=-1))
        e, weight = prompts.e[self.draw(len(prompts.e))], self.config.weight
        return logits, {
            "cross_entropy": F.cross_entropy(logits.float(), labels),
            "cos_text": weight * (1 - F.cosine_similarity(g.float(), e, dim=-1).mean()),
            "cos_image": weight * (1 - F.cosine_similarity(f.float(), images.second.features, dim=-1).mean()),
        }
