"""A row of the published figures: what its columns mean, and what they may say."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from promptarena.benchmark.core.runs import Protocol

Kind = Literal["own paper", "quoted", "secondary", "re-run", "bound"]
Metric = Literal["base", "novel", "hm", "accuracy"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""From the best to stand for a paper's own figure to the worst."""
STANDARD: tuple[Kind, ...] = ("own paper", "quoted")
"""The kinds that a verdict may rest on."""

AVERAGE = "average"
TARGETS = (
    "caltech101",
    "oxford_pets",
    "stanford_cars",
    "oxford_flowers",
    "food101",
    "fgvc_aircraft",
    "sun397",
    "dtd",
    "eurosat",
    "ucf101",
)
SOURCE = "imagenet"
MEMBERS: Mapping[Protocol, tuple[str, ...]] = {
    "base-to-novel": (SOURCE, *TARGETS),
    "cross-dataset": TARGETS,
    "domain-generalization": ("imagenetv2", "imagenet-sketch", "imagenet-a", "imagenet-r"),
    "few-shot": (SOURCE, *TARGETS),
}
"""The datasets a protocol's average is over, in table order. Transfer protocols score the source beside them."""

BACKBONES: Mapping[str, tuple[str, ...]] = {"ViT-B-16": ("ViT-B-16-quickgelu",)}
"""For each published backbone, which stands for OpenAI's weights, open_clip's names of the architecture they need."""

_Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class PublishedRow(BaseModel):
    """A line of a CSV file. `value` is the number as printed, in percent; `shots` "all": the whole training set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Protocol
    method: _Text
    printed: _Text
    dataset: _Text
    metric: Metric
    shots: Literal["1", "2", "4", "8", "16", "all"]
    value: Annotated[str, Field(pattern=r"^\d{1,3}\.\d{1,2}$")]
    backbone: Literal["ViT-B-16"]
    kind: Kind
    source: _Text
    remark: str

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if float(self.value) > 100:
            raise ValueError(f"value {self.value} is above 100 percent")
        two_sided = self.protocol == "base-to-novel"
        if two_sided == (self.metric == "accuracy"):
            allowed = "base, novel, hm" if two_sided else "accuracy"
            raise ValueError(f"metric {self.metric!r} does not belong to {self.protocol}; allowed: {allowed}")
        datasets = (*dict.fromkeys((SOURCE, *MEMBERS[self.protocol])), AVERAGE)
        if self.dataset not in datasets:
            raise ValueError(
                f"dataset {self.dataset!r} does not belong to {self.protocol}; allowed: {', '.join(datasets)}"
            )
        if self.protocol != "few-shot" and self.shots not in ("16", "all"):
            raise ValueError(f"{self.protocol} has 16 shots or all, not {self.shots}")
        return self
