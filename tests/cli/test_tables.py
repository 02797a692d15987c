"""What `leaderboard` and `report` hand on, and to whom."""

from pathlib import Path
from typing import Any

import pytest
from e2e_inside import call

COMMANDS = "promptarena.benchmark.cli.commands"
CHOSEN = ("--protocols", "few-shot", "--methods", "coop", "maple", "--datasets", "digits", "--reference", "coop")


def handed_on(monkeypatch: pytest.MonkeyPatch, name: str, *words: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that a command gives to a function."""
    heard: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    monkeypatch.setattr(f"{COMMANDS}.{name}", lambda *given, **named: heard.append((given, named)))
    assert call(*words).code == 0
    (only,) = heard
    return only


@pytest.mark.parametrize("exports", [(), ("one", "two")])
def test_a_leaderboard_is_of_the_record_or_of_exports(
    monkeypatch: pytest.MonkeyPatch, exports: tuple[str, ...]
) -> None:
    name = "leaderboard.leaderboard_of_exports" if exports else "leaderboard.leaderboard_of_record"
    given = (*CHOSEN, "--boards", "paired", "--published", "--statistics", *(("--from", *exports) if exports else ()))
    (request, place), _ = handed_on(monkeypatch, name, "leaderboard", "clip-15", *given)
    assert (request.suite, request.protocols, request.methods) == ("clip-15", ["few-shot"], ["coop", "maple"])
    assert (request.datasets, request.reference, request.boards) == (["digits"], "coop", ["paired"])
    assert request.published
    assert request.statistics
    assert place == [Path(each) for each in exports] if exports else place.results == Path("results").absolute()


def test_a_report_is_of_what_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    given, named = handed_on(monkeypatch, "report.write_report", "report", "clip-15", *CHOSEN, "--out", "a.html")
    assert given[:2] == ("clip-15", Path("a.html"))
    assert named == {
        "protocols": ["few-shot"],
        "methods": ["coop", "maple"],
        "datasets": ["digits"],
        "reference": "coop",
        "publish": None,
    }


def test_a_report_can_be_published(monkeypatch: pytest.MonkeyPatch) -> None:
    _, named = handed_on(monkeypatch, "report.write_report", "report", "clip-15", "--publish", "site")
    assert named["publish"] == Path("site")
