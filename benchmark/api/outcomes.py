"""The results of comparisons: as a DataFrame, as leaderboards, statistics, plots, and as a report."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.protocol_table import PROTOCOLS
from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.core.suite_layout import SuiteLayout
from promptarena.benchmark.leaderboard.formats.render import render
from promptarena.benchmark.leaderboard.frame import tidy
from promptarena.benchmark.leaderboard.model import Board

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from promptarena.benchmark.report.sections import Section

Documents = Callable[[], Sequence[Mapping[str, Any]]]
"""The plans and environments of the runs, read when a report needs them."""


class Leaderboard:
    """The tables of one protocol. In a notebook it shows itself.

    Args:
        board: The tables as values.
    """

    def __init__(self, board: Board) -> None:
        self.board = board

    def __repr__(self) -> str:
        return render(self.board, "rich")

    def _repr_html_(self) -> str:
        return render(self.board, "html")

    def to_frame(self, table: str | None = None) -> "pd.DataFrame":
        """One table as a DataFrame.

        Args:
            table: The table's key, such as a dataset's name, "average" or "cost"; None: the first one.

        Returns:
            A row per method, a column per figure, unrounded: accuracies in percent. Missing figures are NaN.

        Raises:
            UserError: There is no such table.
        """
        import pandas as pd

        tables = {each.key: each for each in self.board.tables}
        if table is not None and table not in tables:
            raise unknown("table", table, tables)
        chosen = tables[table] if table is not None else self.board.tables[0]
        columns = {
            column.key: [cell.value for cell in chosen.column(column)] for column in chosen.columns if column.shown
        }
        index = pd.Index([row.label for row in chosen.rows], name="method")
        return pd.DataFrame(columns, index=index, dtype="float64")

    def to_markdown(self) -> str:
        """All tables in Markdown, rounded to two decimals."""
        return render(self.board, "md")

    def to_latex(self) -> str:
        """All tables as LaTeX floats, rounded to two decimals."""
        return render(self.board, "latex")

    def to_csv(self) -> str:
        """All figures as CSV, one per line, unrounded."""
        return render(self.board, "csv")


class Results:
    """Finished runs of one suite, and all that is made of them.

    `promptarena.compare` and `promptarena.load_results` make it.
    """

    def __init__(
        self, layout: SuiteLayout, stored: Sequence[StoredResult], documents: Documents, *, title: str = ""
    ) -> None:
        """Use finished runs.

        Args:
            layout: The suite's datasets and titles.
            stored: The runs.
            documents: Reads their plans and environments.
            title: The suite's title.
        """
        self._layout = layout
        self._stored = tuple(stored)
        self._documents = documents
        self._title = title
        self._sections: dict[str, list[Section]] = {}

    def __len__(self) -> int:
        """The number of runs."""
        return len(self._stored)

    def __repr__(self) -> str:
        methods = list(dict.fromkeys(result.label for result in self._stored))
        return f"<{len(self)} runs of suite {self._layout.name}: {', '.join(methods)}>"

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """All scores as a tidy DataFrame, one row per run, target and readout.

        Columns: suite, protocol, method, overrides (changed settings, as JSON), reading (the readout; empty: the
        method's own), label (the method's row in tables), dataset (trained on), shots (images per class), seed,
        target_dataset, target_subset, metric, correct and total (test images), value (their ratio, 0 to 1),
        trainable_parameters, train_seconds, train_images, eval_seconds, eval_images, peak_memory_mib, backbone,
        miniature, run_id, and what else `leaderboard.frame.DTYPES` lists.
        """
        return tidy(self._stored)

    @property
    def protocols(self) -> tuple[str, ...]:
        """The protocols that have results."""
        return tuple(section.protocol for section in self._all())

    def leaderboard(self, protocol: str | None = None) -> Leaderboard:
        """The leaderboard of a protocol.

        Args:
            protocol: The protocol; None: the only one, or the first one, that has results.

        Returns:
            The leaderboard.

        Raises:
            UserError: The protocol has no results.
        """
        return Leaderboard(self._section(protocol).board)

    def statistics(self, reference: str = "", protocol: str | None = None) -> Leaderboard:
        """Ranks over datasets, and comparisons of all methods with one.

        Args:
            reference: The method that the others are compared with; empty: ranks only.
            protocol: As in `leaderboard`.

        Returns:
            The tables of ranks and comparisons.

        Raises:
            UserError: The protocol or the method has no results.
        """
        labels = {result.label for result in self._stored}
        if reference and reference not in labels:
            raise unknown("method to compare with", reference, labels)
        return Leaderboard(self._section(protocol, reference).further[0])

    def distances(self, protocol: str | None = None) -> Leaderboard:
        """The distances to published figures.

        Args:
            protocol: As in `leaderboard`.

        Returns:
            The table of distances. The miniature's figures are comparable with no published ones, and it says so.

        Raises:
            UserError: The protocol has no results.
        """
        from promptarena.benchmark.published.board import distance_board
        from promptarena.benchmark.published.load import load_published

        query = self._section(protocol).query
        return Leaderboard(distance_board(query, load_published(), barred=self._layout.barred))

    def plot(self, name: str, protocol: str | None = None, reference: str = "") -> "Figure":
        """Draw a plot.

        Args:
            name: "bars", "cost", "critical-difference", "plane" (base against novel accuracy), "few-shot" or "gains"
                (which needs a reference).
            protocol: As in `leaderboard`.
            reference: The method that "gains" compares the others with.

        Returns:
            The figure.

        Raises:
            UserError: The protocol has no such plot, or no results.
        """
        from promptarena.benchmark.plots.all_figures import every_figure

        drawn = every_figure(self._section(protocol).query, reference=reference)
        if name not in drawn:
            raise unknown("plot of these results", name, drawn)
        return drawn[name]

    def report(self, file: str | Path, reference: str = "") -> Path:
        """Write the report: one HTML file with tables, statistics, plots, provenance and commands.

        Args:
            file: The file to write.
            reference: The method that the others are compared with.

        Returns:
            The file's path.

        Raises:
            UserError: There are no results, or the file cannot be written.
        """
        from promptarena.benchmark.cli.commands.report import page_of

        page = page_of(
            self._layout,
            self._stored,
            self._documents(),
            title=self._title,
            called=self._layout.name,
            reference=reference,
        )
        write_atomically(Path(file), page)
        return Path(file)

    def _scored(self, protocol: str) -> list[str]:
        """The datasets that have scores in a protocol; the suite may have more."""
        mine = (result for result in self._stored if result.protocol == protocol)
        return list({score.target.dataset: None for result in mine for score in result.scores})

    def _section(self, protocol: str | None, reference: str = "") -> "Section":
        sections = {section.protocol: section for section in self._all(reference)}
        if not sections:
            raise UserError(f"there are no results of suite {self._layout.name}; run pa.compare or promptarena compare")
        if protocol is None:
            return next(iter(sections.values()))
        if protocol not in sections:
            raise unknown("protocol with results", protocol, sections)
        return sections[protocol]

    def _all(self, reference: str = "") -> "list[Section]":
        from promptarena.benchmark.report.sections import sections_of

        if reference not in self._sections:
            self._sections[reference] = [
                section
                for protocol in PROTOCOLS
                if (scored := self._scored(protocol))
                for section in sections_of(
                    self._layout, self._stored, protocols=[protocol], datasets=scored, reference=reference
                )
            ]
        return self._sections[reference]


def load_results(place: str | Path = "results", suite: str | Path = "mini") -> Results:
    """Load the finished runs of a suite.

    Args:
        place: A results folder, the folder of an export, or the address of an MLflow store.
        suite: A built-in suite's name, or the path of a suite's TOML file.

    Returns:
        The results.

    Raises:
        UserError: There is no record or export, or it cannot be read.

    >>> import promptarena as pa
    >>> pa.load_results("no/such/folder")
    Traceback (most recent call last):
    promptarena.benchmark.core.errors.UserError: no record in no/such/folder; ...
    """
    from promptarena.benchmark.planning.suites import layout_of
    from promptarena.lookups import load_suite

    if "://" in str(place):
        return recorded_results(Path("results"), str(place), suite)
    folder = Path(place)
    if (folder / "manifest.json").is_file():
        from promptarena.benchmark.recording.exports.folder import merged, read_export

        export = read_export(folder)
        own = load_suite(suite)
        if export.manifest.suite.name != own.name:
            raise unknown("exported suite", own.name, [export.manifest.suite.name])
        runs = merged([export])
        return Results(layout_of(own), [run.stored() for run in runs], list, title=own.title)
    return recorded_results(folder, None, suite)


def recorded_results(
    results: Path, tracking_uri: str | None, suite: str | Path, keys: frozenset[str] | None = None
) -> Results:
    """The results of a suite in a record.

    Args:
        results: The record's folder.
        tracking_uri: The address of another MLflow store; None: that of the folder.
        suite: As in `load_results`.
        keys: Only runs with these keys; None: all.

    Returns:
        The results.

    Raises:
        UserError: There is no record, or it cannot be read.
    """
    from promptarena.benchmark.cli.commands.report import documents_of
    from promptarena.benchmark.planning.suites import layout_of
    from promptarena.benchmark.recording.record import Record, RecordPlace
    from promptarena.lookups import load_suite

    own = load_suite(suite)
    record = Record.open_existing(RecordPlace(results, tracking_uri))
    stored = record.results(own.name, keys)
    return Results(layout_of(own), stored, lambda: documents_of(record, stored), title=own.title)
