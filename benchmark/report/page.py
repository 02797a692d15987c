"""The report: one HTML page that loads nothing else, made from recorded values alone."""

import gzip
import json
import shlex
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from promptarena.benchmark.analysis.names import BOARDS
from promptarena.benchmark.core.suite_layout import SuiteLayout, limit_of
from promptarena.benchmark.leaderboard.formats.registry import find_format
from promptarena.benchmark.leaderboard.formats.render import Format, render_all
from promptarena.benchmark.leaderboard.model import Board
from promptarena.benchmark.report.commands import command_ends, commands_of
from promptarena.benchmark.report.evidence import evidence_of
from promptarena.benchmark.report.matrix import View, views_of
from promptarena.benchmark.report.overview import OverviewRow, overview_of, thin
from promptarena.benchmark.report.page_tables import Sheet, sheets
from promptarena.benchmark.report.provenance import Run, facts, lines, splits
from promptarena.benchmark.report.sections import OF_PREDICTIONS, Section
from promptarena.benchmark.report.verdict import Verdict, reference_label, verdict_of

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "report.html.jinja"

MOST_BYTES = 3_000_000
"""A page that would be larger shows less (see `_LEVELS`)."""
MOST_CURVES = 8
"""The most methods in a figure of the page that is made from predictions."""
_DOWNLOADS: tuple[Format, ...] = ("csv", "json", "md", "latex")
"""The formats in which the page contains its tables."""
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The date of files in the archive: with the real one, equal arguments would give different pages."""
_FIGURES = {
    "plane": "Base and novel accuracy, with lines of equal harmonic mean",
    "average-curve": "Average accuracy over training images per class",
    "dots": "Averages with 95 % intervals",
    "critical-difference": "Mean ranks; bars join methods that do not differ significantly",
    "cost": "Accuracy against parameters, training time and memory",
    "reliability": "Accuracy over the mean probability of the predicted class, in 15 bins; on the dashed line both are "
    "equal. Bins with less than 1 % of the images are left out; the first eight methods",
    "risk-coverage": "Wrong answers if a method answers only where it is surest, over the share of answered images; "
    "the first eight methods",
}
"""The one-line captions of the figures on the page, in their order."""


@dataclass(frozen=True)
class Drawing:
    """A figure by its name, as SVG markup, with its caption."""

    stem: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Part:
    """A board derived from the leaderboard, with its printed tables."""

    board: Board
    sheets: tuple[Sheet, ...]


@dataclass(frozen=True)
class Chapter:
    """A protocol on the page: what its results say, its matrices, the boards derived from it and from predictions, and
    the figures."""

    protocol: str
    board: Board
    verdict: Verdict
    views: tuple[View, ...]
    further: tuple[Part, ...]
    analysis: tuple[Part, ...]
    reference: str
    drawings: tuple[Drawing, ...]


def report_page(
    layout: SuiteLayout,
    sections: Sequence[Section],
    runs: Sequence[Run],
    *,
    title: str = "",
    called: str = "",
    notes: Sequence[str] = (),
) -> str:
    """Build the page: what the results say, tables and figures, where the runs come from, what is missing, and the
    commands that repeat the runs.

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
    shared, differing = facts(runs)
    boards = [board for section in sections for board in section.boards]
    overview = overview_of(sections)
    called = called or layout.name
    parts = [name for name in BOARDS if any(board.part == name for board in boards)]
    places = {row.label: place for place, row in enumerate(overview.rows)}
    evidence = _packed(evidence_of(sections, overview, command_ends(called, runs)))
    whole = [_chapter(section, places) for section in sections]

    def rendered(shown: _Shown, archive: bytes) -> str:
        chapters = [shown.of(chapter) for chapter in whole]
        return (
            templates()
            .get_template(TEMPLATE)
            .render(
                layout=layout,
                title=title or f"Suite {layout.name}",
                facts=_first_line(layout, sections, len(runs), len({row.plain for row in overview.rows})),
                miniature=any(board.miniature for board in boards),
                overview=overview,
                chapters=chapters,
                places=places,
                notes=[*notes, *filter(None, [shown.note(called, parts)])],
                missing=any(section.board.notes for section in sections),
                limited=limit_of(layout.name) is not None,
                families=_families(overview.rows),
                datasets=_datasets(layout, sections),
                runs=len(runs),
                shared=shared,
                differing=differing,
                splits=splits(runs),
                lines=lines(runs),
                commands=commands_of(layout, called, runs),
                evidence=evidence,
                archive=b64encode(archive).decode(),
                archive_size=len(archive),
            )
        )

    page = ""
    for shown in _LEVELS:
        page = rendered(shown, b"")
        kept = [board for board in boards if shown.whole(board)]
        # The archive of many methods takes seconds: it is made only for a page that it may fit into.
        if shown.archive and kept and len(page.encode()) < MOST_BYTES:
            page = rendered(shown, _archive(layout.name, kept))
        if len(page.encode()) < MOST_BYTES:
            break
    return page


