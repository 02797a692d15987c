"""The commands that use what was learned: predictions of recorded runs, and of any images."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from promptarena.benchmark.cli.options import Plugins, Results, Root, TrackingUri
from promptarena.benchmark.recording.place import RecordPlace

SuiteOption = Annotated[str, typer.Option("--suite", help="A built-in suite, or the path of a suite's TOML file.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")]


def predictions(
    runs: Annotated[
        list[str] | None, typer.Argument(help="Ids of finished runs, or their beginnings; none: all.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the files go.")] = Path("predictions"),
    temperature: Annotated[
        bool, typer.Option("--temperature", help="Score with a temperature fitted on the training images, too.")
    ] = False,
    far: Annotated[bool, typer.Option("--far", help="Score images of the suite's other datasets, too.")] = False,
    confusions: Annotated[
        bool, typer.Option("--confusions", help="Draw a confusion matrix, too, for up to 100 classes.")
    ] = False,
    protocols: Annotated[list[str] | None, typer.Option(help="Only these protocols.", show_default=False)] = None,
    methods: Annotated[list[str] | None, typer.Option(help="Only these methods.", show_default=False)] = None,
    datasets: Annotated[list[str] | None, typer.Option(help="Only runs on these datasets.", show_default=False)] = None,
    suite: SuiteOption = "mini",
    device: Device = "auto",
    plugins: Plugins = None,
    root: Root = None,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> int:
    """Write what finished runs predicted for each test image; runs that did not keep it are scored again first."""
    from promptarena.benchmark.cli.commands.predictions import Choice, Scoring, write_predictions

    scoring = Scoring(suite, device, root, tuple(path.absolute() for path in plugins or ()))
    return write_predictions(
        Choice(runs or (), protocols or (), methods or (), datasets or ()),
        out,
        RecordPlace(results.absolute(), tracking_uri),
        scoring,
        temperature=temperature,
        far=far,
        confusions=confusions,
    )


def predict(
    run: Annotated[str, typer.Argument(help="The id of a finished run, or a learned.safetensors file.")],
    images: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    classes: Annotated[
        Path | None, typer.Option(help="A text file of class names, one a line (default: those of the training).")
    ] = None,
    dataset: Annotated[str, typer.Option(help="Take the class names and the template of this dataset.")] = "",
    as_shown: Annotated[
        bool,
        typer.Option("--as-shown", help="Decode as viewers do: turned as EXIF says, 16 bits scaled, on white."),
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="How many classes to show for each image.")] = 1,
    format: Annotated[Literal["table", "csv", "json", "parquet"], typer.Option(help="Format of the output.")] = "table",
    out: Annotated[Path | None, typer.Option(help="Write to this file instead.", show_default=False)] = None,
    suite: SuiteOption = "mini",
    device: Device = "auto",
    plugins: Plugins = None,
    root: Root = None,
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> int:
    """Classify images with a trained learner. Files that cannot be read are listed, and the others are classified."""
    from promptarena.benchmark.cli.commands.predict import Prediction, print_predictions

    requested = Prediction(
        run, tuple(images), classes, dataset, top, format, out, suite, device, root, tuple(plugins or ()), as_shown
    )
    return print_predictions(requested, RecordPlace(results.absolute(), tracking_uri))
