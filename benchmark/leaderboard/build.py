"""From the tidy frame to the leaderboard of a protocol. Pure functions, no I/O.

A figure is the mean over seeds. An average over datasets is shown only when the figures of all its datasets are
complete; its spread is that of the averages per seed. A harmonic mean is taken of the means over seeds; in the average
row, of the two averages.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label, counted_shots
from promptarena.benchmark.core.protocol_table import METRICS, Metric, Protocol, ProtocolInfo, protocol_info
from promptarena.benchmark.leaderboard.aggregate import Aggregate, MethodScores, Place, Seed, average, harmonic
from promptarena.benchmark.leaderboard.below_zeroshot import below_zeroshot, trained_places
from promptarena.benchmark.leaderboard.captions import beyond, caption, missing_notes, title_of, unlisted
from promptarena.benchmark.leaderboard.marks import marked
from promptarena.benchmark.leaderboard.model import Board, Cell, Column, Row, Table
from promptarena.benchmark.leaderboard.selection import ProtocolRows, Titled, protocol_rows

if TYPE_CHECKING:
    import pandas as pd

FEW_SHOTS = (1, 2, 4, 8, 16)
"""The columns of the few-shot protocol, in training images per class, as in CoOp (Zhou et al., IJCV 2022)."""

ZERO_SHOT = "zeroshot"
"""The row that comes first unless another reference is named: what all prompt learners start from."""

_COSTS = (
    Column("trainable_parameters", "Parameters", "parameters"),
    Column("train_seconds", "Training s", "seconds"),
    Column("train_images_per_second", "Training images/s", "images/s"),
    Column("eval_images_per_second", "Evaluation images/s", "images/s"),
    Column("peak_memory_mib", "Peak memory MiB", "MiB"),
)

_READ = ["method", "overrides", "reading", "shots", "seed", "target_dataset", "target_subset", "correct", "total"]

MEASURABLE = 0.01
"""Seconds per run. Shorter times are clock noise: they count as zero and give no images per second."""


@dataclass(frozen=True, eq=False)
class BoardQuery:
    """Which leaderboard to build: results, a protocol, and the expected rows and columns.

    Tables, statistics, distances and plots of a protocol all take this one value, so the leaderboard is built only
    once.

    Args:
        frame: The tidy frame (see `tidy`), of any protocols. It must not be changed afterwards.
        protocol: The protocol's name.
        datasets: (card name, title) in table order; in the transfer protocols the first is the source.
        labels: The methods; those without results get a row of missing figures. Empty: all methods that have results.
        seeds: The seeds that a method with seeds needs to be complete. Empty: all seeds that occur.
        shots: The columns of the few-shot protocol, in training images per class. In the other protocols a method that
            ran with several numbers of shots has one row for each.
        reference: The label of the method whose row comes first; the others follow from the best to the worst, and
            incomplete ones come last.
        beyond: Titles of further datasets of the suite, which a note names.
        unlisted: Names of datasets with results that are not the suite's, which a note names.
    """

    frame: "pd.DataFrame"
    protocol: Protocol
    datasets: Titled
    labels: Sequence[Label] = ()
    seeds: Sequence[int] = ()
    shots: Sequence[int] = FEW_SHOTS
    reference: str = ZERO_SHOT
    beyond: Sequence[str] = ()
    unlisted: Sequence[str] = ()

    @cached_property
    def rows(self) -> ProtocolRows:
        """The rows of the frame that count for the protocol. Raises UserError as `protocol_rows` does."""
        return protocol_rows(self.frame, self.protocol, self.datasets, self.shots)

    @cached_property
    def board(self) -> Board:
        """The leaderboard, built on first use. Raises UserError as `leaderboard` does."""
        return leaderboard(self)


def leaderboard(query: BoardQuery) -> Board:
    """Build the leaderboard of a protocol. `query.board` does the same and keeps the result.

    Args:
        query: Results, protocol, rows and columns.

    Returns:
        The board. Accuracies are unrounded percentages. The table of averages comes first (transfer: the only accuracy
        table), the table of costs last.

    Raises:
        UserError: No dataset is given (transfer: no source or no target), or as `protocol_rows` does.
    """
    protocol, datasets = query.protocol, query.datasets
    info = protocol_info(protocol)
    if len(datasets) < (2 if info.is_transfer else 1):
        raise UserError(
            f"a {protocol} leaderboard needs {'a source and a target' if info.is_transfer else 'a dataset'}"
        )
    rows = query.rows
    names = rows.names(query.labels)
    ours = rows.frame
    datasets = [(name, f"{title} (own split)" if name in rows.own_splits else title) for name, title in datasets]

    expected = tuple(sorted(set(query.seeds) or {int(seed) for seed in ours["seed"].dropna().unique()}))
    methods = _methods(rows, expected, names, info.by_shots)
    columns = tuple(query.shots)
    methods.sort(key=lambda method: _rank(method, query.reference, info, datasets, columns))
    tables = tuple(marked(table) for table in _layout(methods, info, datasets, columns))
    remarks = [note["text"] for note in query.frame.attrs.get("notes", []) if note["protocol"] == protocol]
    miniature = bool(ours["miniature"].any())
    trained = set(ours.loc[ours["trainable_parameters"] > 0, "label"])
    worse = below_zeroshot(methods, trained, trained_places(info, datasets, rows.taught))
    return Board(
        suite=rows.only("suite"),
        protocol=protocol,
        title=title_of(protocol, rows.only("suite")),
        caption=caption(
            protocol, rows.only("suite"), rows.only("backbone"), expected, rows.taught, miniature, len(datasets)
        ),
        backbone=rows.only("backbone"),
        miniature=miniature,
        own_splits=rows.own_splits,
        seeds=expected,
        tables=(*tables, _cost_table(ours, methods)),
        notes=(
            *beyond(query.beyond),
            *unlisted(query.unlisted),
            *rows.notes,
            *missing_notes(methods, _places(info, datasets, columns)),
            *worse,
            *remarks,
        ),
    )


def _methods(rows: ProtocolRows, expected: Sequence[int], names: Sequence[Label], few: bool) -> list[MethodScores]:
    scores: dict[Label, dict[Place, dict[Seed, tuple[int, int]]]] = {name: {} for name in names}
    reasons: dict[Label, dict[Place, str]] = {}
    for row in rows.frame[_READ].to_dict("records"):
        place = Place(row["target_dataset"], row["target_subset"], row["shots"] if few else 0)
        by_seed = scores.setdefault(rows.name(row), {}).setdefault(place, {})
        by_seed[_seed(row["seed"])] = (int(row["correct"]), int(row["total"]))
    for hole in rows.missing:
        place = Place(hole["target_dataset"], hole["target_subset"], hole["shots"] if few else 0)
        reasons.setdefault(rows.name(hole), {})[place] = hole["reason"]
        scores.setdefault(rows.name(hole), {})
    return [
        MethodScores(name, _expected(by_place.values(), expected), by_place, reasons.get(name, {}))
        for name, by_place in scores.items()
        if not names or name in names
    ]


def _seed(value: Any) -> Seed:
    import pandas as pd

    return None if pd.isna(value) else int(value)


def _expected(by_seeds: Iterable[Mapping[Seed, Any]], expected: Sequence[int]) -> frozenset[Seed]:
    """The seeds of a complete method: the expected ones, or {None} if all of its runs are without a seed."""
    drawn: set[Seed] = {seed for by_seed in by_seeds for seed in by_seed}
    return frozenset({None}) if drawn == {None} or not expected else frozenset(expected)


def _rank(
    method: MethodScores, reference: str, info: ProtocolInfo, datasets: Titled, shots: tuple[int, ...]
) -> tuple[int, float, str]:
    """The sort key of a row: the reference first, then by the average of the protocol's headline metric from the best
    to the worst, incomplete ones last. Few-shot has such an average for each number of shots; that of the largest
    decides.
    """
    table = _layout([method], info, datasets, shots)[0]
    (cell,) = table.column(table.headlines(info.headline)[0])
    place = 0 if reference in (method.label, str(replace(method.name, shots=None))) else 1 if cell.full else 2
    return (place, 1.0 if cell.value is None else -cell.value, method.label)


def _layout(
    methods: Sequence[MethodScores], info: ProtocolInfo, datasets: Titled, shots: tuple[int, ...]
) -> list[Table]:
    match info.columns:
        case "metrics":
            return _by_metrics(methods, info, datasets)
        case "datasets":
            return [_transfer(methods, datasets)]
        case "shots":
            return _by_shots(methods, datasets, shots)


def _places(info: ProtocolInfo, datasets: Titled, shots: tuple[int, ...]) -> list[tuple[Place, str]]:
    """All measured figures of the protocol with their titles, for the notes on missing ones."""
    match info.columns:
        case "metrics":
            measured = [
                (of.subsets[0], metric.replace("_", " "))
                for metric, of in METRICS.items()
                if metric in info.metrics and len(of.subsets) == 1
            ]
            return [(Place(name, subset), f"{title} {words}") for name, title in datasets for subset, words in measured]
        case "datasets":
            return [(Place(name, "all"), title) for name, title in datasets]
        case "shots":
            return [
                (Place(name, "all", count), f"{title} {counted_shots(count)}")
                for name, title in datasets
                for count in shots
            ]


def _by_metrics(methods: Sequence[MethodScores], info: ProtocolInfo, datasets: Titled) -> list[Table]:
    """One table of averages, then one per dataset; the columns are the metrics."""
    shown = {
        metric: Column(f"{metric}_pct", of.title, metric=metric)
        for metric, of in METRICS.items()
        if metric in info.metrics
    }
    by_subset = {METRICS[metric].subsets: metric for metric in shown}
    means_of = {metric: METRICS[metric].subsets for metric in shown if len(METRICS[metric].subsets) == 2}

    def figures(method: MethodScores, dataset: str) -> dict[Metric, Aggregate]:
        found: dict[Metric, Aggregate] = {}
        for metric in shown:
            measured = [method.figure(Place(dataset, subset)) for subset in METRICS[metric].subsets]
            found[metric] = harmonic(*measured) if len(measured) == 2 else measured[0]
        return found

    def each(method: MethodScores, dataset: str) -> list[Aggregate]:
        return list(figures(method, dataset).values())

    def averages(method: MethodScores) -> list[Aggregate]:
        rows = [figures(method, name) for name, _ in datasets]
        means = {metric: average([row[metric] for row in rows]) for metric in shown}
        of_datasets = []
        for metric, subsets in means_of.items():
            of_datasets.append(means[metric])
            base, novel = (means[by_subset[subset,]] for subset in subsets)
            # As papers print it: the harmonic mean of the two averages. The average of the datasets' harmonic means is
            # another number; it is in the data formats only, as "Mean of HMs".
            if base.full and novel.full:
                means[metric] = harmonic(base, novel)
        return [*means.values(), *of_datasets]

    columns = [replace(column, headline=True) for column in shown.values()]
    if means_of:
        columns.append(Column("mean_of_hms_pct", "Mean of HMs", shown=False))
    return [
        _table("average", _average_title(datasets), tuple(columns), methods, map(averages, methods)),
        *_by_dataset(datasets, tuple(shown.values()), methods, each),
    ]


def _transfer(methods: Sequence[MethodScores], datasets: Titled) -> Table:
    """One table whose columns are the source, the targets, and the average over the targets without the source."""

    def figures(method: MethodScores) -> list[Aggregate]:
        each = [method.figure(Place(name, "all")) for name, _ in datasets]
        return [*each, average(each[1:])]

    groups = ["Source"] + ["Target"] * (len(datasets) - 1)
    columns = [
        Column(f"{name}_pct", title, group=group, metric="accuracy", dataset=name)
        for (name, title), group in zip(datasets, groups, strict=True)
    ]
    columns.append(Column("average_pct", "Average", headline=True, metric="accuracy"))
    return _table("targets", "Source and targets", tuple(columns), methods, map(figures, methods))


def _by_shots(methods: Sequence[MethodScores], datasets: Titled, shots: tuple[int, ...]) -> list[Table]:
    """One table of averages, then one per dataset; the columns are the numbers of shots."""

    def averages(method: MethodScores) -> list[Aggregate]:
        return [average([method.figure(Place(name, "all", count)) for name, _ in datasets]) for count in shots]

    def each(method: MethodScores, dataset: str) -> list[Aggregate]:
        return [method.figure(Place(dataset, "all", count)) for count in shots]

    columns = tuple(
        Column(f"shots_{count}_pct", counted_shots(count), metric="accuracy", shots=count) for count in shots
    )
    headlines = tuple(replace(column, headline=True) for column in columns)
    return [
        _table("average", _average_title(datasets), headlines, methods, map(averages, methods)),
        *_by_dataset(datasets, columns, methods, each),
    ]


def _by_dataset(
    datasets: Titled,
    columns: tuple[Column, ...],
    methods: Sequence[MethodScores],
    figures: Callable[[MethodScores, str], Sequence[Aggregate]],
) -> list[Table]:
    """A table for each dataset; `figures` takes the dataset's card name."""
    return [
        replace(_table(name, title, columns, methods, [figures(method, name) for method in methods]), dataset=name)
        for name, title in datasets
    ]


