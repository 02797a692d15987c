"""A plan without data or weights says what is missing, how to get it, and what would run."""

from pathlib import Path

from rich.console import Console

from promptarena.benchmark.cli.commands.preview import lacking, print_preview
from promptarena.benchmark.planning.enumeration import RequestedRuns, enumerate_request
from promptarena.benchmark.planning.request import Request


def requested(suite: str, *datasets: str) -> RequestedRuns:
    return enumerate_request(
        Request(methods=("zeroshot", "coop"), protocols=("base-to-novel",), datasets=datasets, seeds=(1, 2)), suite
    )


def printed(runs: RequestedRuns, root: Path) -> str:
    missing, console = lacking(runs, root), Console(width=200, record=True, quiet=False, file=(root / "out").open("w"))
    assert missing is not None
    assert print_preview(console, runs, missing) == ()
    return console.export_text()


def test_nothing_is_lacking_for_the_miniature(tmp_path: Path) -> None:
    assert lacking(requested("mini", "digits"), tmp_path) is None


def test_missing_datasets_are_listed_with_the_command_that_gets_them(tmp_path: Path) -> None:
    text = printed(requested("clip-15", "dtd", "eurosat"), tmp_path)
    assert "Missing datasets (2):" in text
    assert "promptarena datasets prepare dtd eurosat --root FOLDER" in text
    rows = {
        line.split()[0]: line.split()[1] for line in text.splitlines() if line.startswith(("zeroshot", "coop", "all"))
    }
    assert rows == {"zeroshot": "2", "coop": "4", "all": "6"}


def test_a_file_that_only_a_person_can_get_is_named(tmp_path: Path) -> None:
    assert "imagenet: by hand: " in printed(requested("clip-15", "imagenet"), tmp_path)
