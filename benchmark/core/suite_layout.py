"""What the tables need to know of a suite; it travels with exported runs, so that they can be shown without the suite's
files."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from promptarena.benchmark.core.config_files import Text
from promptarena.benchmark.core.protocol_table import Protocol, protocol_info

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

    def columns(self, protocol: Protocol, chosen: Sequence[str] = ()) -> list[tuple[str, str]]:
        """Names and titles of the datasets (of `chosen`, when given) in a protocol's tables, the source first; none
        when the suite has nothing for the protocol."""
        info = protocol_info(protocol)
        names = [name for name in getattr(self, info.suite_field) if not chosen or name in chosen]
        if info.is_transfer:
            names = [self.source, *names] if self.source and names else []
        return [(name, self.titles[name]) for name in names]
