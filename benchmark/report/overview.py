"""The compact table of the report's first screen: every method's headline figure in each protocol, and its cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from promptarena.benchmark.core.protocol_table import METRICS
from promptarena.benchmark.leaderboard.formats.cell_text import figure_and_spread
from promptarena.benchmark.leaderboard.model import Cell, Mark
from promptarena.benchmark.plugins.families import family_of
from promptarena.benchmark.report.sections import Section
from promptarena.benchmark.report.tints import Tints
from promptarena.benchmark.report.verdict import headline, reference_label


@dataclass(frozen=True)
class Score:
    """A method's headline figure in a protocol.

    Args:
        text: The mean, or what is missing.
        spread: The standard deviation over seeds; empty without one.
        delta: The points above the reference; empty where one of the two is missing.
        tint: See `Tints`.
        rank: The mean rank over datasets; empty where it was not ranked.
        mark: Whether it is the best or second best.
    """

    text: str = "–"
    spread: str = ""
    delta: str = ""
    tint: str = ""
    rank: str = ""
    mark: Mark | None = None


@dataclass(frozen=True)
class OverviewRow:
    """A method: its scores, one for each protocol, and its mean cost over runs.

    Args:
        label: Its label.
        plain: The label of its runs, which other readings and numbers of shots share.
        family: Its family.
        pinned: Whether it is the reference.
        scores: A score for each protocol.
        costs: Parameters, seconds of training and MiB of memory as text; empty texts where no run says so.
    """

    label: str
    plain: str
    family: str
    pinned: bool
    scores: tuple[Score, ...]
    costs: tuple[str, ...]


@dataclass(frozen=True)
class Overview:
    """The table: a heading for each protocol (its name, title and metric) and for memory, and the rows."""

    heads: tuple[tuple[str, str, str], ...]
    reference: str
    memory: str
    rows: tuple[OverviewRow, ...]


def overview_of(sections: Sequence[Section]) -> Overview:
    """Lay out the table.

    Args:
        sections: The protocols. The first decides the order of rows; methods that it lacks follow.

    Returns:
        The table.
    """
    scores = [_scores(section) for section in sections]
    names = {row.label: row.name for section in sections for row in section.board.tables[0].rows}
    references = {reference_label(section) for section in sections}
    rows = tuple(
        OverviewRow(
            label=label,
            plain=str(replace(name, reading="", shots=None)),
            family=family_of(name.method),
            pinned=label in references,
            scores=tuple(each.get(label, Score()) for each in scores),
            costs=_costs(sections, label),
        )
        for label, name in names.items()
    )
    reference = next(filter(None, map(reference_label, sections)), "")
    heads = tuple((section.protocol, section.board.title, _metric(section)) for section in sections)
    memory = f"MiB above {reference}" if reference else "Peak memory MiB"
    return Overview(heads, reference, memory, rows)


def thin(text: str) -> str:
    """A printed number with thin spaces in its thousands."""
    return text.replace(",", "\u202f")


def _metric(section: Section) -> str:
    column = headline(section)
    return column.title if column.shots or not column.metric else METRICS[column.metric].title


def _scores(section: Section) -> dict[str, Score]:
    table = section.board.tables[0]
    cells = {row.label: cell for row, cell in zip(table.rows, table.column(headline(section)), strict=True)}
    base = cells.get(reference_label(section), Cell())
    deltas = {
        label: cell.value - base.value
        for label, cell in cells.items()
        if cell.full and base.full and cell.value is not None and base.value is not None
    }
    tints = Tints(deltas.values())
    ranks = {each.label: f"{each.rank:.2f}" for each in section.ranking.methods} if section.ranking else {}
    found = {}
    for label, cell in cells.items():
        text, spread = figure_and_spread(cell, "percent")
        delta = f"{deltas[label]:+z.2f}" if label in deltas and cell is not base else ""
        found[label] = Score(text, spread, delta, tints.of(deltas.get(label)), ranks.get(label, ""), cell.mark)
    return found


def _costs(sections: Sequence[Section], label: str) -> tuple[str, ...]:
    """The cost in the first protocol in which the method has one; memory is what it adds to the reference's process."""
    for section in sections:
        cells = _cost_cells(section, label)
        if cells:
            frozen = _cost_cells(section, reference_label(section)).get("peak_memory_mib", Cell())
            memory = cells["peak_memory_mib"]
            texts = [
                figure_and_spread(cells["trainable_parameters"], "parameters")[0],
                figure_and_spread(cells["train_seconds"], "seconds")[0],
                figure_and_spread(memory, "MiB")[0],
            ]
            if memory.value is not None and frozen.value is not None:
                texts[2] = f"{max(0.0, memory.value - frozen.value):,.0f}"
            return tuple(map(thin, texts))
    return ("",) * 3


def _cost_cells(section: Section, label: str) -> dict[str, Cell]:
    table = section.board.tables[-1]
    return {
        column.key: cell
        for row in table.rows
        if row.label == label
        for column, cell in zip(table.columns, row.cells, strict=True)
    }