def _table(
    key: str,
    title: str,
    columns: tuple[Column, ...],
    methods: Sequence[MethodScores],
    figures: Iterable[Sequence[Aggregate]],
) -> Table:
    rows = tuple(
        Row(method.name, tuple(figure.cell() for figure in each)) for method, each in zip(methods, figures, strict=True)
    )
    return Table(key, title, columns, rows)


def _cost_table(ours: "pd.DataFrame", methods: Sequence[MethodScores]) -> Table:
    """Means over runs: parameters, seconds, images per second and MiB of peak memory."""
    runs = ours.drop_duplicates("run_id")
    rows = []
    for method in methods:
        mine = runs[runs["label"] == method.label]
        count = len(mine)
        if not count and (ours["label"] == method.label).any():
            continue  # a further reading: its runs are counted in the row of its method
        # All images by all seconds: a mean of the runs' speeds would count short runs as much as long ones.
        spent = [(mine[f"{phase}_images"].sum(), mine[f"{phase}_seconds"].sum()) for phase in ("train", "eval")]
        speeds = [images / seconds if images and seconds >= MEASURABLE * count else None for images, seconds in spent]
        means = [mine[name].mean() if count else None for name in ("trainable_parameters", "train_seconds")]
        values = [*means, *speeds, mine["peak_memory_mib"].mean() if count else None]
        cells = (
            Cell(n=count, parts="runs") if value is None else Cell(float(value), n=count, filled=1, parts="runs")
            for value in values
        )
        rows.append(Row(method.name, tuple(cells)))
    return Table("cost", "Cost, mean over runs", _COSTS, tuple(rows))


def _average_title(datasets: Titled) -> str:
    return f"Average over {len(datasets)} dataset{'' if len(datasets) == 1 else 's'}"
