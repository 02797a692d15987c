"""Ranks and comparisons as a board, which every format of the leaderboard can print."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from promptarena.benchmark.core.errors import unknown
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.captions import MINIATURE
from promptarena.benchmark.leaderboard.model import Board, Cell, Column, Row, Table
from promptarena.benchmark.statistics.paired import Difference, Outcome, PairedComparison, against
from promptarena.benchmark.statistics.ranks import Ranked, Ranking, rank
from promptarena.benchmark.statistics.scores import NoScoresError, Scores, read_scores
from promptarena.benchmark.statistics.sentences import against_words, first_two, ranking_words, words
from promptarena.benchmark.statistics.significance import ALPHA

PART = "statistics"
"""The `part` of these boards in file names and data formats."""

_OUTCOMES: Mapping[str, Outcome] = {"Won": "win", "Tied": "tie", "Lost": "loss"}

_RANKS = (
    "Rank: mean over datasets, 1 is best. Differs from: how many of the other methods it differs from significantly at "
    "level {alpha}. The average is that of the datasets and seeds ranked."
)
_AGAINST = (
    "Difference: points above {reference} on the datasets and seeds of both, with the 95 % interval over datasets and "
    "seeds (hierarchical bootstrap; in transfer Student t, with a quantile for targets and one for seeds; one dataset: "
    "Student t over seeds). Won, tied, lost: datasets; a difference within the standard deviation of the seeds' "
    "differences is a tie. p: Wilcoxon over datasets (one dataset: t-test over "
    "seeds) with Holm's correction for the methods of the column. Significant: p is at most {alpha} and the "
    "interval, in transfer with the same correction, excludes 0."
)


def statistics_board(query: BoardQuery, *, reference: str = "") -> Board:
    """Build the board of statistics that belongs to a leaderboard.

    Args:
        query: Which leaderboard.
        reference: The label of a method to compare all others with; empty: ranks only.

    Returns:
        A board with the ranks for every metric of the protocol (few-shot: every number of shots), the differences from
        the reference in points with p-values, and sentences as notes. Its `brief` notes are about the headline metric.

    Raises:
        UserError: The reference has no results, or as `leaderboard` does.
    """
    board = query.board
    every = _every(query)
    first = _headline(every)
    rankings: dict[str, Ranking] = {}
    said: dict[str, str] = {}
    for key, scores in every.items():
        try:
            rankings[key] = rank(scores)
        except NoScoresError as error:
            said[key] = f"{error}."
        else:
            said[key] = ranking_words(rankings[key])
    pairs = [] if reference or first not in rankings else [first_two(rankings[first])]
    names = {row.label: row.name for row in board.tables[0].rows}
    tables = [_ranks(every, rankings, names)]
    captions = [f"{board.title}, suite {board.suite or 'unknown'}: what the figures allow to say."]
    captions.append(_RANKS.format(alpha=ALPHA))
    if reference:
        if not any(_known(scores, reference) for scores in every.values()):
            raise unknown(f"method with {query.protocol} results", reference, names)
        compared = {key: _compared(scores, reference) for key, scores in every.items()}
        tables += [_against(every, compared, reference, names), _by_dataset(every, compared, reference, names)]
        captions.append(_AGAINST.format(reference=reference, alpha=ALPHA))
        pairs = against_words(compared[first]) if compared[first] else [f"Nothing can be compared with {reference}."]
    return replace(
        board,
        title=f"{board.title}: statistics",
        caption=" ".join([*captions, *([MINIATURE] if board.miniature else [])]),
        tables=tuple(tables),
        notes=tuple(filter(None, [*said.values(), *pairs])),
        part=PART,
        brief=tuple(filter(None, [said[first], *pairs])),
    )


def _every(query: BoardQuery) -> dict[str, Scores]:
    """The scores of each metric, or of each number of shots, by the beginning of their columns' keys."""
    info = protocol_info(query.protocol)
    if info.by_shots:
        return {f"shots_{count}": read_scores(query, shots=count) for count in query.shots}
    return {metric: read_scores(query, metric=metric) for metric in info.metrics}


def _compared(scores: Scores, reference: str) -> list[PairedComparison]:
    return against(scores, reference) if _known(scores, reference) else []


def _known(scores: Scores, reference: str) -> bool:
    return scores.named.get(reference, reference) in scores.cells


def _headline(every: Mapping[str, Scores]) -> str:
    """The key of the headline: the protocol's first metric, or the largest number of shots that was scored."""
    scored = [key for key, scores in every.items() if any(scores.cells.values())]
    return max(scored, key=lambda key: every[key].shots, default=next(iter(every)))


