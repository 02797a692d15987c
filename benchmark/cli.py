"""The command line: parses, calls, and turns a user's mistake into one line and exit code 2."""

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from promptarena.benchmark.errors import UserError
from promptarena.benchmark.spaced import SpacedLists

app = typer.Typer(
    help="Compare prompt learners for CLIP: one backbone, three protocols, every figure in MLflow.",
    pretty_exceptions_enable=False,
    add_completion=False,
    epilog="Start here: promptarena compare --seeds 1 --datasets food flags. "
    "With --debug, any command shows the traceback of an error.",
)
methods_app = typer.Typer(help="The prompt learners that can be compared.")
datasets_app = typer.Typer(help="The datasets: what they are, getting them, and whether they are whole.")
app.add_typer(methods_app, name="methods")
app.add_typer(datasets_app, name="datasets")
published_app = typer.Typer(help="The figures that papers print, with their sources.")
app.add_typer(published_app, name="published")
heads_app = typer.Typer(help="What the attention heads of a backbone are for.")
app.add_typer(heads_app, name="heads")

SuiteArgument = Annotated[str, typer.Argument(help="A built-in suite, or the path of a suite's TOML file.")]
Results = Annotated[Path, typer.Option(help="Folder of the record, its artifacts and unfinished trainings.")]
TrackingUri = Annotated[
    str | None, typer.Option(help="Record to this MLflow store instead (also MLFLOW_TRACKING_URI).", show_default=False)
]
Root = Annotated[
    Path | None, typer.Option(envvar="PROMPTARENA_DATA", help="Folder of the public datasets.", show_default=False)
]
Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help="Python files with further methods.")]
Methods = Annotated[
    list[str] | None, typer.Option(help="Methods by name, or all (default: the suite's).", show_default=False)
]
Protocols = Annotated[
    list[str] | None,
    typer.Option(
        help="base-to-novel, cross-dataset, domain-generalization, few-shot (default: the suite's).", show_default=False
    ),
]
Datasets = Annotated[list[str] | None, typer.Option(help="Datasets (default: the suite's).", show_default=False)]
Seeds = Annotated[list[int] | None, typer.Option(help="Seeds (default: the suite's).", show_default=False)]


WrongUsage: Any = typer.BadParameter.__mro__[1]
"""The parser's error class; typer brings a parser of its own or uses click, depending on its version."""


def main() -> NoReturn:
    """Entry point of the console script."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    gc.set_threshold(100_000, 50, 50)  # as usual, a fourth of the imports' time would go into searching for garbage
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        sys.stdout.flush()
    except WrongUsage as error:
        where = error.ctx.command_path if error.ctx else "promptarena"
        code = _complain(f"{error.format_message().rstrip('.')}; see {where} --help")
    except UserError as error:
        if debug:
            raise
        code = _complain(str(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it ends
        code = 128 + signal.SIGPIPE
    sys.exit(code)


def _complain(message: str) -> int:
    typer.secho(f"promptarena: {' '.join(message.split())}", fg="red", err=True)
    return 2


def _stop(number: int, frame: object) -> NoReturn:
    """Let every `finally` run, so that workers end and terminals are restored."""
    sys.exit(128 + number)


@app.command(cls=SpacedLists)
def compare(
    suite: SuiteArgument = "mini",
    methods: Methods = None,
    protocols: Protocols = None,
    datasets: Datasets = None,
    seeds: Seeds = None,
    shots: Annotated[list[int] | None, typer.Option(help="Training images per class.", show_default=False)] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="METHOD.NAME=VALUE or METHOD.recipe.NAME=VALUE.")
    ] = None,
    ablations: Annotated[
        list[str] | None,
        typer.Option("--ablate", help="Also run methods without these of their parts, by name, or all."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would run, and for how long; run nothing.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at the same time (default: one per core).")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    precision: Annotated[Literal["fp32", "bf16", "fp16"], typer.Option(help="Mixed precision below fp32.")] = "fp32",
    seeds_together: Annotated[
        bool,
        typer.Option(
            "--seeds-together",
            help="Train the seeds of a method as one computation where it allows.",
        ),
    ] = False,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the model's blocks with torch.compile; for GPUs.")
    ] = False,
    plugins: Plugins = None,
    root: Root = None,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> int:
    """Run what the record lacks of a comparison, then print its leaderboards.

    Interrupted at any moment, the same command goes on where it stood. Lists are given as `--seeds 1 2 3`; name the
    suite before them.
    """
    from promptarena.benchmark.cache import default_cache_folder
    from promptarena.benchmark.commands import run_compare
    from promptarena.benchmark.comparison import Request
    from promptarena.benchmark.execution import Workplace
    from promptarena.benchmark.weights import compiler_for

    request = Request(
        methods=methods or (),
        protocols=protocols or (),
        datasets=datasets or (),
        seeds=seeds or (),
        shots=shots or (),
        settings=settings or (),
        ablations=ablations or (),
    )
    workplace = Workplace(
        suite=suite,
        results=results.absolute(),
        cache=default_cache_folder(),
        data_root=root,
        plugins=tuple(path.absolute() for path in plugins or ()),
        device=device,
        precision=precision,
        seeds_together=seeds_together,
        compiler=compiler_for(device, seeds_together) if compiled and not plan else "",
    )
    return run_compare(request, workplace, tracking_uri, workers or default_workers(), plan_only=plan)


@app.command(cls=SpacedLists)
def leaderboard(
    suite: SuiteArgument = "mini",
    protocols: Protocols = None,
    methods: Annotated[list[str] | None, typer.Option(help="Only these methods.", show_default=False)] = None,
    datasets: Datasets = None,
    published: Annotated[
        bool, typer.Option("--published", help="Also show the distances to published figures.")
    ] = False,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="Show ranks and comparisons in full, not in a few lines.")
    ] = False,
    reference: Annotated[str, typer.Option(help="The method that statistics compare the others with.")] = "",
    format: Annotated[
        Literal["rich", "md", "latex", "html", "csv", "json"], typer.Option(help="Layout of the tables.")
    ] = "rich",
    out: Annotated[Path | None, typer.Option(help="Write to this file instead.", show_default=False)] = None,
    exports: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Exported runs to show instead of the record's.", show_default=False),
    ] = None,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Print the leaderboards of everything recorded for a suite."""
    if exports:
        from promptarena.benchmark.export_commands import leaderboard_from

        chosen = (suite, protocols or (), methods or (), datasets or (), published, format, out)
        leaderboard_from(exports, *chosen, in_full=statistics, reference=reference)
        return
    from promptarena.benchmark.commands import show_leaderboard

    chosen = (suite, protocols or (), methods or (), datasets or (), published, format, out)
    show_leaderboard(*chosen, results.absolute(), tracking_uri, in_full=statistics, reference=reference)


