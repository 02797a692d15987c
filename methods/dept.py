"""DePT: a second, linear head beside another learner's similarity, on features with scaled channels."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe, TrainingTask
from promptarena.benchmark.plugins.edits import drawn_linear
from promptarena.benchmark.plugins.learner import About, Config, Images, Learner


class DePTConfig(Config):
    """The head of DePT."""

    head_weight: float = Field(0.7, ge=0, le=1, description="w, weight of the head's loss and logits")


@dataclass(frozen=True)
class Headed:
    """The host's prompts or classifier, and the head's row of each class; None where the head does not score."""

    host: Any
    rows: Tensor | None


class DePT(Learner):
    """Decoupled Prompt Tuning, over another learner, the host.

    Zhang et al., "DePT: Decoupled Prompt Tuning", CVPR 2024.

    From the host's features f_b and g_c, not normalised, channel scalings u_b = a_i * f_b + b_i, v_c = a_t * g_c + b_t
    and one linear head h: R^D -> R^C. In a batch the head classifies 2B rows, v of the batch's labels and u:

        L = (1 - w) CE(s n(f) n(g)^T, y) + w CE(h([v_y, u]), [y, y]) + the host's other terms

    Trained classes are scored by (1 - w) s n(f) n(g)^T + w h(u), all others by the host alone.
    """

    about = About(
        "DePT",
        "DePT: Decoupled Prompt Tuning",
        "CVPR",
        2024,
        "https://arxiv.org/abs/2309.07439",
        parity="golden",
        assumed=("few-shot recipe",),
    )
    host_type: ClassVar[type[Learner]]
    config: Any

    def __init__(self, backbone: Backbone, config: Any, classes: Classes, generator: torch.Generator) -> None:
        super().__init__(backbone, config, classes, generator)
        self.host = self.host_type(backbone, config, classes, generator)
        size = backbone.embed_dim
        self.image_scale, self.text_scale = nn.Parameter(torch.ones(size)), nn.Parameter(torch.ones(size))
        self.image_bias, self.text_bias = nn.Parameter(torch.zeros(size)), nn.Parameter(torch.zeros(size))
        self.head = drawn_linear(size, len(classes), generator)
        self.trained_on = classes

    @classmethod
    def preset(cls, task: TrainingTask) -> tuple[Any, Recipe]:
        """The host's configuration and the released recipe, the same for all of its hosts and protocols."""
        host, _ = cls.host_type.preset(task)
        recipe = Recipe(epochs=10, batch_size=4, lr=0.0035, factors_in_warmup=False)
        return cls.config_type(**dict(host)), recipe

    def lr_factor(self, name: str) -> float:
        """6.5 for what is added to the host."""
        return self.host.lr_factor(name.removeprefix("host.")) if name.startswith("host.") else 6.5

    def end_epoch(self, epoch: int, recipe: Recipe) -> None:
        """The host's."""
        self.host.end_epoch(epoch, recipe)

    def prompts(self, classes: Classes) -> Headed:
        """The host's prompts, and the rows of the head when it knows all classes."""
        return Headed(self.host.prompts(classes), self._rows(classes))

    def training_prompts(self, classes: Classes) -> Headed:
        """The same for training."""
        return Headed(self.host.training_prompts(classes), self._rows(classes))

    def _rows(self, classes: Classes) -> Tensor | None:
        """(C,) the head's row of each class, by name. Variants of ImageNet count as the dataset itself."""
        known = {name: row for row, name in enumerate(self.trained_on.names)}
        datasets = {name.split("-")[0].removesuffix("v2") for name in (classes.dataset, self.trained_on.dataset)}
        scored = len(datasets) == 1 and known.keys() >= set(classes.names)
        return torch.tensor([known[name] for name in classes.names], device=self.backbone.device) if scored else None

    def classifier(self, prompts: Any) -> Headed:
        """The host's classifier, and the rows of the head."""
        return Headed(self.host.classifier(prompts.host), prompts.rows)

    def logits(self, images: Images, classifier: Any) -> Tensor:
        """(B, C): the host's, mixed with the head's for trained classes."""
        with self._features() as seen:
            logits = self.host.logits(images, classifier.host)
        if classifier.rows is None:
            return logits
        return self.mix(logits, self.h(self.image_scale, seen["image_features"], self.image_bias)[:, classifier.rows])

    def mix(self, logits: Tensor, head: Tensor) -> Tensor:
        """Both logits (B, C), weighted by w."""
        w: float = self.config.head_weight
        return (1 - w) * logits + w * head

    def h(self, scale: Tensor, f: Tensor, bias: Tensor) -> Tensor:
        """h(scale * f + bias): (B, C_trained) float32 of features (B, D), not normalised."""
        with torch.autocast(f.device.type, enabled=False):
            return self.head(scale * f.float() + bias)  # type: ignore[no-any-return]

    def training_step(self, images: Images, labels: Tensor, prompts: Any) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Mixed logits (B, C); the host's terms with a cross-entropy of weight 1 - w, and the head's of weight w."""
        w: float = self.config.head_weight
        with self._features() as seen:
            logits, losses = self.host.training_step(images, labels, prompts.host)
        head = self.h(self.image_scale, seen["image_features"], self.image_bias)
        texts = self.h(self.text_scale, seen["text_features"][labels], self.text_bias)
        both = F.cross_entropy(torch.cat([texts, head]).float(), labels.repeat(2))
        mixed = {"cross_entropy": (1 - w) * losses["cross_entropy"], "head": w * both}
        return self.mix(logits, head), {**losses, **mixed}

    @contextmanager
    def _features(self) -> Iterator[dict[str, Tensor]]:
        """Collects the features that the host computes meanwhile."""
        seen: dict[str, Tensor] = {}
        names = "image_features", "text_features"
        for name in names:
            setattr(self.host, name, _noting(name, getattr(self.host, name), seen))
        try:
            yield seen
        finally:
            for name in names:
                delattr(self.host, name)


def _noting(name: str, compute: Callable[[Any], Tensor], seen: dict[str, Tensor]) -> Callable[[Any], Tensor]:
    def noted(given: Any) -> Tensor:
        seen[name] = compute(given)
        return seen[name]

    return noted