@dataclass(frozen=True)
class _Shown:
    """What a page shows, and what it leaves out so that it is no larger than `MOST_BYTES`.

    Args:
        left_out: What it leaves out, in words; empty: nothing.
        command: What the command that shows it has after `promptarena`; SUITE stands for the suite, BOARDS for
            the boards made from predictions that it has.
        datasets: Whether it shows tables of single datasets made from predictions, and has them in its archive.
        archive: Whether it has its tables as an archive.
        averages: Whether it shows tables of averages made from predictions.
        certainty: Whether it shows figures made from predictions.
        figures: Whether it shows other figures.
    """

    left_out: str = ""
    command: str = ""
    datasets: bool = False
    archive: bool = False
    averages: bool = False
    certainty: bool = False
    figures: bool = False

    def note(self, called: str, parts: Sequence[str]) -> str:
        """What the page says of it; nothing where all is shown."""
        if not self.left_out:
            return ""
        command = self.command.replace("SUITE", shlex.quote(called)).replace("BOARDS", " ".join(parts))
        return (
            f"Left out, since the page would be larger than {MOST_BYTES // 1_000_000} MB: {self.left_out}; "
            f"all of it: promptarena {command}"
        )

    def whole(self, board: Board) -> bool:
        """Whether all tables of a board are shown."""
        return self.datasets or board.part not in BOARDS

    def of(self, chapter: Chapter) -> Chapter:
        """The chapter with the tables and figures that are shown."""
        parts = [part if self.whole(part.board) else self._average(part) for part in chapter.analysis]
        return replace(
            chapter,
            analysis=tuple(part for part in parts if part.sheets),
            drawings=tuple(
                drawing
                for drawing in chapter.drawings
                if (self.certainty if drawing.stem in OF_PREDICTIONS else self.figures)
            ),
        )

    def _average(self, part: Part) -> Part:
        return replace(part, sheets=tuple(it for it in part.sheets if self.averages and it.key == "average"))


_PUBLISH = "report SUITE --publish FOLDER"
_LEVELS = (
    _Shown(datasets=True, archive=True, averages=True, certainty=True, figures=True),
    _Shown(
        "tables of single datasets made from predictions",
        "leaderboard SUITE --boards BOARDS",
        archive=True,
        averages=True,
        certainty=True,
        figures=True,
    ),
    _Shown(
        "tables of single datasets made from predictions, and the archive of all tables",
        "leaderboard SUITE --boards BOARDS",
        averages=True,
        certainty=True,
        figures=True,
    ),
    _Shown(
        "tables made from predictions, and the archive of all tables",
        "leaderboard SUITE --boards BOARDS",
        certainty=True,
        figures=True,
    ),
    _Shown(
        "tables and figures made from predictions, and the archive of all tables",
        _PUBLISH,
        figures=True,
    ),
    _Shown("tables made from predictions, all figures, and the archive of all tables", _PUBLISH),
)
"""What pages show, from all to the least; the first one that is small enough is taken, else the last."""


def templates() -> "Environment":
    """The templates of pages. Text is escaped, and a name that a template lacks is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _chapter(section: Section, places: dict[str, int]) -> Chapter:
    drawn = section.inline_figures(list(_FIGURES), places, MOST_CURVES)
    return Chapter(
        protocol=section.protocol,
        board=section.board,
        verdict=verdict_of(section),
        views=tuple(views_of(section)),
        further=_parts(section.further),
        analysis=_parts(section.analysis),
        reference=reference_label(section),
        drawings=tuple(Drawing(stem, drawn[stem], _FIGURES[stem]) for stem in _FIGURES if stem in drawn),
    )


def _parts(boards: Sequence[Board]) -> tuple[Part, ...]:
    return tuple(Part(board, tuple(sheets(board))) for board in boards)


def _first_line(layout: SuiteLayout, sections: Sequence[Section], runs: int, methods: int) -> list[str]:
    """The facts of the title line: date, version, suite, backbone, and how much was run."""
    dates = [section.query.rows.frame["finished_at"].max() for section in sections if len(section.query.rows.frame)]
    backbones = dict.fromkeys(section.board.backbone for section in sections if section.board.backbone)
    return [
        *([f"{max(dates):%-d %B %Y}"] if dates else []),
        f"promptarena {version('promptarena')}",
        f"suite {layout.name}",
        *(f"backbone {name}" for name in backbones),
        f"{methods} method{'' if methods == 1 else 's'}",
        f"{thin(f'{runs:,}')} run{'' if runs == 1 else 's'}",
    ]


def _families(rows: Sequence[OverviewRow]) -> dict[str, list[tuple[int, str]]]:
    """(place, label) of the methods by family."""
    found: dict[str, list[tuple[int, str]]] = {}
    for place, row in enumerate(rows):
        found.setdefault(row.family, []).append((place, row.label))
    return found


def _datasets(layout: SuiteLayout, sections: Sequence[Section]) -> dict[str, str]:
    shown = {name for section in sections for name, _ in section.query.datasets}
    return {name: title for name, title in layout.titles.items() if name in shown}


def _archive(name: str, boards: Sequence[Board]) -> bytes:
    """All tables in all formats as a ZIP archive."""
    content = BytesIO()
    with ZipFile(content, "w", ZIP_DEFLATED, compresslevel=9) as archive:
        for format in _DOWNLOADS:
            file = ZipInfo(f"{name}.{find_format(format).ending}", _LONG_AGO)
            archive.writestr(file, render_all(boards, format), ZIP_DEFLATED, 9)
    return content.getvalue()


def _packed(values: Any) -> str:
    """JSON, compressed because it is the largest part of the page, as base64."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    # Without a time, so that equal arguments give an equal page.
    return b64encode(gzip.compress(text.encode(), mtime=0)).decode()
