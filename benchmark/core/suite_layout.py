"""What the tables need of a suite.

It travels with exported runs, so that their tables can be made without the suite's files.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from promptarena.benchmark.core.config_files import Text
from promptarena.benchmark.core.protocol_table import Protocol, protocol_info

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]+$", max_length=200)]

_LIMITED = re.compile(r".+-limit-(\d+)")


def limited_name(suite: str, limit: int) -> str:
    """The name under which runs with a limit are recorded. Another name than the suite's, so that nothing mixes them.

    Args:
        suite: The suite's name.
        limit: The most test images of a dataset.

    Returns:
        The name.

    >>> limited_name("mini", 20)
    'mini-limit-20'
    """
    return f"{suite}-limit-{limit}"


def limit_of(suite: str) -> int | None:
    """The limit in a suite's name.

    Args:
        suite: The suite's name.

    Returns:
        The most test images of a dataset; None where all are scored.
    """
    found = _LIMITED.fullmatch(suite)
    return None if found is None else int(found[1])


class SuiteLayout(BaseModel):
    """A suite's name, its datasets in table order and their titles.

    Args:
        name: The suite's name.
        datasets: As in `Suite`.
        source: As in `Suite`.
        targets: As in `Suite`.
        variants: As in `Suite`.
        few_shot_shots: As in `Suite`.
        titles: The title of every dataset, by name.
        barred: Why results are not comparable with published ones; empty if they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Name
    datasets: tuple[Name, ...]
    source: Name | None
    targets: tuple[Name, ...]
    variants: tuple[Name, ...]
    few_shot_shots: tuple[Annotated[int, Field(ge=1, lt=2**31)], ...]
    titles: Mapping[Name, Text]
    barred: str

    @model_validator(mode="after")
    def _every_dataset_has_a_title(self) -> Self:
        for name in (*self.datasets, *filter(None, [self.source]), *self.targets, *self.variants):
            if name not in self.titles:
                raise ValueError(f"dataset {name!r} has no title")
        return self

    def columns(self, protocol: Protocol, chosen: Sequence[str] = ()) -> list[tuple[str, str]]:
        """The datasets in a protocol's tables.

        Args:
            protocol: The protocol.
            chosen: Names to keep; empty keeps all. The source of a transfer protocol is always kept.

        Returns:
            (name, title) of each dataset, the source first; empty when the suite has no dataset for the protocol.
        """
        info = protocol_info(protocol)
        names = [name for name in getattr(self, info.suite_field) if not chosen or name in chosen]
        if info.is_transfer:
            names = [self.source, *names] if self.source and names else []
        return [(name, self.titles[name]) for name in names]