@app.command(cls=SpacedLists)
def report(
    suite: SuiteArgument = "mini",
    out: Annotated[Path, typer.Option(metavar="FILE.html", help="The report's file.")] = Path("report.html"),
    protocols: Protocols = None,
    methods: Annotated[list[str] | None, typer.Option(help="Only these methods.", show_default=False)] = None,
    datasets: Datasets = None,
    reference: Annotated[str, typer.Option(help="The method that others are compared with.")] = "",
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Write everything recorded for a suite as one HTML file: tables, statistics, figures, provenance, commands."""
    from promptarena.benchmark.report_commands import write_report

    write_report(
        suite,
        out,
        results.absolute(),
        tracking_uri,
        protocols=protocols or (),
        methods=methods or (),
        datasets=datasets or (),
        reference=reference,
    )


@app.command("export")
def export_runs(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the files go; only new runs are added.")],
    suite: SuiteArgument = "mini",
    with_learners: Annotated[bool, typer.Option("--with-learners", help="Also the trained tensors.")] = False,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Write the finished runs of a suite as plain files."""
    from promptarena.benchmark.export_commands import export_record

    export_record(suite, out, results.absolute(), tracking_uri, with_learners=with_learners)


@app.command("import")
def import_runs(
    folders: Annotated[list[Path], typer.Argument(help="Folders of exported runs.")],
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Add exported runs to the record; what it has already is left alone."""
    from promptarena.benchmark.export_commands import import_exports

    import_exports(folders, results.absolute(), tracking_uri)


@published_app.command("list")
def list_published() -> None:
    """All methods with published figures."""
    from promptarena.benchmark.published_commands import print_published_list

    print_published_list()


@published_app.command("show")
def show_published(method: str) -> None:
    """A method's published figures and where they were read."""
    from promptarena.benchmark.published_commands import print_published

    print_published(method)


@methods_app.command("list")
def list_methods(
    plugins: Plugins = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="open_clip's name of the CLIP to count parameters on (default: mini's).", show_default=False),
    ] = None,
) -> None:
    """All methods: built-in, of installed packages, and of the files given."""
    from promptarena.benchmark.method_commands import print_methods

    print_methods(plugins or (), backbone)


@methods_app.command("show")
def show_method(name: str, plugins: Plugins = None) -> None:
    """A method's paper, settings and recipes."""
    from promptarena.benchmark.method_commands import print_method

    print_method(name, plugins or ())


@methods_app.command("check")
def check_methods(
    names: Annotated[list[str], typer.Argument(help="Methods by name, Python files with methods, or all.")],
    plugins: Plugins = None,
) -> int:
    """Hold methods to the contract; exit code 1 when one breaks a rule."""
    from promptarena.benchmark.method_commands import check_methods

    return check_methods(names, plugins or ())


@methods_app.command("new")
def new_method(
    name: Annotated[str, typer.Argument(help="Letters, digits, - or _.")],
    folder: Annotated[Path, typer.Option(help="Where its files go.")] = Path(),
) -> None:
    """Begin a method: write a plugin that works and its test."""
    from promptarena.benchmark.method_commands import begin_method

    begin_method(name, folder)


