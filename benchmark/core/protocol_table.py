"""The protocols, one row each: name, metrics, the datasets that are needed, and the layout of the tables.

A new protocol is a row here and a function in planning/protocols.py that says what is trained and scored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from promptarena.benchmark.core.errors import unknown

Metric = Literal[
    "base", "novel", "hm", "accuracy", "union", "union_base", "union_novel", "union_hm", "auroc", "openworld_auc"
]
Columns = Literal["metrics", "datasets", "shots"]

_TEN = (
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
_ELEVEN = ("imagenet", *_TEN)
_OVER_TARGETS = "Average: unweighted mean over the targets, without the source."


@dataclass(frozen=True)
class MetricInfo:
    """A metric.

    Args:
        title: The heading of its column.
        words: What it is called in a sentence, after "points of".
        subsets: The class subset whose score it is; two for the harmonic mean of their scores.
    """

    title: str
    words: str
    subsets: tuple[str, ...]


METRICS: Mapping[Metric, MetricInfo] = {
    "base": MetricInfo("Base", "base accuracy", ("base",)),
    "novel": MetricInfo("Novel", "novel accuracy", ("novel",)),
    "hm": MetricInfo("HM", "HM", ("base", "novel")),
    "accuracy": MetricInfo("Accuracy", "accuracy", ("all",)),
    "union": MetricInfo("Union", "accuracy among all names", ("union",)),
    "union_base": MetricInfo("Base", "base accuracy among all names", ("union-base",)),
    "union_novel": MetricInfo("Novel", "novel accuracy among all names", ("union-novel",)),
    "union_hm": MetricInfo("HM", "HM among all names", ("union-base", "union-novel")),
    "auroc": MetricInfo("AUROC", "AUROC of base against novel", ("union-auroc",)),
    "openworld_auc": MetricInfo("OpenworldAUC", "OpenworldAUC", ("union-openworld-auc",)),
}
"""Every metric by its name, in the order of columns."""


@dataclass(frozen=True)
class ProtocolInfo:
    """A protocol.

    Args:
        name: Its name in commands and files, such as "few-shot".
        title: The title of its tables.
        heading: Its name in a narrow column.
        average: The sentence of a caption that defines the average; "{count}" stands for the number of datasets.
        metrics: Its metrics, the main one first.
        suite_field: The field of a suite that lists its datasets.
        columns: What the columns of its tables are.
            metrics: One table per dataset, one column per metric.
            datasets: It trains on the suite's source only and scores the targets; one table, one column per dataset.
            shots: One table per dataset, one column of accuracy per number of training images per class.
        published: The datasets, in table order, that published averages are taken over; empty when there are none.
        trained_as: The protocol whose trainings it scores; empty: its own.
    """

    name: str
    title: str
    heading: str
    average: str
    metrics: tuple[Metric, ...]
    suite_field: Literal["datasets", "targets", "variants"]
    columns: Columns
    published: tuple[str, ...] = ()
    trained_as: str = ""

    @property
    def training(self) -> str:
        """The protocol by whose name methods choose their settings."""
        return self.trained_as or self.name

    @property
    def headline(self) -> Metric:
        """The metric that statistics and figures use when none is named."""
        return self.metrics[0]

    @property
    def is_transfer(self) -> bool:
        """Whether a learner is trained on the source only and scored on all targets."""
        return self.columns == "datasets"

    @property
    def by_shots(self) -> bool:
        """Whether results are listed separately for each number of training images per class."""
        return self.columns == "shots"

    @property
    def needs(self) -> tuple[str, ...]:
        """The fields a suite must fill for the protocol to run."""
        return ("source", self.suite_field) if self.is_transfer else (self.suite_field,)


_ROWS = (
    ProtocolInfo(
        name="base-to-novel",
        title="Base-to-novel generalization",
        heading="base-to-\nnovel",
        average=(
            "Average: unweighted mean over {count}; HM is the harmonic mean of the two means beside it, on the Average "
            "row too (the mean of the datasets' HMs is in the CSV and JSON)."
        ),
        metrics=("hm", "base", "novel"),
        suite_field="datasets",
        columns="metrics",
        published=_ELEVEN,
    ),
    ProtocolInfo(
        name="cross-dataset",
        title="Cross-dataset transfer",
        heading="cross-\ndataset",
        average=_OVER_TARGETS,
        metrics=("accuracy",),
        suite_field="targets",
        columns="datasets",
        published=_TEN,
    ),
    ProtocolInfo(
        name="domain-generalization",
        title="Domain generalization",
        heading="domain\ngeneral.",
        average=_OVER_TARGETS,
        metrics=("accuracy",),
        suite_field="variants",
        columns="datasets",
        published=("imagenetv2", "imagenet-sketch", "imagenet-a", "imagenet-r"),
    ),
    ProtocolInfo(
        name="few-shot",
        title="Few-shot classification",
        heading="few-\nshot",
        average="Average: unweighted mean over {count}.",
        metrics=("accuracy",),
        suite_field="datasets",
        columns="shots",
        published=_ELEVEN,
    ),
    ProtocolInfo(
        name="open-world",
        title="Open-world classification",
        heading="open-\nworld",
        average=(
            "Trained on base classes; every test image is classified among all names. Base, Novel: accuracy on the "
            "images of those classes. AUROC: pairs of a base and a novel image in which the base image has the larger "
            "share of its best base class; OpenworldAUC: such pairs with both images right within their own half. "
            "Average: unweighted mean over {count}; HM is the harmonic mean of the two means beside it."
        ),
        metrics=("union_hm", "union", "union_base", "union_novel", "auroc", "openworld_auc"),
        suite_field="datasets",
        columns="metrics",
        trained_as="base-to-novel",
    ),
)
PROTOCOLS: dict[str, ProtocolInfo] = {row.name: row for row in _ROWS}
"""Every protocol by its name, in the order of tables and commands."""

DEFAULT_PROTOCOL = _ROWS[0].name
"""The protocol that is used when none is named."""


def protocol_info(name: str) -> ProtocolInfo:
    """The row of a protocol.

    Args:
        name: The protocol's name, such as "few-shot".

    Returns:
        Its row in the table.

    Raises:
        UserError: No protocol has that name; similar names are suggested.
    """
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def _is_known(name: object) -> object:
    """Return the name unchanged; an unknown one raises the error that pydantic raises for a `Literal`."""
    names = list(PROTOCOLS)
    if name not in names:
        *first, last = (f"'{each}'" for each in names)
        raise PydanticCustomError(
            "literal_error", "Input should be {expected}", {"expected": f"{', '.join(first)} or {last}"}
        )
    return name


Protocol = Annotated[
    str,
    BeforeValidator(_is_known),
    WithJsonSchema({"type": "string", "description": "A protocol's name, such as base-to-novel."}),
]
"""A protocol's name; pydantic checks that the table has it. Published schemas do not list the names, so that a new
protocol is a row of this table and no new schema."""
