"""What `promptarena report` does: read what is recorded or exported, and write it in the requested form."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording.record import RecordPlace
from promptarena.loading import exported_results, recorded_results
from promptarena.outcomes import Results


class Shown(TypedDict):
    """What of the results to show; empty: everything."""

    protocols: Sequence[str]
    methods: Sequence[str]
    datasets: Sequence[str]


def results_of(suite: str, exports: Sequence[Path], place: RecordPlace) -> Results:
    """The results of a suite in exports or, without these, in the record. Raises UserError when there are none."""
    found = exported_results(exports, suite) if exports else recorded_results(place, suite)
    if not len(found):
        raise UserError(f"{found.nothing} in {found.where}; run: promptarena compare")
    return found


def write_report(found: Results, out: Path, shown: Shown, reference: str) -> None:
    """Write the report to the file `out` and print where it is. `reference` is what the others are compared with."""
    print(f"The report is in {found.report(out, reference, **shown)}")


def publish_report(found: Results, site: Path, shown: Shown, reference: str) -> None:
    """Add the report to a static site and print where its first page is."""
    print(f"The site's first page is {found.report(site, reference, **shown, site=True) / 'index.html'}")


def write_model_cards(found: Results, folder: Path, shown: Shown, benchmark: str) -> None:
    """Write a model card for each method and print where they are."""
    cards = found.model_cards(folder, benchmark, **shown)
    print(f"{len(cards)} model card{'s are' if len(cards) > 1 else ' is'} in {folder}")
