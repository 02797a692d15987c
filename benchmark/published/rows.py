"""A row of the published figures: the meaning of its columns and their allowed values."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from promptarena.benchmark.core.protocol_table import Metric, Protocol, protocol_info

Kind = Literal["own paper", "quoted", "secondary", "re-run", "bound"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The kinds of sources, from the best substitute for a paper's own figure to the worst."""
STANDARD: tuple[Kind, ...] = ("own paper", "quoted")
"""The kinds that a verdict may rest on."""

AVERAGE = "average"
"""The dataset name of rows that are averages."""
SOURCE = "imagenet"
"""The source dataset of all published transfer figures."""
BACKBONES: Mapping[str, tuple[str, ...]] = {"ViT-B-16": ("ViT-B-16-quickgelu",)}
"""For each published backbone, with OpenAI's weights, the open_clip architectures that load these weights."""

_Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class PublishedRow(BaseModel):
    """A line of a CSV file. `value` is the printed number, in percent; `shots` "all" means the whole training set."""

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
