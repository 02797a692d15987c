"""CoOp: learned context vectors in place of the words around the class name."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import context_words, word_context
from promptarena.benchmark.plugins.learner import About, CannotTransferError, Config, Learner


class CoOpConfig(Config):
    """Context of CoOp."""

    ctx_init: str = Field(
        "a photo of a", description="initial words, each a context vector; empty: drawn from N(0, 0.02^2)"
    )
    n_ctx: int | None = Field(
        None, ge=1, description="M, learned context vectors; none: the words of ctx_init, else 16"
    )
    class_token_position: Literal["end", "middle", "front"] = Field(
        "end", description="where the class name stands: after, in the middle of or before the context"
    )
    class_specific: bool = Field(False, description="a drawn context for each class (CSC); cannot transfer")

    @model_validator(mode="after")
    def _one_initialisation(self) -> Self:
        words = len(context_words(self.ctx_init))
        if words and self.class_specific:
            raise ValueError("class_specific needs a drawn context; set ctx_init to an empty string")
        if words and self.n_ctx not in (None, words):
            raise ValueError(
                f"n_ctx is {self.n_ctx} but ctx_init has {words} words; set one of them (ctx_init may be empty)"
            )
        return self


@dataclass(frozen=True)
class Assembly:
    """Frozen token embeddings around the context: start (C, 1, W), class name to padding (C, L - 1 - M, W)."""

    start: Tensor
    rest: Tensor
    name_lengths: tuple[int, ...]
    eot: Tensor


class CoOp(Learner):
    """Context Optimization.

    Zhou et al., "Learning to Prompt for Vision-Language Models", IJCV 2022.

    The prompt of class c is t_c = [V]_1 ... [V]_M [CLASS]_c with context V: (M, W), or (C, M, W) when class-specific, W
    the text width. Trained by cross-entropy on logits = s n(f(x)) n(g(t_c))^T; both encoders stay frozen.
    """

    about = About(
        "CoOp",
        "Learning to Prompt for Vision-Language Models",
        "IJCV",
        2022,
        "https://arxiv.org/abs/2109.01134",
        parity="golden",
    )
    config_type = CoOpConfig
    config: CoOpConfig
    stackable = True

    def __init__(self, backbone: Backbone, config: CoOpConfig, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        words = context_words(config.ctx_init)
        self.m = len(words) or config.n_ctx or 16
        self.phrase = " ".join(words) or " ".join(["X"] * self.m)
        if words:
            context = word_context(backbone, self.phrase, self.m)
        else:
            shape = (len(classes), self.m) if config.class_specific else (self.m,)
            context = 0.02 * torch.randn(*shape, backbone.text.width, generator=generator)
        self.context = nn.Parameter(context)
        self.trained_on = classes.names

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[CoOpConfig, Recipe]:
        """As released: few-shot with 16 drawn vectors (50 to 200 epochs), else "a photo of a"; 50 epochs on the
        source."""
        few_shot = task.protocol == "few-shot"
        epochs = 50
        if not task.is_source and (few_shot or task.protocol == "base-to-novel"):
            epochs = {1: 50, 2: 100, 4: 100}.get(task.shots, 200)
        return CoOpConfig(ctx_init="" if few_shot else "a photo of a"), Recipe(epochs=epochs, batch_size=32, lr=0.002)

    def prompts(self, classes: Classes) -> Assembly:
        """Tokenise "context name." and keep what surrounds the M context positions. Raises CannotTransferError for
        CSC."""
        if self.context.ndim == 3 and classes.names != self.trained_on:
            raise CannotTransferError("class-specific context exists only for the classes it was trained on")
        texts = classes.filled(f"{self.phrase} {{}}.")
        whole = self.backbone.embed(self.backbone.tokenize(texts))
        if int(whole.eot.min()) <= self.m:
            raise UserError(f"a context of {self.m} vectors leaves no room for the class name")
        lengths = self.backbone.token_counts(classes.names)
        return Assembly(whole.embeddings[:, :1], whole.embeddings[:, 1 + self.m :], lengths, whole.eot)

    def text_features(self, prompts: Any) -> Tensor:
        """(C, D): encode [start] with context and class name in the configured order."""
        context = self.context if self.context.ndim == 3 else self.context.expand(len(prompts.eot), -1, -1)
        shared = 0
        if self.config.class_token_position == "end":
            embeddings = torch.cat([prompts.start, context, prompts.rest], dim=1)
            shared = 1 + self.m if self.context.ndim == 2 else 0
        else:
            before = self.m // 2 if self.config.class_token_position == "middle" else 0
            rows = [
                torch.cat([start, vectors[:before], rest[:name], vectors[before:], rest[name:]])
                for start, vectors, rest, name in zip(
                    prompts.start, context, prompts.rest, prompts.name_lengths, strict=True
                )
            ]
            embeddings = torch.stack(rows)
        return self.backbone.encode_text(Prompts(embeddings, prompts.eot, shared))