@datasets_app.command("list")
def list_datasets(suite: SuiteArgument = "mini") -> None:
    """The datasets of a suite."""
    from promptarena.benchmark.dataset_commands import print_datasets

    print_datasets(suite)


@datasets_app.command("prepare")
def prepare_datasets(
    names: Annotated[list[str] | None, typer.Argument(help="Datasets (default: all of the suite).")] = None,
    suite: Annotated[str, typer.Option(help="A built-in suite, or the path of a suite's TOML file.")] = "clip-15",
    root: Root = None,
    own_split: Annotated[
        bool, typer.Option("--own-split", help="Divide a dataset here where its published split cannot be had.")
    ] = False,
) -> int:
    """Fetch public datasets, lay them out and check them; exit code 2 when one is incomplete.

    Interrupted at any moment, the same command goes on. A folder that is there is used as it is and never written into.
    """
    from promptarena.benchmark.dataset_commands import prepare_datasets

    return prepare_datasets(names or (), suite, root, own_split=own_split)


@datasets_app.command("verify")
def verify_datasets(
    names: Annotated[list[str] | None, typer.Argument(help="Datasets (default: all of the suite).")] = None,
    suite: Annotated[str, typer.Option(help="A built-in suite, or the path of a suite's TOML file.")] = "mini",
    root: Root = None,
) -> int:
    """Check that datasets are present and whole; exit code 2 when one is not."""
    from promptarena.benchmark.dataset_commands import print_verification

    return print_verification(names or (), suite, root)


@heads_app.command("diagnose")
def diagnose_heads(
    suite: SuiteArgument = "mini",
    layers: Annotated[
        str | None, typer.Option(help="Layers from 1, such as 9-12 (default: the last four).", show_default=False)
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            metavar="DATASET|FOLDER", help="Pictures (default: the suite's training splits).", show_default=False
        ),
    ] = None,
    max_images: Annotated[int, typer.Option(min=2, help="Take at most so many pictures, evenly.")] = 5000,
    pool: Annotated[
        Path | None, typer.Option(help="Descriptions, one a line (default: the shipped ones).", show_default=False)
    ] = None,
    texts_per_head: Annotated[int, typer.Option(min=1, help="Descriptions chosen for each head.")] = 20,
    concepts: Annotated[int, typer.Option(min=2, help="Concepts wanted.")] = 12,
    encoder: Annotated[str, typer.Option(help="A sentence-transformers model: name or folder.")] = "all-MiniLM-L6-v2",
    out: Annotated[
        Path | None, typer.Option(help="The role table's file (default: RESULTS/heads/SUITE.json).", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads; the same number gives the same table.")] = 1,
    root: Root = None,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Give every attention head of the last layers a role, by the texts that describe what it contributes."""
    from promptarena.benchmark.heads.head_commands import Request, run_diagnosis

    request = Request(
        suite=suite,
        layers=layers,
        images=images,
        largest=max_images,
        pool=pool,
        texts_per_head=texts_per_head,
        concepts=concepts,
        encoder=encoder,
        out=out,
        device=device,
        threads=threads,
        root=root,
    )
    run_diagnosis(request, results.absolute(), tracking_uri)


@heads_app.command("retrieve")
def retrieve_by_attribute(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id in the record, or a learned.safetensors file.")],
    folder: Annotated[Path, typer.Option(metavar="PICTURES", help="Folder of the pictures to rank.")],
    query: Annotated[Path, typer.Option(metavar="IMAGE", help="The picture to find others like.")],
    attribute: Annotated[
        Literal["colour", "shape", "texture", "object", "position"], typer.Option(help="In which respect.")
    ],
    top: Annotated[int, typer.Option(min=1, max=20, help="How many pictures are shown.")] = 8,
    suite: Annotated[str, typer.Option(help="The suite whose backbone the run was trained on.")] = "mini",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="The figure's file; an SVG goes beside it (default: RESULTS/heads/IMAGE-ATTRIBUTE.png).",
            show_default=False,
        ),
    ] = None,
    plugins: Plugins = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Rank pictures by one attribute's feature of a trained DeAR, and by plain CLIP for comparison."""
    from promptarena.benchmark.heads.head_commands import Search, run_retrieval

    search = Search(
        run=run,
        folder=folder,
        query=query,
        attribute=attribute,
        top=top,
        suite=suite,
        out=out,
        plugins=tuple(plugins or ()),
        device=device,
        threads=threads,
    )
    run_retrieval(search, results.absolute(), tracking_uri)


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> int:
    """Open MLflow's own user interface on the record."""
    from promptarena.benchmark.commands import serve_ui

    return serve_ui(results.absolute(), tracking_uri, port)


def default_workers() -> int:
    """One run per GPU, or per CPU core this process may use."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return 1
    return len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else psutil.cpu_count() or 1


if __name__ == "__main__":
    main()
