"""The results of comparisons: as a DataFrame, as leaderboards, statistics, plots, and as a report."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.core.suite_layout import SuiteLayout
from promptarena.benchmark.leaderboard.frame import tidy
from promptarena.leaderboards import Leaderboard

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from promptarena.benchmark.recording.kept_predictions import KeptPredictions
    from promptarena.benchmark.report.sections import Section

Documents = Callable[[], Sequence[Mapping[str, Any]]]
"""The plans and environments of the runs, read when a report needs them."""


class Results:
    """Finished runs of one suite, and all that is made of them.

    `promptarena.compare` and `promptarena.load_results` make it.

    >>> import promptarena as pa
    >>> found = pa.compare("mini", ["zeroshot"], datasets=["digits"], protocols=["base-to-novel"], quiet=True)
    >>> found.leaderboard().to_frame("digits").columns.tolist()
    ['base_pct', 'novel_pct', 'hm_pct']
    """

    def __init__(
        self,
        layout: SuiteLayout,
        stored: Sequence[StoredResult],
        documents: Documents,
        *,
        title: str = "",
        called: str = "",
        notes: Callable[[], Sequence[str]] = list,
        predictions: "KeptPredictions" = lambda _run_id, _target: (),
        nothing: str = "there are no results",
        where: str = "memory",
    ) -> None:
        """Use finished runs.

        Args:
            layout: The suite's datasets and titles.
            stored: The runs.
            documents: Reads their plans and environments.
            title: The suite's title.
            called: What commands call the suite: its name, or the path of its file.
            notes: Reads lines on runs that are not finished.
            predictions: Reads what was predicted for each test image.
            nothing: What to say where there are no results.
            where: Where they were looked for.
        """
        self._layout = layout
        self._stored = tuple(stored)
        self._documents = documents
        self._title = title
        self._called = called or layout.name
        self._notes = notes
        self._predictions = predictions
        self.nothing = nothing
        self.where = where
        self._made: dict[str, list[Section]] = {}

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

    def plot(
        self,
        name: str,
        protocol: str | None = None,
        reference: str = "",
        *,
        dataset: str = "",
        method: str = "",
        width: float | None = None,
    ) -> "Figure":
        """Draw a plot.

        Args:
            name: "bars", "dots", "cost", "critical-difference", "plane" (base against novel accuracy), "few-shot",
                "average-curve" or "gains" (which needs a reference); from predictions "reliability", "risk-coverage" or
                "confusion" (which needs a dataset of at most 100 classes and a method).
            protocol: As in `leaderboard`.
            reference: The method that "gains" compares the others with.
            dataset: The dataset that a plot made from predictions shows; empty: the average over datasets.
            method: The method of "confusion".
            width: The width in inches, such as 3.3 for one of two columns; None: that of a page.

        Returns:
            The figure.

        Raises:
            UserError: The protocol has no such plot, or no results, the width is none, or the runs keep no predictions.
        """
        from promptarena.benchmark.report.confusions import confusion_of
        from promptarena.benchmark.report.sections import OF_PREDICTIONS

        section = self._section(protocol, reference)
        if name == "confusion":
            return confusion_of(section, self._predictions, dataset, method, width)
        if dataset and dataset not in dict(section.query.datasets):
            raise unknown("dataset with results", dataset, dict(section.query.datasets))
        if name in OF_PREDICTIONS:
            (section,) = self.sections(protocols=[section.protocol], boards=["calibration"])
        drawn = section.drawn([name], dataset=dataset, width=width)
        if name not in drawn:
            raise unknown("plot of these results", name, [*self._section(protocol, reference).drawn(), *OF_PREDICTIONS])
        return drawn[name]

    def report(
        self,
        file: str | Path,
        reference: str = "",
        *,
        protocols: Sequence[str] = (),
        methods: Sequence[str] = (),
        datasets: Sequence[str] = (),
        site: bool = False,
    ) -> Path:
        """Write the report: one HTML file with tables, statistics, plots, provenance and commands.

        Args:
            file: The file to write; with `site`, the folder of a static site, to which the report is added.
            reference: The method that the others are compared with.
            protocols: Only these protocols; empty: all.
            methods: Only these methods; empty: all.
            datasets: Only these datasets; empty: all that have results.
            site: Whether `file` is such a folder.

        Returns:
            The file's path.

        Raises:
            UserError: There are no results, a name is unknown, or the file cannot be written.
        """
        from promptarena.benchmark.report.recorded import page_of

        page = page_of(
            self._layout,
            self._stored,
            self._documents(),
            title=self._title,
            called=self._called,
            notes=self._notes(),
            protocols=protocols,
            methods=methods,
            datasets=datasets,
            reference=reference,
            predictions=self._predictions,
            site=Path(file) if site else None,
        )
        if not site:
            write_atomically(Path(file), page)
        return Path(file)

    def model_cards(
        self,
        folder: str | Path,
        benchmark: str = "",
        *,
        protocols: Sequence[str] = (),
        methods: Sequence[str] = (),
        datasets: Sequence[str] = (),
    ) -> list[Path]:
        """Write a model card for each method, as the Hugging Face Hub takes it.

        Args:
            folder: The folder in which each method gets one.
            benchmark: The id of the Hub's dataset that is the benchmark, such as "owner/name"; with it, the figures are
                also written as `.eval_results/SUITE.yaml`. Empty: they are not.
            protocols: Only these protocols; empty: all that have results.
            methods: Only these methods; empty: all.
            datasets: Only these datasets; empty: all that have results.

        Returns:
            The paths of the cards.

        Raises:
            UserError: There are no results, a name is unknown, or a file cannot be written.
        """
        from promptarena.benchmark.report.hub import write_cards

        found = self.sections(protocols=protocols, methods=methods, datasets=datasets)
        if not found:
            raise UserError(f"{self.nothing} in {self.where}")
        return write_cards(Path(folder), found, benchmark)

    def sections(
        self,
        *,
        protocols: Sequence[str] = (),
        methods: Sequence[str] = (),
        datasets: Sequence[str] = (),
        published: bool = False,
        reference: str = "",
        boards: Sequence[str] = (),
    ) -> "list[Section]":
        """The leaderboards with all that is made of them, as values; those without rows are left out.

        Args:
            protocols: Only these protocols; empty: all that have results.
            methods: Only these methods; empty: all.
            datasets: Only these datasets; empty: all that have results.
            published: Whether the distances to published figures are added.
            reference: The method that the others are compared with.
            boards: Further boards that are made from predictions, such as "calibration".

        Returns:
            A section for each protocol.

        Raises:
            UserError: A name is unknown, runs must not be mixed, or no predictions for a board are kept.
        """
        from promptarena.benchmark.analysis.names import check_boards
        from promptarena.benchmark.published.load import load_published
        from promptarena.benchmark.report.sections import sections_of

        check_boards(boards)
        for dataset in datasets:
            if dataset not in self._layout.titles:
                raise unknown("dataset", dataset, self._layout.titles)
        made = sections_of(
            self._layout,
            self._stored,
            protocols=[protocol_info(protocol).name for protocol in protocols],
            methods=methods,
            datasets=datasets,
            published=load_published() if published else None,
            reference=reference,
            boards=boards,
            predictions=self._predictions,
        )
        labels = {label for section in made for label in section.query.frame["label"]}
        if reference and reference not in labels:
            raise unknown("recorded method to compare with", reference, labels)
        sections = [section for section in made if section.board.tables[0].rows]
        parts = {board.part for section in sections for board in section.analysis if board.tables[0].rows}
        if sections and (empty := [name for name in boards if name not in parts]):
            raise UserError(
                f"no predictions for the board{'s' * (len(empty) > 1)} {', '.join(empty)} are kept; see "
                "docs/predictions.md for what each needs"
            )
        return sections

    def left_out(self, protocols: Sequence[str] = (), methods: Sequence[str] = ()) -> list[str]:
        """A line on each of these protocols with runs of these methods whose datasets have all left the suite."""
        from promptarena.benchmark.report.sections import left_out

        return left_out(self._layout, self._stored, protocols, methods)

    def _section(self, protocol: str | None, reference: str = "") -> "Section":
        sections = {section.protocol: section for section in self._all(reference)}
        if not sections:
            raise UserError(f"{self.nothing} in {self.where}; run pa.compare or promptarena compare")
        if protocol is None:
            return next(iter(sections.values()))
        if protocol not in sections:
            raise unknown("protocol with results", protocol, sections)
        return sections[protocol]

    def _all(self, reference: str = "") -> "list[Section]":
        if reference not in self._made:
            self._made[reference] = self.sections(reference=reference)
        return self._made[reference]
