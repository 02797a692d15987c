"""The commands below `promptarena published`."""

import typer

published_app = typer.Typer(help="The figures that papers print, with their sources.")


@published_app.command("list")
def list_published() -> None:
    """All methods with published figures."""
    from promptarena.benchmark.cli.commands.published import print_published_list

    print_published_list()


@published_app.command("show")
def show_published(method: str) -> None:
    """A method's published figures and where they were read."""
    from promptarena.benchmark.cli.commands.published import print_published

    print_published(method)
