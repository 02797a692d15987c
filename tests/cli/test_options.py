"""Options whose values stand one after the other, or between commas."""

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from promptarena.benchmark.cli.options import SpacedLists
from promptarena.benchmark.core.errors import UserError

app = typer.Typer()


@app.command(cls=SpacedLists)
def show(
    names: Annotated[list[str] | None, typer.Option()] = None,
    single: Annotated[str, typer.Option()] = "",
    flag: Annotated[bool, typer.Option("--flag")] = False,
) -> None:
    """Print what was parsed."""
    typer.echo(f"{names} {single!r} {flag}")


@pytest.mark.parametrize(
    "words",
    [
        ["--names", "a", "b", "c"],
        ["--names", "a,b", "c"],
        ["--names=a", "--names", "b", "c"],
        ["--names", "a", "--names=b,c"],
    ],
)
def test_every_way_of_writing_a_list_is_the_same(words: list[str]) -> None:
    for arguments in ([*words, "--single", "x", "--flag"], ["--flag", "--single", "x", *words]):
        assert CliRunner().invoke(app, arguments).output == "['a', 'b', 'c'] 'x' True\n"


def test_settings_keep_their_commas() -> None:
    assert CliRunner().invoke(app, ["--names", "coop.x=1,2", "b"]).output == "['coop.x=1,2', 'b'] '' False\n"


@pytest.mark.parametrize("words", [["--names", "a,,b"], ["--names", ",a"], ["--names", ""], ["--names=a, "]])
def test_an_empty_place_is_refused(words: list[str]) -> None:
    refused = CliRunner().invoke(app, words).exception
    assert isinstance(refused, UserError)
    assert "--names" in str(refused)


def test_an_option_without_a_value_is_refused() -> None:
    assert CliRunner().invoke(app, ["--names", "--flag"]).exit_code == 2
