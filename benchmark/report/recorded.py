"""The report of recorded runs: their tables, their plans and environments, and what of them is not finished."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from promptarena.benchmark.analysis.names import BOARDS
from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.protocol_table import PROTOCOLS, protocol_info
from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.core.suite_layout import SuiteLayout
from promptarena.benchmark.published.load import load_published
from promptarena.benchmark.recording.kept_predictions import KeptPredictions
from promptarena.benchmark.recording.record import Record
from promptarena.benchmark.report.page import report_page
from promptarena.benchmark.report.sections import of_methods
from promptarena.benchmark.report.site import write_site
from promptarena.benchmark.report.sound import sound_sections

Runs = Sequence[Mapping[str, Any]]


def page_of(
    layout: SuiteLayout,
    stored: Sequence[StoredResult],
    runs: Runs,
    *,
    title: str = "",
    called: str = "",
    notes: Sequence[str] = (),
    protocols: Sequence[str] = (),
    methods: Sequence[str] = (),
    datasets: Sequence[str] = (),
    reference: str = "",
    predictions: KeptPredictions = lambda _run_id, _target: (),
    site: Path | None = None,
) -> str:
    """The report of results and of their runs, which are matched by "run_id".

    Needs neither a record nor torch. The arguments are those of `report_page` and of `Results.report`; with `site`, the
    report is added to the site in that folder, too (see `write_site`). Raises UserError for a protocol, method or
    dataset that is not there.
    """
    for protocol in protocols:
        protocol_info(protocol)
    for dataset in datasets:
        if dataset not in layout.titles:
            raise unknown("dataset", dataset, layout.titles)
    chosen = [protocol for protocol in PROTOCOLS if not protocols or protocol in protocols]
    chosen_results = [
        result for result in (of_methods(methods, stored) if methods else stored) if result.protocol in chosen
    ]
    labels = {result.label for result in chosen_results}
    if reference and reference not in labels:
        raise unknown("method to compare with", reference, labels)
    sections, refused = sound_sections(
        layout,
        chosen_results,
        protocols=chosen,
        datasets=datasets,
        reference=reference,
        boards=BOARDS,
        predictions=predictions,
        published=None if any(result.miniature for result in chosen_results) else load_published(),
    )
    ids = {result.run_id for result in chosen_results}
    shown = [run for run in runs if run["run_id"] in ids]
    page = report_page(layout, sections, shown, title=title, called=called, notes=[*notes, *refused])
    if site is not None:
        write_site(site, layout.name, title, page, sections)
    return page


def documents_of(record: Record, stored: Sequence[StoredResult]) -> list[dict[str, Any]]:
    """The runs' plans and environments, as the record keeps them."""
    return [
        _document(record, result.run_id, "config.json")
        | {
            "environment": _document(record, result.run_id, "environment.json"),
            "run_id": result.run_id,
            "run_key": result.run_key,
            "cost": asdict(result.cost),
        }
        for result in stored
    ]


def _document(record: Record, run_id: str, artifact: str) -> dict[str, Any]:
    """A JSON artifact of a run. Raises UserError when it is garbled."""
    try:
        return dict(json.loads(record.content(run_id, artifact)))
    except ValueError as error:
        raise UserError(
            f"{artifact} of run {run_id} is garbled: {error}; delete the run in MLflow to have it run again"
        ) from error


def unfinished_notes(record: Record, suite: str) -> list[str]:
    """A line for each reason why recorded runs of a suite are not in the report."""
    runs = record.index(suite).values()
    failed = Counter(run.error or "no reason is recorded" for run in runs if run.status == "failed")
    running = sum(run.status == "running" for run in runs)
    lines = [f"{count} recorded run{'s' * (count > 1)} failed: {error}" for error, count in failed.items()]
    return lines + ([f"{running} recorded run{'s' * (running > 1)} not finished"] if running else [])
