"""The command line: parses, calls, and turns a user's mistake into one line and exit code 2."""

import gc
import importlib.metadata
import os
import signal
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from promptarena.benchmark.cli.datasets import datasets_app
from promptarena.benchmark.cli.heads import heads_app
from promptarena.benchmark.cli.launching import with_launcher_options
from promptarena.benchmark.cli.learned import predict, predictions
from promptarena.benchmark.cli.methods import methods_app
from promptarena.benchmark.cli.options import (
    Datasets,
    Methods,
    Plugins,
    Protocols,
    Results,
    Root,
    Seeds,
    SpacedLists,
    SuiteArgument,
    TrackingUri,
)
from promptarena.benchmark.cli.output import print_plainly_where_needed
from promptarena.benchmark.cli.published import published_app
from promptarena.benchmark.cli.tables import leaderboard, report
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import visible
from promptarena.benchmark.recording.place import RecordPlace
from promptarena.benchmark.running.launchers.registry import Launching

app = typer.Typer(
    help="Compare prompt learners for CLIP: one backbone, five protocols, every figure in MLflow.",
    pretty_exceptions_enable=False,
    epilog="Start here: promptarena compare --seeds 1 --datasets food flags. "
    "With --debug, any command shows the traceback of an error.",
)
app.add_typer(methods_app, name="methods")
app.add_typer(datasets_app, name="datasets")
app.add_typer(published_app, name="published")
app.add_typer(heads_app, name="heads")
app.command(cls=SpacedLists)(predictions)
app.command(cls=SpacedLists)(predict)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"promptarena {importlib.metadata.version('promptarena')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options before any command."""


WrongUsage: Any = typer.BadParameter.__mro__[1]
"""The parser's error class; typer has its own parser or uses click, depending on its version."""


def main() -> NoReturn:
    """Entry point of the console script."""
    print_plainly_where_needed()
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    gc.set_threshold(100_000, 50, 50)  # with the usual thresholds a fourth of the imports' time is garbage collection
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # ignored under nohup
            signal.signal(number, _stop)
    try:
        _require_words(sys.argv)
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False, obj={"debug": debug})
        sys.stdout.flush()
    except WrongUsage as error:
        where = error.ctx.command_path if error.ctx else "promptarena"
        # Typer's own words for a value that is none of the choices.
        reason = error.format_message().replace("Value error, ", "").rstrip(".")
        code = _complain(f"{reason}; see {where} --help")
    except UserError as error:
        if debug:
            raise
        code = _complain(str(error))
    except OSError as error:
        if error.filename:  # a file rather than standard output: whoever opened it should have said so
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise the interpreter complains at exit
        code = 128 + signal.SIGPIPE
        if not isinstance(error, BrokenPipeError):
            code = _complain(f"cannot write to standard output: {error.strerror}")
    sys.exit(code)


def _require_words(words: Sequence[str]) -> None:
    """Refuse empty words: an unset shell variable gives them, and they would stand for every method or dataset.

    Args:
        words: The command and its arguments.

    Raises:
        UserError: A word is empty, or a list has an empty place.
    """
    for before, word in pairwise(words):
        if not word.strip() or (word.startswith("--") and word.partition("=")[1:] == ("=", "")):
            where = word if word.strip() else before
            raise UserError(
                f"nothing is given after {where!r}; is a shell variable unset? Leave an option out to have its default"
            )


def _complain(message: str) -> int:
    typer.secho(f"promptarena: {visible(' '.join(message.split()))}", fg="red", err=True)
    return 2


def _stop(number: int, frame: object) -> NoReturn:
    """Let every `finally` run, so that workers end and terminals are restored."""
    sys.exit(128 + number)


