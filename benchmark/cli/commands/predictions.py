"""What the command predictions does and prints."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from promptarena.benchmark.analysis.confusions import confusion_shares
from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.cli.commands.board_output import check_protocols
from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.predictions import Predictions, from_parquet
from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plots.confusion import MOST_CLASSES, confusion
from promptarena.benchmark.plots.style import save
from promptarena.benchmark.recording.predictions import file_name
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.report.sections import of_methods


@dataclass(frozen=True)
class Scoring:
    """How runs that keep no predictions are scored again; the fields are those of `ExecutionConfig`."""

    suite: str
    device: str = "auto"
    data_root: Path | None = None
    plugins: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Choice:
    """Which finished runs of a suite are meant: all that agree with every list that is not empty. `runs` are ids of
    runs, or their beginnings; `methods` are names, labels or families."""

    runs: Sequence[str] = ()
    protocols: Sequence[str] = ()
    methods: Sequence[str] = ()
    datasets: Sequence[str] = ()


def write_predictions(
    choice: Choice,
    out: Path,
    place: RecordPlace,
    scoring: Scoring,
    *,
    temperature: bool = False,
    far: bool = False,
    confusions: bool = False,
) -> int:
    """Write the predictions of finished runs to `out`, a folder for each run; those that keep none are scored first.

    `temperature` and `far` are as in `Further`; what a run lacks of them is made from its kept learner and joins the
    record. With `confusions`, a confusion matrix is drawn beside each file. Returns the exit code: 2 if a run cannot be
    scored again, which is printed.
    """
    suite = load_suite(scoring.suite)
    check_protocols(choice.protocols)
    for dataset in choice.datasets:
        suite.card(dataset)
    record = Record.open_existing(place)
    chosen = _chosen(choice, record.results(suite.name), suite.name)
    lacking = [result for result in chosen if result.scores and not result.predictions]
    scored = [result for result in chosen if result.scores] if temperature or far else lacking
    failed = _scored_again(scored, place, scoring, temperature=temperature, far=far) if scored else []
    written, undrawn = 0, 0
    for result in record.results(suite.name, [each.run_key for each in chosen]):
        for target in result.predictions:
            name = file_name(target)
            content = record.content(result.run_id, name)
            path = out / result.run_id / Path(name).name
            write_atomically(path, content)
            written += 1
            if confusions and not draw_confusions(result, from_parquet(content, name)[0], path):
                undrawn += 1
    for line in failed:
        terminal.console(stderr=True).print(f"promptarena: {line}")
    if undrawn:
        terminal.console(stderr=True).print(
            f"{undrawn} targets have more than {MOST_CLASSES} classes: no matrix drawn."
        )
    terminal.console().print(f"{written} files of {len(chosen)} runs are in {out}.")
    return 2 if failed else 0


def draw_confusions(result: StoredResult, found: Predictions, beside: Path) -> bool:
    """Draw the confusion matrix of a run beside the file of its predictions; False where it has too many classes."""
    if len(found.classes) > MOST_CLASSES:
        return False
    seed = "" if result.seed is None else f", seed {result.seed}"
    text = f"{result.label}: {result.protocol}, {found.target.dataset} ({found.target.subset}){seed}"
    figure = confusion({"": (found.classes, confusion_shares(found))}, text, miniature=result.miniature)
    save(figure, beside.parent, f"{beside.stem}-confusion")
    return True


def _chosen(choice: Choice, stored: Sequence[StoredResult], suite: str) -> list[StoredResult]:
    if not stored:
        raise UserError(
            f"nothing is recorded for suite {suite}; name its suite with --suite, or run: promptarena compare"
        )
    for name in choice.runs:
        if not any(result.run_id.startswith(name) for result in stored):
            raise unknown(f"finished run of suite {suite}", name, [result.run_id for result in stored])
    chosen = [
        result
        for result in (of_methods(choice.methods, stored) if choice.methods else stored)
        if (not choice.runs or result.run_id.startswith(tuple(choice.runs)))
        and (not choice.protocols or result.protocol in choice.protocols)
        and (not choice.datasets or result.dataset in choice.datasets)
    ]
    if not chosen:
        raise UserError(
            "no finished run has all of this at once; leave out some of the runs, protocols, methods or datasets"
        )
    return chosen


def _scored_again(
    lacking: Sequence[StoredResult], place: RecordPlace, scoring: Scoring, *, temperature: bool, far: bool
) -> list[str]:
    """Add the predictions that runs lack. Returns a line for each that cannot be scored again."""
    from promptarena.benchmark.inputs.array_cache import default_cache_folder
    from promptarena.benchmark.running.execution import ExecutionConfig
    from promptarena.benchmark.running.further import Further
    from promptarena.benchmark.running.rescoring import add_further, add_predictions
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
            if not result.predictions:
                add_predictions(record, result, runner, execution)
            added = add_further(record, result, runner, execution, Further(temperature, far))
        except UserError as error:
            failed.append(str(error))
            continue
        if added or not result.predictions:
            console.print(f"[{number}/{len(lacking)}] {result.label} {result.protocol} {result.dataset}: scored again")
    return failed
