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
) -> None:
    """Write the report of what is recorded to the file `out` and print where it is.

    `protocols`, `methods` and `datasets` narrow it down, `reference` is the method to compare the others with. Raises
    UserError when nothing is recorded.
    """
    found = recorded_results(place, suite)
    if not len(found):
        raise UserError(f"{found.nothing} in {found.where}; run: promptarena compare")
    found.report(out, reference, protocols=protocols, methods=methods, datasets=datasets)
    print(f"The report is in {out}")
