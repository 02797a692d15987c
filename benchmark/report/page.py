"""The report: one HTML page that loads nothing else, made from recorded values alone."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from promptarena.benchmark.core.suite_layout import SuiteLayout
from promptarena.benchmark.leaderboard.formats.registry import find_format
from promptarena.benchmark.leaderboard.formats.render import Format, render_all
from promptarena.benchmark.leaderboard.model import Board
from promptarena.benchmark.report.page_tables import Sheet, sheets
from promptarena.benchmark.report.provenance import Run, facts, lines, splits
from promptarena.benchmark.report.sections import Section

TEMPLATE = "report.html.jinja"

_DOWNLOADS: Mapping[Format, str] = {
    "csv": "text/csv",
    "json": "application/json",
    "md": "text/markdown",
    "latex": "application/x-tex",
}
"""The formats in which the page contains its tables, with their media types."""
_ALT: Mapping[str, str] = {
    "bars": "Bars of every method's accuracy, a panel for the average and one for each dataset",
    "gains": "Bars of every method's points above the reference, a panel for the average and one for each dataset",
    "cost": "The headline average against parameters, training time and memory, a mark for each method",
    "critical-difference": "Mean ranks of the methods on a line, with bars over those that do not differ significantly",
    "plane": "Base against novel accuracy, a mark for each method, with lines of equal harmonic mean",
}
"""The alternative text of each plot, for readers who cannot see it."""
_SHOTS = "Accuracy over training images per class, a curve for each method"
"""The alternative text of the plot that is named after its protocol."""


@dataclass(frozen=True)
class Picture:
    """A plot as a data URI, with its alternative text."""

    source: str
    alt: str


@dataclass(frozen=True)
class Part:
    """A board on the page, with its printed tables."""

    board: Board
    sheets: tuple[Sheet, ...]


@dataclass(frozen=True)
class Chapter:
    """A protocol on the page: its leaderboard, the boards derived from it, and the plots."""

    protocol: str
    first: Part
    further: tuple[Part, ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Download:
    """A file that the page contains: its name, size in bytes and data URI."""

    name: str
    size: int
    source: str


def report_page(
    layout: SuiteLayout,
    sections: Sequence[Section],
    runs: Sequence[Run],
    *,
    title: str = "",
    called: str = "",
    notes: Sequence[str] = (),
) -> str:
    """Build the page: tables and plots, where the runs come from, what is missing, and the commands that repeat the
    runs.

    Nothing is loaded from elsewhere; the page's own content security policy forbids it. Equal arguments give an equal
    page.

    Args:
        layout: The suite's datasets and titles.
        sections: The protocols to show.
        runs: The runs behind them, as plain values (see `provenance`).
        title: The page's title; empty: from the suite's name.
        called: The suite in the printed commands; empty: its name.
        notes: Lines about results that are not in the sections.

    Returns:
        The HTML text.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent / "templates"
    templates = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared, differing = facts(runs)
    boards = [board for section in sections for board in section.boards]
    return templates.get_template(TEMPLATE).render(
        layout=layout,
        title=title or f"Suite {layout.name}",
        miniature=any(board.miniature for board in boards),
        chapters=[_chapter(section) for section in sections],
        missing=[(section.board.title, section.board.notes) for section in sections if section.board.notes],
        notes=list(notes),
        labels=list(dict.fromkeys(row.label for section in sections for row in section.board.tables[0].rows)),
        datasets=list(layout.titles.items()),
        runs=len(runs),
        shared=shared,
        differing=differing,
        splits=splits(runs),
        lines=lines(layout, called or layout.name, runs),
        downloads=[_download(layout.name, format, boards) for format in _DOWNLOADS] if boards else [],
    )


def _chapter(section: Section) -> Chapter:
    board = section.board
    words = {**_ALT, section.protocol: _SHOTS}
    figures = {Path(name).stem: svg for name, svg in section.figures("svg").items()}
    pictures = tuple(
        Picture(_data("image/svg+xml", svg), f"{words.get(stem, stem)}. {board.title}; the tables have the values.")
        for stem, svg in figures.items()
    )
    return Chapter(section.protocol, _part(board), tuple(map(_part, section.further)), pictures)


def _part(board: Board) -> Part:
    return Part(board, tuple(sheets(board)))


def _download(name: str, format: Format, boards: Sequence[Board]) -> Download:
    content = render_all(boards, format).encode()
    file = f"{name}.{find_format(format).ending}"
    return Download(file, len(content), _data(f"{_DOWNLOADS[format]};charset=utf-8", content))


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"
