"""The result of a comparison in a few lines: for each protocol who is best, by how much, and who differs."""

from collections.abc import Mapping, Sequence

from promptarena.benchmark.core.protocol_table import METRICS, protocol_info
from promptarena.benchmark.leaderboard.build import ZERO_SHOT
from promptarena.benchmark.leaderboard.model import Board, Column
from promptarena.benchmark.report.sections import Section


def summary(sections: Sequence[Section]) -> list[str]:
    """Say what came out.

    Args:
        sections: The protocols with all that was made of their results.

    Returns:
        For each protocol a line on the best method: its distance to zero-shot, and from which methods it does not
        differ significantly. Where something is missing, a line on that.
    """
    return [line for section in sections for line in _lines(section)]


def _lines(section: Section) -> list[str]:
    board, info = section.board, protocol_info(section.protocol)
    table = board.tables[0]
    headline = table.headlines(info.headline)[0]
    cells = {row.label: cell for row, cell in zip(table.rows, table.column(headline), strict=True)}
    values = {label: cell.value for label, cell in cells.items() if cell.full and cell.value is not None}
    count = len(section.query.datasets) - info.is_transfer
    kind = "target" if info.is_transfer else "dataset"
    over = f"{count} {kind}{'s' * (count != 1)}"
    shots = f" with {headline.shots} shots" if headline.shots else ""
    what = f"{board.title}, {METRICS[info.headline].words} over {over}{shots}"
    if not values:
        return [f"{what}: no method is complete yet."]
    best = max(values, key=lambda label: values[label])
    beside = _beside(best, section.further[0], headline) if len(values) > 1 else ""
    lines = [f"{what}: {best} is best with {values[best]:.2f}{_distance(best, values)}.{beside}"]
    incomplete = [label for label in cells if label not in values]
    return lines + ([f"Incomplete: {', '.join(incomplete)}."] if incomplete else [])


def _distance(best: str, values: Mapping[str, float]) -> str:
    """How far the best method is above zero-shot; zero-shot itself, above the next one."""
    others = [label for label in values if label != best]
    if not others or (best != ZERO_SHOT and ZERO_SHOT not in values):
        return ""
    other = max(others, key=lambda label: values[label]) if best == ZERO_SHOT else ZERO_SHOT
    return f", {values[best] - values[other]:.2f} points above {other} ({values[other]:.2f})"


def _beside(best: str, statistics: Board, headline: Column) -> str:
    """From which methods the best one does not differ significantly; where nothing was tested, why."""
    ranks = statistics.tables[0]
    key = f"{f'shots_{headline.shots}' if headline.shots else headline.metric}_apart_from_count"
    place = next(number for number, column in enumerate(ranks.columns) if column.key == key)
    cell = next(row.cells[place] for row in ranks.rows if row.label == best)
    if cell.value is None:
        return "".join(f" {line}" for line in statistics.brief[:1])
    if cell.value == 0:
        return " It does not differ significantly from any other method."
    if cell.note == f"of {cell.value:.0f}":
        return " It differs significantly from all other methods."
    return f" It {cell.reason}."
