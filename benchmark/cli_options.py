"""Options and arguments that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

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
