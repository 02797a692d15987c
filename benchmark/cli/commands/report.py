"""What `promptarena report` does: read what is recorded, and write it as one HTML file."""

from collections.abc import Sequence
from pathlib import Path

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording.record import RecordPlace
from promptarena.loading import recorded_results


def write_report(
    suite: str,
    out: Path,
    place: RecordPlace,
    *,
    protocols: Sequence[str] = (),
    methods: Sequence[str] = (),
    datasets: Sequence[str] = (),
    reference: str = "",
    publish: Path | None = None,
) -> None:
    """Write the report of what is recorded to the file `out`, or add it to the site `publish`; print where it is.

    `protocols`, `methods` and `datasets` narrow it down, `reference` is the method to compare the others with. Raises
    UserError when nothing is recorded.
    """
    found = recorded_results(place, suite)
    if not len(found):
        raise UserError(f"{found.nothing} in {found.where}; run: promptarena compare")
    written = found.report(
        publish or out,
        reference,
        protocols=protocols,
        methods=methods,
        datasets=datasets,
        site=publish is not None,
    )
    print(f"The site's first page is {written / 'index.html'}" if publish else f"The report is in {written}")
