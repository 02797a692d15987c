"""How far our figures are from published ones, and whether that counts as reproduced. Pure functions on frames."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import Protocol, protocol_info
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.model import Board, Cell
from promptarena.benchmark.published.load import Place, Published, lookup
from promptarena.benchmark.published.rows import AVERAGE, BACKBONES, SOURCE, STANDARD, Kind

if TYPE_CHECKING:
    import pandas as pd

PUBLISHED_SEEDS = 3
"""The number of seeds that a published mean is assumed to be over; the field's papers use seeds 1 to 3."""
PUBLISHED_SHOTS = 16
"""Training images per class of all published figures outside the few-shot protocol."""
ROUNDING_POINTS = 0.05
"""The least allowance: the field's code prints the accuracy of each run with one decimal and averages the printed
values.
"""
DETERMINISTIC_POINTS = 0.2
"""The allowance for methods without seeds: precision and image libraries alone move zero-shot CLIP by 0.1 to 0.2."""
EPSILON = 1e-9
"""Float tolerance: a distance equal to the allowance counts as reproduced."""

Verdict = Literal["reproduced", "off", "no verdict", "not comparable"]
UNPUBLISHED = "no published figure"

_UNFIT: dict[Kind, str] = {
    "secondary": "only a summary page gives a figure",
    "re-run": "only a re-run by others is published",
    "bound": "only a bound is published",
}


@dataclass(frozen=True)
class Distance:
    """One of our figures beside the published one.

    Args:
        name: What tables name the method, without its number of shots.
        dataset: The card name of the scored dataset, or "average".
        metric: "base", "novel", "hm" or "accuracy".
        shots: Our number of training images per class.
        ours: The cell of our leaderboard, in percent.
        published: The published figure; None if there is none.
        verdict: Whether ours reproduces it.
        points: Ours minus published; None if the two must not be subtracted.
        allowance: The largest distance, in points, that counts as reproduced; None without such a verdict.
        reason: Why there is no verdict, or why the figures are not comparable.
    """

    name: Label
    dataset: str
    metric: str
    shots: int
    ours: Cell
    published: Published | None
    verdict: Verdict
    points: float | None = None
    allowance: float | None = None
    reason: str = ""

    @property
    def label(self) -> str:
        """The printed name."""
        return str(self.name)

    @property
    def words(self) -> str:
        """The verdict in words: "reproduced", "off by -1.20", "not comparable: own split"."""
        if self.verdict == "off":
            return f"off by {self.points:+.2f}"
        return f"{self.verdict}: {self.reason}" if self.reason else self.verdict


def distances(query: BoardQuery, published: "pd.DataFrame", *, barred: str = "") -> list[Distance]:
    """Compare every figure of a protocol's leaderboard with the published one, averages included.

    A verdict rests on published figures of kind "own paper" or "quoted" that agree with their own table. Ours must be
    complete and from the same setting: 16 shots (few-shot: the same number), the method's own settings, OpenAI's
    ViT-B/16, the published split, ImageNet as the source, and averages over the same datasets. The verdict is
    "reproduced" within the `allowance` and "off" beyond it. With one seed there is no verdict.

    Args:
        query: Which leaderboard. Runs with several numbers of shots are compared with a leaderboard for each number.
        published: What `load_published` returns.
        barred: Why no figure is comparable with published ones, such as recipes that the suite changed; empty if they
            are.

    Returns:
        The distances in the leaderboard's order.

    Raises:
        UserError: As `leaderboard` does.
    """
    protocol = query.protocol
    known = lookup(published, protocol)
    found: list[Distance] = []
    for count, part in _by_shots(query):
        judge = _Judge(part, barred)
        for place, cell in _figures(part.board, count):
            found.append(judge.distance(place, cell, _theirs(known, place, protocol)))
    return found


def allowance(ours: Cell, deterministic: bool) -> float:
    """How many points our figure may differ from a published mean and still count as reproduced.

    It is half the width of the 95 % Student t interval of the difference of two means: ours over n seeds with standard
    deviation s, and the published one over 3 seeds. Papers do not print its spread; s is assumed for it too. So the
    allowance is t(0.975, n - 1) s sqrt(1/n + 1/3).

    Args:
        ours: Our figure in percent, with at least two seeds unless `deterministic`.
        deterministic: Whether the method uses no random numbers.

    Returns:
        Points: at least `ROUNDING_POINTS`; for a deterministic method `DETERMINISTIC_POINTS`.
    """
    if deterministic or ours.low is None or ours.high is None:
        return DETERMINISTIC_POINTS
    # half is t s / sqrt(n), so the formula needs only a factor of sqrt(1 + n / 3).
    half = (ours.high - ours.low) / 2
    return max(ROUNDING_POINTS, half * math.sqrt(1 + ours.n / PUBLISHED_SEEDS))


