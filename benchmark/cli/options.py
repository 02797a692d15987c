"""Options and arguments that several commands have."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.protocol_table import PROTOCOLS
from promptarena.benchmark.leaderboard.formats.registry import format_names

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[format_names()]
"""The name of a table format; the option offers the formats that the registry finds."""
SuiteArgument = Annotated[
    str, typer.Argument(help="A built-in suite, or the path of a suite's TOML file; with @N, its runs of --limit N.")
]
Results = Annotated[Path, typer.Option(help="Folder of the record, its artifacts and unfinished trainings.")]
TrackingUri = Annotated[
    str | None, typer.Option(help="Record to this MLflow store instead (also MLFLOW_TRACKING_URI).", show_default=False)
]
Root = Annotated[
    Path | None, typer.Option(envvar="PROMPTARENA_DATA", help="Folder of the public datasets.", show_default=False)
]
Plugins = Annotated[list[Path] | None, typer.Option("--plugin", help="Python files with additional methods.")]
Methods = Annotated[
    list[str] | None,
    typer.Option(help="Methods or families by name, or all (default: the suite's).", show_default=False),
]
Protocols = Annotated[
    list[str] | None,
    typer.Option(help=f"{', '.join(PROTOCOLS)} (default: the suite's).", show_default=False),
]
Datasets = Annotated[list[str] | None, typer.Option(help="Datasets (default: the suite's).", show_default=False)]
Seeds = Annotated[list[int] | None, typer.Option(help="Seeds (default: the suite's).", show_default=False)]


class SpacedLists(TyperCommand):
    """A command whose repeatable options also take their values one after the other, up to the next option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Turn each word after a repeatable option into an option of its own, then parse as usual."""
        repeatable = {
            name for parameter in self.params if getattr(parameter, "multiple", False) for name in parameter.opts
        }
        rewritten: list[str] = []
        option = ""
        for word, following in pairwise([*args, "--"]):
            if word.startswith("--"):
                option, _, value = word.partition("=")
                if option not in repeatable:
                    rewritten.append(word)
                elif value:
                    rewritten += _repeated(option, value)
                elif following.startswith("--"):
                    ctx.fail(f"Option '{option}' requires an argument.")
            elif option in repeatable:
                rewritten += _repeated(option, word)
            else:
                rewritten.append(word)
        return super().parse_args(ctx, rewritten)


def _repeated(option: str, word: str) -> list[str]:
    values = [word] if "=" in word else word.split(",")
    if not all(value.strip() for value in values):
        raise UserError(f"{option} {word}: a place of the list is empty; separate values by one comma or by spaces")
    return [part for value in values for part in (option, value)]
