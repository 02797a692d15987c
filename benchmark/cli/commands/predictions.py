"""What the command predictions does and prints."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.recording.predictions import file_name
from promptarena.benchmark.recording.record import Record, RecordPlace


@dataclass(frozen=True)
class Scoring:
    """How runs that keep no predictions are scored again; the fields are those of `ExecutionConfig`."""

    suite: str
    device: str = "auto"
    data_root: Path | None = None
    plugins: tuple[Path, ...] = ()


def write_predictions(runs: Sequence[str], out: Path, place: RecordPlace, scoring: Scoring) -> int:
    """Write the predictions of finished runs to `out`, a folder for each run; those that keep none are scored first.

    `runs` are ids of runs, or their beginnings; none: all of the suite. Returns the exit code: 2 if a run cannot be
    scored again, which is printed.
    """
    suite = load_suite(scoring.suite)
    record = Record.open_existing(place)
    stored = record.results(suite.name)
    chosen = _chosen(runs, stored, suite.name)
    lacking = [result for result in chosen if result.scores and not result.predictions]
    failed = _scored_again(lacking, place, scoring) if lacking else []
    written = 0
    for result in record.results(suite.name, [each.run_key for each in chosen]):
        for target in result.predictions:
            name = file_name(target)
            write_atomically(out / result.run_id / Path(name).name, record.content(result.run_id, name))
            written += 1
    for line in failed:
        terminal.console(stderr=True).print(f"promptarena: {line}")
    terminal.console().print(f"{written} files of {len(chosen)} runs are in {out}.")
    return 2 if failed else 0


def _chosen(runs: Sequence[str], stored: Sequence[StoredResult], suite: str) -> list[StoredResult]:
    if not stored:
        raise UserError(
            f"nothing is recorded for suite {suite}; name its suite with --suite, or run: promptarena compare"
        )
    for name in runs:
        if not any(result.run_id.startswith(name) for result in stored):
            raise unknown(f"finished run of suite {suite}", name, [result.run_id for result in stored])
    return [result for result in stored if not runs or any(result.run_id.startswith(name) for name in runs)]


def _scored_again(lacking: Sequence[StoredResult], place: RecordPlace, scoring: Scoring) -> list[str]:
    """Add predictions to runs that keep none. Returns a line for each that cannot be scored again."""
    from promptarena.benchmark.inputs.array_cache import default_cache_folder
    from promptarena.benchmark.running.execution import ExecutionConfig
    from promptarena.benchmark.running.rescoring import add_predictions
    from promptarena.benchmark.running.runner import Runner

    console, record = terminal.console(), Record.open(place)
    execution = ExecutionConfig(
        scoring.suite,
        place.results,
        default_cache_folder(),
        data_root=scoring.data_root,
        plugins=scoring.plugins,
        device=scoring.device,
    )
    runner, failed = Runner(execution), []
    for number, result in enumerate(lacking, start=1):
        try:
            add_predictions(record, result, runner, execution)
        except UserError as error:
            failed.append(str(error))
            continue
        console.print(f"[{number}/{len(lacking)}] {result.label} {result.protocol} {result.dataset}: scored again")
    return failed
