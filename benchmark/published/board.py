"""The distances to published figures as tables, which every format of the leaderboard can print."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from promptarena.benchmark.core.labels import Label, counted_shots
from promptarena.benchmark.core.protocol_table import ProtocolInfo, protocol_info
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.model import Board, Cell, Column, Row, Table
from promptarena.benchmark.published.distance import UNPUBLISHED, Distance, distances
from promptarena.benchmark.published.load import Published
from promptarena.benchmark.published.rows import AVERAGE

if TYPE_CHECKING:
    import pandas as pd

PART = "published"
"""The `part` of these boards in file names and data formats."""

_METRICS = {"base": "Base", "novel": "Novel", "hm": "HM", "accuracy": "Accuracy"}
_CAPTION = (
    "{title}, suite {suite}, backbone {backbone}, beside published figures for CLIP ViT-B/16, in percent. Distance: "
    "ours minus published, in points. Published: own paper = printed by the method's authors, quoted = printed by "
    "others as the method's own; the rest is no reference: secondary = from a summary page, re-run = run by others, "
    "bound = a lower bound, flagged = not in agreement with its own table. Reproduced: within the 95 % Student-t "
    "interval of the difference of two means, with our standard deviation for both and 3 seeds for the published one, "
    "but at least 0.05 points (methods without seeds: 0.2 points); off: beyond."
)
_NAMED = 3
"""How many figures a note names; of the others it gives the number."""


def distance_board(query: BoardQuery, published: "pd.DataFrame", *, barred: str = "") -> Board:
    """Build the board of distances to published figures.

    Each figure has three columns: ours and the published one in percent, and their distance in points. The table of
    averages comes first, then one per dataset. A dataset without any published figure has no table but a note. There is
    also a note for every reason why figures are not comparable, and for every source.

    Args:
        query: Which leaderboard.
        published: What `load_published` returns.
        barred: Why no figure is comparable with published ones; empty if they are.

    Returns:
        The board.

    Raises:
        UserError: As `distances` does.
    """
    found = distances(query, published, barred=barred)
    board, datasets = query.board, query.datasets
    layout = _Layout(protocol_info(query.protocol), len({each.shots for each in found}) > 1)
    titles = {AVERAGE: "Average"} | dict(datasets)
    known = {each.dataset for each in found if each.published}
    bare = [] if board.miniature else [title for name, title in datasets if name not in known]
    shown = [each for each in found if each.dataset in known or each.dataset == AVERAGE]
    caption = _CAPTION.format(title=board.title, suite=board.suite or "unknown", backbone=board.backbone or "unknown")
    return replace(
        board,
        title=f"{board.title}: distance to published figures",
        caption=caption,
        tables=tuple(
            _table([each for each in shown if each.dataset == name], name, title, layout)
            for name, title in titles.items()
            if name in known or name == AVERAGE
        ),
        notes=(
            *_reasons(shown, titles, layout),
            *([f"No figure of these methods is published for {', '.join(bare)}"] if bare else []),
            *_sources(shown, layout),
            *_cautions(shown, titles, layout),
        ),
        part=PART,
    )


@dataclass(frozen=True)
class _Layout:
    """The names of rows and column groups; `several` says whether the runs differ in their number of shots."""

    info: ProtocolInfo
    several: bool

    def name(self, each: Distance) -> Label:
        return replace(each.name, shots=each.shots) if self.several and not self.info.by_shots else each.name

    def row(self, each: Distance) -> str:
        return str(self.name(each))

    def key(self, each: Distance) -> str:
        return f"shots_{each.shots}" if self.info.by_shots else each.metric

    def group(self, each: Distance) -> str:
        return counted_shots(each.shots) if self.info.by_shots else _METRICS[each.metric]


def _table(here: Sequence[Distance], dataset: str, title: str, layout: _Layout) -> Table:
    groups = {layout.key(each): layout.group(each) for each in here}
    rows: dict[Label, list[Cell]] = {}
    for each in here:
        rows.setdefault(layout.name(each), []).extend(_cells(each))
    return Table(
        f"{dataset}-{PART}",
        title,
        tuple(column for key, group in groups.items() for column in _columns(key, group)),
        tuple(Row(name, tuple(cells)) for name, cells in rows.items()),
        dataset="" if dataset == AVERAGE else dataset,
    )


def _columns(key: str, group: str) -> tuple[Column, Column, Column]:
    return (
        Column(f"{key}_pct", "Ours", group=group),
        Column(f"{key}_published_pct", "Published", group=group),
        Column(f"{key}_distance_points", "Distance", "points", group=group),
    )


def _cells(each: Distance) -> tuple[Cell, Cell, Cell]:
    return replace(each.ours, mark=None), _published(each.published), _distance(each)


def _published(theirs: Published | None) -> Cell:
    if theirs is None:
        return Cell()
    if theirs.flag:
        reason = f"{theirs.kind}: {theirs.source}; flagged: {theirs.flag}"
        return Cell(theirs.value, filled=1, reason=reason, note=f"{theirs.kind}, flagged")
    return Cell(theirs.value, filled=1, reason=f"{theirs.kind}: {theirs.source}", note=theirs.kind)


def _distance(each: Distance) -> Cell:
    if each.points is None:
        return Cell(reason=each.words, note="" if each.reason == UNPUBLISHED else each.verdict)
    within = "" if each.allowance is None else f" (reproduced within {each.allowance:.2f} points)"
    return Cell(each.points, filled=1, reason=each.words + within, note=each.verdict)


def _reasons(shown: Sequence[Distance], titles: Mapping[str, str], layout: _Layout) -> list[str]:
    """A line for each reason why figures have no verdict, with the figures concerned."""
    totals = Counter(layout.row(each) for each in shown)
    lines: dict[str, dict[str, list[str]]] = {}
    for each in shown:
        if each.reason:
            figures = lines.setdefault(each.words, {}).setdefault(layout.row(each), [])
            figures.append(f"{titles[each.dataset]} {layout.group(each)}")
    return [
        f"{words[:1].upper()}{words[1:]} – "
        + "; ".join(f"{label}: {_some(figures, totals[label])}" for label, figures in rows.items())
        for words, rows in lines.items()
    ]


def _some(figures: Sequence[str], total: int) -> str:
    if len(figures) == total:
        return "all figures"
    if len(figures) <= _NAMED:
        return ", ".join(figures)
    return f"{len(figures)} of {total} figures ({', '.join(figures[:_NAMED])}, ...)"


def _sources(shown: Iterable[Distance], layout: _Layout) -> list[str]:
    """A line for each source, with the methods whose figures come from it."""
    methods: dict[tuple[str, str], dict[str, None]] = {}
    for each in shown:
        if each.published:
            methods.setdefault((each.published.kind, each.published.source), {})[layout.row(each)] = None
    return [f"Published, {kind}: {source} – {', '.join(rows)}" for (kind, source), rows in methods.items()]


def _cautions(shown: Iterable[Distance], titles: Mapping[str, str], layout: _Layout) -> list[str]:
    """A line for each figure that is used although something speaks against it."""
    return [
        f"{layout.row(each)}, {titles[each.dataset]} {layout.group(each)}: {each.published.text} is taken; "
        f"{each.published.caution}"
        for each in shown
        if each.published and each.published.caution
    ]