def _by_shots(query: BoardQuery) -> Iterator[tuple[int, BoardQuery]]:
    """A query for each number of training images per class.

    In few-shot, or with a single number, it is the query itself, so that its leaderboard is not built again.
    """
    if protocol_info(query.protocol).by_shots:
        yield 0, query
        return
    rows = query.frame[query.frame["protocol"] == query.protocol]
    missing = [hole for hole in query.frame.attrs.get("holes", []) if hole["protocol"] == query.protocol]
    counts = {int(count) for count in rows["shots"].unique()} | {int(hole["shots"]) for hole in missing}
    if len(counts) <= 1:
        yield next(iter(counts), PUBLISHED_SHOTS), query
        return
    for count in sorted(counts, reverse=True):
        part = rows[rows["shots"] == count]
        part.attrs = {"holes": [hole for hole in missing if hole["shots"] == count]}
        yield count, replace(query, frame=part)


def _theirs(known: Mapping[Place, Published], place: "_Place", protocol: Protocol) -> Published | None:
    """The published figure for a place: with our shots, else with the protocol's, else with all training images."""
    if place.name != Label(place.name.method):
        return None  # other settings or another reading than what is published
    counts = (place.shots,) if protocol_info(protocol).by_shots else (place.shots, PUBLISHED_SHOTS, None)
    places = [(place.name.method, place.dataset, place.metric, count) for count in counts]
    return next((known[each] for each in places if each in known), None)


class _Place(NamedTuple):
    name: Label
    dataset: str
    metric: str
    shots: int


def _figures(board: Board, count: int) -> Iterator[tuple[_Place, Cell]]:
    """Every figure to compare, method by method."""
    tables = [table for table in board.tables if table.key != "cost"]
    for line, first in enumerate(tables[0].rows):
        for table in tables:
            for column, cell in zip(table.columns, table.rows[line].cells, strict=True):
                if column.metric:
                    dataset = column.dataset or table.dataset or AVERAGE
                    shots = count if column.shots is None else column.shots
                    yield _Place(first.name, dataset, column.metric, shots), cell


@dataclass(frozen=True)
class _Judge:
    """The facts that hold for all figures of a board."""

    query: BoardQuery
    barred: str

    @cached_property
    def _without_seeds(self) -> frozenset[str]:
        """The printed names of the methods whose runs have no seed."""
        frame = self.query.frame
        seeds = frame[frame["protocol"] == self.query.protocol].groupby("label")["seed"].count()
        return frozenset(seeds.index[seeds == 0])

    def distance(self, place: _Place, ours: Cell, theirs: Published | None) -> Distance:
        """A figure beside the published one, with its verdict."""
        deterministic = str(place.name) in self._without_seeds
        shown = None if self.query.board.miniature else theirs
        judged = partial(Distance, *place, ours, published=shown)
        unlike = self._unlike(place, theirs, deterministic)
        if theirs is None or unlike:
            return judged(verdict="not comparable", reason=unlike)
        if not ours.full or ours.value is None:
            return judged(verdict="no verdict", reason=ours.reason or f"{ours.filled} of {ours.expected} {ours.parts}")
        if theirs.kind == "bound":
            return judged(verdict="no verdict", reason=_UNFIT[theirs.kind])
        points = ours.value - theirs.value
        if theirs.kind not in STANDARD:
            return judged(verdict="no verdict", reason=_UNFIT[theirs.kind], points=points)
        if ours.n < 2 and not deterministic:
            return judged(verdict="no verdict", reason="one seed", points=points)
        width = allowance(ours, deterministic)
        verdict: Verdict = "reproduced" if abs(points) <= width + EPSILON else "off"
        return judged(verdict=verdict, points=points, allowance=width)

    def _unlike(self, place: _Place, theirs: Published | None, deterministic: bool) -> str:
        """The first reason why the two figures are not comparable; empty if they are."""
        board, datasets = self.query.board, [name for name, _ in self.query.datasets]
        if board.miniature:
            return "miniature"
        if self.barred:
            return self.barred
        if place.name.overrides:
            return "changed settings"
        if place.name.reading:
            return "another reading of the method"
        if theirs is None:
            return UNPUBLISHED
        if board.backbone not in ("", *BACKBONES[theirs.backbone]):
            return f"other backbone ({board.backbone})"
        info = protocol_info(self.query.protocol)
        if info.is_transfer and datasets[0] != SOURCE:
            return f"other source ({datasets[0]})"
        averaged = datasets[1:] if info.is_transfer else datasets
        scored = averaged if place.dataset == AVERAGE else [place.dataset]
        if not set(scored).isdisjoint(board.own_splits):
            return "own split"
        if place.dataset == AVERAGE and set(scored) != set(info.published):
            return f"average over {len(scored)} datasets, not the published {len(info.published)}"
        if theirs.shots is None:
            return "published with the whole training set"
        if theirs.shots != place.shots and not deterministic:
            return f"{place.shots} shots, published with {theirs.shots}"
        return f"flagged: {theirs.flag}" if theirs.flag else ""
