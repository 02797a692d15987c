"""The options that say where runs are carried out; those of each launcher come from its declaration."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.running.launchers.registry import Workers, all_launchers, launching_of


def with_launcher_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of all launchers; it gets a `Launching` as its argument `launching` instead of them.

    Args:
        command: A command of typer's with the parameters `launching`, `workers` and `device`.
    """
    names = tuple(each.name for each in all_launchers())
    own: dict[str, tuple[Any, Any, Any]] = {
        "launcher": (Literal[names], "local", typer.Option(help="Where runs are carried out.")),
        "launcher_file": (
            Path | None,
            None,
            typer.Option(help="TOML file with the launcher's options.", show_default=False),
        ),
        "workers_per_gpu": (
            int | None,
            None,
            typer.Option(min=1, help="Runs at the same time on a GPU (default: 1).", show_default=False),
        ),
        "devices": (
            list[str] | None,
            None,
            typer.Option(help="Only these devices: cuda:0 cuda:1.", show_default=False),
        ),
    }
    fields: dict[str, tuple[str, str]] = {}
    for kind in all_launchers():
        for field, info in kind.options.model_fields.items():
            name = f"{kind.name}_{field}"
            fields[name] = kind.name, field
            option = typer.Option(help=info.description or "", show_default=False)
            annotation: Any = info.annotation
            own[name] = annotation | None, None, option

    @wraps(command)
    def with_options(**arguments: Any) -> int:
        values = {name: arguments.pop(name) for name in own}
        chosen = values["launcher"]
        given = {name: values[name] for name in fields if values[name] is not None}
        for name in given:
            if fields[name][0] != chosen:
                raise UserError(f"--{name.replace('_', '-')} is an option of --launcher {fields[name][0]}")
        devices = tuple(values["devices"] or ())
        if devices and arguments["device"] != "auto":
            raise UserError("give either --device or --devices")
        workers = Workers(arguments.pop("workers"), values["workers_per_gpu"], devices)
        options = {fields[name][1]: value for name, value in given.items()}
        launching = launching_of(chosen, workers, options, values["launcher_file"])
        return command(**arguments, launching=launching)

    signature = inspect.signature(command)
    kept = [parameter for name, parameter in signature.parameters.items() if name != "launching"]
    workers = inspect.Parameter(
        "workers",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            int | None,
            typer.Option(min=1, help="Runs at the same time on a machine (default: one per GPU, or per core)."),
        ],
    )
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind_of_value, option]
        )
        for name, (kind_of_value, default, option) in own.items()
    ]
    place = next(number for number, parameter in enumerate(kept) if parameter.name == "device")
    every = [*kept[:place], workers, *kept[place:], *added]
    with_options.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in every]
    )
    return with_options
