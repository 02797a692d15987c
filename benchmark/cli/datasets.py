"""The commands below `promptarena datasets`."""

from pathlib import Path
from typing import Annotated

import typer

from promptarena.benchmark.cli.options import Root, SuiteArgument

datasets_app = typer.Typer(help="List, download and verify datasets; use your own images.")


@datasets_app.command("list")
def list_datasets(suite: SuiteArgument = "mini") -> None:
    """The datasets of a suite."""
    from promptarena.benchmark.cli.commands.datasets import print_datasets

    print_datasets(suite)


@datasets_app.command("new")
def new_dataset(
    folder: Annotated[Path, typer.Argument(help="Class folders, or train, val and test with class folders in each.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the two files go.")] = Path(),
    name: Annotated[
        str, typer.Option(help="The dataset's name (default: from the folder's).", show_default=False)
    ] = "",
) -> None:
    """Use your own images: write a card and a suite for a folder of them."""
    from promptarena.benchmark.cli.commands.new_dataset import write_dataset

    write_dataset(folder, out, name)


@datasets_app.command("prepare")
def prepare_datasets(
    names: Annotated[list[str] | None, typer.Argument(help="Datasets (default: all of the suite).")] = None,
    suite: Annotated[str, typer.Option(help="A built-in suite, or the path of a suite's TOML file.")] = "clip-15",
    root: Root = None,
    own_split: Annotated[
        bool, typer.Option("--own-split", help="Make an own split if a dataset's published split is not available.")
    ] = False,
) -> int:
    """Download public datasets, arrange and check them; exit code 2 if one is incomplete.

    After an interruption, the same command continues. An existing folder is used as it is and never written to.
    """
    from promptarena.benchmark.cli.commands.datasets import prepare_datasets

    return prepare_datasets(names or (), suite, root, own_split=own_split)


@datasets_app.command("verify")
def verify_datasets(
    names: Annotated[list[str] | None, typer.Argument(help="Datasets (default: all of the suite).")] = None,
    suite: Annotated[str, typer.Option(help="A built-in suite, or the path of a suite's TOML file.")] = "mini",
    root: Root = None,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Also report images that two splits share, by their pixels.")
    ] = False,
) -> int:
    """Check that datasets are present and complete; exit code 2 if one is not."""
    from promptarena.benchmark.cli.commands.datasets import print_verification

    return print_verification(names or (), suite, root, duplicates=duplicates)
