"""The commands below `promptarena methods`."""

from pathlib import Path
from typing import Annotated

import typer

from promptarena.benchmark.cli.options import Plugins, Results, TrackingUri

methods_app = typer.Typer(help="The prompt learners that can be compared.")


@methods_app.command("list")
def list_methods(
    plugins: Plugins = None,
    backbone: Annotated[
        str | None,
        typer.Option(help="open_clip's name of the CLIP to count parameters on (default: mini's).", show_default=False),
    ] = None,
) -> None:
    """All methods: built-in, of installed packages, and of the files given."""
    from promptarena.benchmark.cli.commands.methods import print_methods

    print_methods(plugins or (), backbone)


@methods_app.command("show")
def show_method(name: str, plugins: Plugins = None) -> None:
    """A method's paper, settings and recipes."""
    from promptarena.benchmark.cli.commands.methods import print_method

    print_method(name, plugins or ())


@methods_app.command("inspect")
def inspect_run(
    run: Annotated[str, typer.Argument(help="The id of a finished run, or a learned.safetensors file.")],
    top: Annotated[int, typer.Option(min=1, help="How many words to show for each vector.")] = 3,
    suite: Annotated[str, typer.Option("--suite", help="The suite that it was trained in.")] = "mini",
    results: Results = Path("results"),
    tracking_uri: TrackingUri = None,
) -> None:
    """The words of CLIP's vocabulary that are closest to a run's learned context vectors."""
    from promptarena.benchmark.cli.commands.methods import print_words

    print_words(run, top, suite, results, tracking_uri)


@methods_app.command("check")
def check_methods(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(help="Methods by name, Python files with methods, or all.")],
    plugins: Plugins = None,
) -> int:
    """Check methods against the contract; exit code 1 if one breaks a rule."""
    from promptarena.benchmark.cli.commands.methods import check_methods

    return check_methods(names, plugins or (), debug=bool(context.obj and context.obj["debug"]))


@methods_app.command("new")
def new_method(
    name: Annotated[str, typer.Argument(help="Letters, digits, - or _.")],
    folder: Annotated[Path, typer.Option(help="Where its files go.")] = Path(),
    vision: Annotated[bool, typer.Option("--vision", help="Begin with learned tokens in the image tower.")] = False,
) -> None:
    """Start a new method: write a working plugin and its test."""
    from promptarena.benchmark.cli.commands.methods import begin_method

    begin_method(name, folder, vision=vision)