@app.command(cls=SpacedLists)
@with_launcher_options
def compare(
    launching: Launching,
    suite: SuiteArgument = "mini",
    methods: Methods = None,
    protocols: Protocols = None,
    datasets: Datasets = None,
    seeds: Seeds = None,
    shots: Annotated[list[int] | None, typer.Option(help="Training images per class.", show_default=False)] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting: METHOD.NAME=VALUE or METHOD.recipe.NAME=VALUE.")
    ] = None,
    ablations: Annotated[
        list[str] | None,
        typer.Option("--ablate", help="Also run these ablations of the methods, by name, or all."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(help="Score at most this many test images of each dataset, to try a comparison out."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would run, and for how long; run nothing.")] = False,
    format: Annotated[Literal["text", "json"], typer.Option(help="How --plan prints it.")] = "text",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")] = False,
    device: Annotated[str, typer.Option(help="auto (every GPU, or the CPU), cpu, cuda, cuda:1, ...")] = "auto",
    precision: Annotated[Literal["fp32", "bf16", "fp16"], typer.Option(help="Mixed precision below fp32.")] = "fp32",
    seeds_together: Annotated[
        bool,
        typer.Option(
            "--seeds-together",
            help="Train the seeds of a method as one computation if it allows that.",
        ),
    ] = False,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the model's blocks with torch.compile; for GPUs.")
    ] = False,
    cuda_graphs: Annotated[
        Literal["auto", "off"],
        typer.Option(help="auto: on a GPU, a training step is recorded once and then started as one launch."),
    ] = "auto",
    augment_on_device: Annotated[
        bool,
        typer.Option(
            "--augment-on-device",
            help="Resize random crops on the device, not by Pillow; such runs are labelled, for their pixels differ.",
        ),
    ] = False,
    no_predictions: Annotated[
        bool, typer.Option("--no-predictions", help="Keep the scores only, not what is predicted for each image.")
    ] = False,
    plugins: Plugins = None,
    root: Root = None,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> int:
    """Run the missing runs of a comparison, then say who is best.

    After an interruption, the same command continues where it stopped. Lists are given as `--seeds 1 2 3`; name the
    suite before them.
    """
    from promptarena.benchmark.planning.request import Request
    from promptarena.benchmark.planning.suites import limited, load_suite

    suite = limited(suite, limit)
    request = Request(
        methods=methods or (),
        protocols=protocols or (),
        datasets=datasets or (),
        seeds=seeds or (),
        shots=shots or (),
        settings=settings or (),
        ablations=ablations or (),
        augment_on_device=augment_on_device,
    )
    request.check_names(load_suite(suite), plugins or ())  # before the imports below, which take seconds
    if format != "text" and not plan:
        raise UserError("--format is for --plan; tables are printed by: promptarena leaderboard --format")
    if quiet and (json or plan):
        raise UserError("--quiet prints nothing; leave it out, or leave out --json and --plan")
    from promptarena.benchmark.cli.commands.compare import print_failures, run_compare
    from promptarena.benchmark.cli.commands.planned import show_plan
    from promptarena.benchmark.inputs.array_cache import default_cache_folder
    from promptarena.benchmark.running.execution import ExecutionConfig

    execution = ExecutionConfig(
        suite=suite,
        results=results.absolute(),
        cache=default_cache_folder(),
        data_root=root,
        plugins=tuple(path.absolute() for path in plugins or ()),
        device=device,
        precision=precision,
        seeds_together=seeds_together,
        cuda_graphs=cuda_graphs == "auto",
        compile_backend=_compiler(device, seeds_together) if compiled and not plan else "",
        predictions=not no_predictions,
    )
    place = RecordPlace(results.absolute(), tracking_uri)
    launch = launching.made_when_needed(execution)
    if plan:
        failed = show_plan(request, execution, place, launch, as_json=json or format == "json")
        return print_failures([], failed)
    return run_compare(request, execution, place, launch, "json" if json else "nothing" if quiet else "progress")


def _compiler(device: str, seeds_together: bool) -> str:
    from promptarena.benchmark.backbone.loading import compiler_for

    return compiler_for(device, seeds_together)


app.command(cls=SpacedLists)(leaderboard)
app.command(cls=SpacedLists)(report)


@app.command("export")
def export_runs(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the files go; only new runs are added.")],
    suite: SuiteArgument = "mini",
    with_learners: Annotated[bool, typer.Option("--with-learners", help="Also the trained tensors.")] = False,
    no_predictions: Annotated[
        bool, typer.Option("--no-predictions", help="The scores only, not what was predicted for each image.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; verify what is in the folder.")] = False,
    learner: Annotated[
        str, typer.Option(metavar="RUN", help="Only the learner of this run, with a card for the Hugging Face Hub.")
    ] = "",
    plugins: Plugins = None,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Write the finished runs of a suite as plain files."""
    from promptarena.benchmark.cli.commands.export import check_export, export_record

    if learner:
        if check or with_learners or no_predictions:
            raise UserError(
                "--learner writes one learner and its card; leave out --check, --with-learners and --no-predictions"
            )
        from promptarena.sharing import export_learner

        path = export_learner(
            learner, out, suite=suite, results=results, tracking_uri=tracking_uri, plugins=plugins or ()
        )
        typer.echo(f"The learner and its card are in {path.parent}.")
        return
    if check:
        check_export(out)
        return
    place = RecordPlace(results.absolute(), tracking_uri)
    export_record(suite, out, place, with_learners=with_learners, predictions=not no_predictions)


@app.command("import")
def import_runs(
    folders: Annotated[list[Path], typer.Argument(help="Folders of exported runs.")],
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Add exported runs to the record; runs that it already has are not changed."""
    from promptarena.benchmark.cli.commands.export import import_exports

    import_exports(folders, RecordPlace(results.absolute(), tracking_uri))


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> int:
    """Open MLflow's own user interface on the record."""
    from promptarena.benchmark.cli.commands.ui import serve_ui

    return serve_ui(RecordPlace(results.absolute(), tracking_uri), port)


if __name__ == "__main__":
    main()
