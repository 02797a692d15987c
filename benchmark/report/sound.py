"""The sections of a report in spite of faulty results: what cannot be shown is left out, and the report says so."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from promptarena.benchmark.analysis.boards import Source
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.protocol_table import PROTOCOLS, Protocol
from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.core.suite_layout import SuiteLayout
from promptarena.benchmark.leaderboard.frame import tidy
from promptarena.benchmark.report.sections import Section, left_out, sections_of

if TYPE_CHECKING:
    import pandas as pd


def sound_sections(
    layout: SuiteLayout,
    results: Sequence[StoredResult],
    *,
    protocols: Sequence[Protocol] = tuple(PROTOCOLS),
    datasets: Sequence[str] = (),
    reference: str = "",
    published: "pd.DataFrame | None" = None,
    boards: Sequence[str] = (),
    predictions: Source = lambda _run_id, _target: (),
) -> tuple[list[Section], list[str]]:
    """Build a section for each protocol that has results.

    Args:
        layout: The suite's datasets and titles.
        results: Recorded results of this suite.
        protocols: The protocols to show, in this order.
        datasets: As in `Selection`.
        reference: As in `Selection`.
        published: As in `Selection`.
        boards: As in `Selection`.
        predictions: As in `Selection`.

    Returns:
        The sections, and lines on what was left out and why. A faulty result is left out; it raises no error.
    """

    def sections(protocol: Protocol, ours: Sequence[StoredResult]) -> list[Section]:
        return sections_of(
            layout,
            ours,
            protocols=[protocol],
            datasets=datasets,
            reference=reference,
            published=published,
            boards=boards,
            predictions=predictions,
        )

    made: list[Section] = []
    refused: list[str] = []
    for protocol in protocols:
        ours = [result for result in results if result.protocol == protocol]
        reasons: list[str] = []
        try:
            made += sections(protocol, ours) if ours else []
        except UserError:
            sound = _sound(ours, reasons)
            try:
                made += sections(protocol, sound) if sound else []
            except UserError as error:
                reasons.append(str(error))
        refused += [f"{protocol}: left out: {reason}" for reason in reasons]
    refused += left_out(layout, results, protocols)
    return [section for section in made if section.board.tables[0].rows], refused


def _sound(results: Sequence[StoredResult], refused: list[str]) -> list[StoredResult]:
    """The results that `tidy` accepts; the reasons for others go to `refused`.

    First each run by itself, then each method: so one faulty run costs neither its method's other runs nor other
    methods.
    """
    sound = _accepted(results, lambda result: result.run_id, refused)
    return _accepted(sound, lambda result: result.label, refused)


def _accepted(
    results: Sequence[StoredResult], name: Callable[[StoredResult], str], refused: list[str]
) -> list[StoredResult]:
    """The results of the groups, by name, that `tidy` accepts by themselves; the reasons for others go to `refused`."""
    groups: dict[str, list[StoredResult]] = {}
    for result in results:
        groups.setdefault(name(result), []).append(result)
    kept = []
    for group in groups.values():
        try:
            tidy(group)
        except UserError as error:
            refused.append(str(error))
        else:
            kept += group
    return kept
