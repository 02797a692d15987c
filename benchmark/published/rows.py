"""A row of the published figures: what its columns mean, and what they may say."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from promptarena.benchmark.core.protocol_table import Metric, Protocol, protocol_info

Kind = Literal["own paper", "quoted", "secondary", "re-run", "bound"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""From the best to stand for a paper's own figure to the worst."""
STANDARD: tuple[Kind, ...] = ("own paper", "quoted")
"""The kinds that a verdict may rest on."""

AVERAGE = "average"
SOURCE = "imagenet"
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
        info = protocol_info(self.protocol)
        if self.metric not in info.metrics:
            allowed = ", ".join(metric for metric in get_args(Metric) if metric in info.metrics)
            raise ValueError(f"metric {self.metric!r} does not belong to {self.protocol}; allowed: {allowed}")
        datasets = (*dict.fromkeys((SOURCE, *info.published)), AVERAGE)
        if self.dataset not in datasets:
            raise ValueError(
                f"dataset {self.dataset!r} does not belong to {self.protocol}; allowed: {', '.join(datasets)}"
            )
        if not info.by_shots and self.shots not in ("16", "all"):
            raise ValueError(f"{self.protocol} has 16 shots or all, not {self.shots}")
        return self
