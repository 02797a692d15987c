"""What a protocol's results say, in plain sentences: the best method, how far ahead it is, how sure that is, its cost.

The report's first screen and the summary of a comparison both print these sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from promptarena.benchmark.core.protocol_table import METRICS, protocol_info
from promptarena.benchmark.leaderboard.model import Board, Cell, Column, Row
from promptarena.benchmark.report.sections import Section
from promptarena.benchmark.statistics.paired import compare
from promptarena.benchmark.statistics.ranks import Pair, Ranking
from promptarena.benchmark.statistics.scores import NoScoresError
from promptarena.benchmark.statistics.sentences import doubts, tested

_NAMED = 3
"""How many names a sentence lists; of the others it gives the number."""


@dataclass(frozen=True)
class Verdict:
    """What a protocol's results say.

    Args:
        title: The protocol's title.
        best: The label of the best method; empty if no method is complete.
        sentences: The sentences. The first begins with `best`.
    """

    title: str
    best: str
    sentences: tuple[str, ...]


def verdict_of(section: Section) -> Verdict:
    """Say what a protocol's results are.

    Args:
        section: The protocol with all that was made of its results.

    Returns:
        A sentence on the best method and its distance to the reference; one on the runner-up and on the methods that do
        not differ significantly from the best; where there are too few datasets or seeds, one that says so; one on the
        cost of the best; where figures are missing, one that names the methods.
    """
    board = section.board
    column = headline(section)
    complete = {row.label: cell for row, cell in zip(_rows(board), board.tables[0].column(column), strict=True)}
    values = {label: cell.value for label, cell in complete.items() if cell.full and cell.value is not None}
    missing = _missing([label for label in complete if label not in values])
    if not values:
        return Verdict(board.title, "", ("No method is complete yet.", *missing))
    order = sorted(values, key=lambda label: -values[label])
    best, over = order[0], _over(section, column)
    lead = f"{best} is best with {values[best]:.2f} {_unit(column)} over {over}"
    if len(order) == 1:
        return Verdict(
            board.title, best, (f"{lead}; there is nothing to compare it with.", *_cost(board, best), *missing)
        )
    reference = reference_label(section)
    first = f"{lead}."
    if reference in values and best != reference:
        first = f"{lead}, {_distance(section, best, reference)}."
    elif best == reference:
        first = f"{lead}; no other method is above this reference."
    second = f"The runner-up, {order[1]}, is {_distance(section, best, order[1], behind=True)}{_near(section, best)}."
    if order[1] == reference:
        second = f"No other method is above {reference}{_near(section, best)}."
    limits = doubts(section.ranking) if section.ranking else []
    return Verdict(board.title, best, (first, second, *limits, *_cost(board, best), *missing))


def headline(section: Section) -> Column:
    """The column of the first table that summarizes the protocol."""
    return section.board.tables[0].headlines(protocol_info(section.protocol).headline)[0]


def reference_label(section: Section) -> str:
    """The label of the row of the reference; empty if it has none."""
    return section.board.reference_label(section.query.reference)


def _rows(board: Board) -> Sequence[Row]:
    return board.tables[0].rows


def _unit(column: Column) -> str:
    metric = METRICS[column.metric].words if column.metric else column.title
    return "% accuracy" if metric == "accuracy" else metric


def _over(section: Section, column: Column) -> str:
    transfer = protocol_info(section.protocol).is_transfer
    count = len(section.query.datasets) - transfer
    text = f"{count} {'target' if transfer else 'dataset'}{'' if count == 1 else 's'}"
    return f"{text} at {column.title}" if column.shots else text


def _distance(section: Section, best: str, other: str, *, behind: bool = False) -> str:
    """How far `best` is above the other, with the interval and the test."""
    pair = pair_of(section.ranking, best, other)
    if pair is not None and section.ranking is not None:
        words = f"95 % interval {pair.low:.2f} to {pair.high:.2f}; {tested(pair, section.ranking)}"
        return f"{_points(pair.difference, other, behind)} ({words})"
    try:
        alone = compare(section.scores, best, other)
    except NoScoresError:
        return f"{_points(_value(section, best) - _value(section, other), other, behind)} (not tested)"
    if alone.low is None or alone.high is None:
        return f"{_points(alone.average, other, behind)} (one seed: no interval)"
    return f"{_points(alone.average, other, behind)} (95 % interval over seeds {alone.low:.2f} to {alone.high:.2f})"


def _points(difference: float, other: str, behind: bool) -> str:
    if round(difference, 2) == 0:
        return "level with it" if behind else f"level with {other}"
    points = f"{abs(difference):.2f} points"
    if behind:
        return f"{points} {'behind' if difference > 0 else 'ahead on the datasets and seeds that were ranked'}"
    return f"{points} {'above' if difference > 0 else 'below'} {other}"


def pair_of(ranking: Ranking | None, one: str, other: str) -> Pair | None:
    """The tested difference of two methods, the first minus the second; None if they were not tested."""
    for pair in ranking.pairs if ranking else ():
        if (pair.first, pair.second) == (one, other):
            return pair
        if (pair.second, pair.first) == (one, other):
            return replace(pair, first=one, second=other, difference=-pair.difference, low=-pair.high, high=-pair.low)
    return None


def _near(section: Section, best: str) -> str:
    ranking = section.ranking
    if ranking is None or not ranking.pairs:
        return ""
    if best not in [each.label for each in ranking.methods]:
        return f"; {best} was not ranked"
    near = ranking.beside(best)
    if not near:
        return "; the best differs significantly from all others"
    if len(near) == len(ranking.methods) - 1:
        return "; no other method differs significantly from the best"
    more = f" and {len(near) - _NAMED} more" if len(near) > _NAMED else ""
    return f"; not significantly different from the best: {', '.join(near[:_NAMED])}{more}"


def _cost(board: Board, best: str) -> tuple[str, ...]:
    table = board.tables[-1]
    for row in table.rows:
        if row.label == best:
            cells: dict[str, Cell] = {column.key: cell for column, cell in zip(table.columns, row.cells, strict=True)}
            parameters, seconds = cells["trainable_parameters"].value, cells["train_seconds"].value
            if parameters is not None and seconds is not None:
                trained = f"trains {parameters:,.0f} parameters" if parameters else "trains no parameters"
                return (f"It {trained}; a run takes {seconds:,.1f} s of training.".replace(",", "\u202f"),)
    return ()


def _missing(labels: Sequence[str]) -> tuple[str, ...]:
    if not labels:
        return ()
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    return (f"Incomplete: {', '.join(labels[:_NAMED])}{more}.",)


def _value(section: Section, label: str) -> float:
    board = section.board
    cells = dict(zip((row.label for row in _rows(board)), board.tables[0].column(headline(section)), strict=True))
    return cells[label].value or 0.0