def _ranks(every: Mapping[str, Scores], rankings: Mapping[str, Ranking], names: Mapping[str, Label]) -> Table:
    columns: list[Column] = []
    cells: dict[str, list[Cell]] = {label: [] for label in _ordered(rankings, every, list(names))}
    for key, scores in every.items():
        group = _capital(scores.words)
        columns += [
            Column(f"{key}_average_pct", "Average", group=group),
            Column(f"{key}_mean_rank", "Rank", "rank", group),
            Column(f"{key}_apart_from_count", "Differs from", "count", group),
        ]
        ranking = rankings.get(key)
        by_label = {each.label: each for each in ranking.methods} if ranking else {}
        for label, row in cells.items():
            row += _rank_cells(ranking, by_label[label]) if ranking and label in by_label else [Cell(), Cell(), Cell()]
    rows = tuple(Row(names[label], tuple(row)) for label, row in cells.items())
    return Table("ranks", "Mean ranks over datasets", tuple(columns), rows)


def _ordered(rankings: Mapping[str, Ranking], every: Mapping[str, Scores], labels: Sequence[str]) -> list[str]:
    """The labels by mean rank in the headline; labels that are not ranked follow."""
    headline = rankings.get(_headline(every))
    ranked = [each.label for each in headline.methods] if headline else []
    return [*ranked, *(label for label in labels if label not in ranked)]


def _rank_cells(ranking: Ranking, method: Ranked) -> list[Cell]:
    near, others = ranking.beside(method.label), len(ranking.methods) - 1
    near_ones = f"does not differ significantly from: {', '.join(near) or 'none'}"
    return [
        Cell(method.average, n=ranking.seeds[0], filled=1),
        Cell(method.rank, filled=1, reason=f"mean rank over {len(ranking.datasets)} datasets"),
        Cell(others - len(near), filled=1, note=f"of {others}", reason=near_ones) if ranking.pairs else Cell(),
    ]


def _against(
    every: Mapping[str, Scores],
    compared: Mapping[str, Sequence[PairedComparison]],
    reference: str,
    names: Mapping[str, Label],
) -> Table:
    columns = [
        column
        for key, scores in every.items()
        for column in (
            Column(f"{key}_difference_points", "Difference", "points", _capital(scores.words)),
            *(Column(f"{key}_{name.lower()}_count", name, "count", _capital(scores.words)) for name in _OUTCOMES),
            Column(f"{key}_holm_p", "p", "p", _capital(scores.words)),
            Column(f"{key}_told_apart_flag", "Significant", "flag", _capital(scores.words)),
        )
    ]
    found = {key: {each.first: each for each in comparisons} for key, comparisons in compared.items()}
    rows = tuple(
        Row(names[label], tuple(cell for key in every for cell in _comparison_cells(found[key].get(label))))
        for label in _unique(each.first for comparisons in compared.values() for each in comparisons)
    )
    return Table("against", f"Differences from {reference}", tuple(columns), rows)


def _comparison_cells(comparison: PairedComparison | None) -> list[Cell]:
    if comparison is None:
        return [Cell()] * (3 + len(_OUTCOMES))
    low, high = comparison.low, comparison.high
    p = comparison.p if comparison.p_holm is None else comparison.p_holm
    return [
        Cell(
            comparison.average,
            low=low,
            high=high,
            n=comparison.seeds[0],
            filled=1,
            note="" if low is None or high is None else f"[{low:+.2f}, {high:+.2f}]",
        ),
        *(Cell(comparison.count(outcome), filled=1) for outcome in _OUTCOMES.values()),
        Cell() if p is None else Cell(p, filled=1, reason=f"p {comparison.p!r} before Holm's correction"),
        Cell(float(comparison.significant), filled=1, reason=words(comparison)),
    ]


def _by_dataset(
    every: Mapping[str, Scores],
    compared: Mapping[str, Sequence[PairedComparison]],
    reference: str,
    names: Mapping[str, Label],
) -> Table:
    key = _headline(every)
    scores = every[key]
    columns = tuple(
        Column(f"{name}_difference_points", title, "points", dataset=name) for name, title in scores.datasets
    )
    rows = []
    for comparison in compared[key]:
        by_name = {each.dataset: each for each in comparison.datasets}
        cells = (_difference_cell(by_name.get(name)) for name, _ in scores.datasets)
        rows.append(Row(names[comparison.first], tuple(cells)))
    title = f"Differences from {reference} in {scores.words}, by dataset"
    return Table("against-datasets", title, columns, tuple(rows))


def _difference_cell(difference: Difference | None) -> Cell:
    if difference is None:
        return Cell()
    over = difference.spread
    return Cell(over.mean, over.std, over.low, over.high, n=over.n, filled=1, reason=difference.outcome)


def _unique(labels: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(labels))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
