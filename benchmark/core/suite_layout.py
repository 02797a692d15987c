"""What the tables need to know of a suite; it travels with exported runs, so that they can be shown without the suite's
files."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from promptarena.benchmark.core.runs import Protocol
from promptarena.benchmark.data.cards import Text
from promptarena.benchmark.planning.suites import Suite, TrainingDefaults

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+$")]


class Outline(BaseModel):
    """A suite's name, its datasets in table order and their titles.

    datasets, source, targets, variants, few_shot_shots: as in `Suite`. titles: of every dataset, by name. barred: why
    no figure of the suite may be held against a published one; empty when nothing forbids it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Name
    datasets: tuple[Name, ...]
    source: Name | None
    targets: tuple[Name, ...]
    variants: tuple[Name, ...]
    few_shot_shots: tuple[Annotated[int, Field(ge=1)], ...]
    titles: Mapping[Name, Text]
    barred: str

    @model_validator(mode="after")
    def _every_dataset_has_a_title(self) -> Self:
        for name in (*self.datasets, *filter(None, [self.source]), *self.targets, *self.variants):
            if name not in self.titles:
                raise ValueError(f"dataset {name!r} has no title")
        return self

    @classmethod
    def of(cls, suite: Suite) -> Self:
        """The outline of a loaded suite."""
        return cls(
            name=suite.name,
            datasets=suite.datasets,
            source=suite.source,
            targets=suite.targets,
            variants=suite.variants,
            few_shot_shots=suite.few_shot_shots,
            titles={name: suite.card(name).title for name in suite.dataset_names},
            barred=_barred(suite),
        )

    def columns(self, protocol: Protocol, chosen: Sequence[str] = ()) -> list[tuple[str, str]]:
        """Names and titles of the datasets (of `chosen`, when given) in a protocol's tables, the source first; none
        when the suite has nothing for the protocol."""
        targets = {"cross-dataset": self.targets, "domain-generalization": self.variants}.get(protocol)
        names = [name for name in (self.datasets if targets is None else targets) if not chosen or name in chosen]
        if targets is not None:
            names = [self.source, *names] if self.source and names else []
        return [(name, self.titles[name]) for name in names]


def _barred(suite: Suite) -> str:
    if suite.training != TrainingDefaults():
        return "recipes changed by the suite"
    return "" if suite.backbone.pretrained == "openai" else "weights other than the tag openai"
