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


SHOWN = {"protocols": ["few-shot"], "methods": ["coop", "maple"], "datasets": ["digits"]}
EVERYTHING: dict[str, tuple[str, ...]] = {"protocols": (), "methods": (), "datasets": ()}


@pytest.mark.parametrize(
    ("writer", "words", "expected"),
    [
        ("write_report", (*CHOSEN, "--out", "a.html"), (Path("a.html"), SHOWN, "coop")),
        ("publish_report", ("--publish", "site"), (Path("site"), EVERYTHING, "")),
        ("write_model_cards", ("--cards", "hub", "--benchmark", "me/arena"), (Path("hub"), EVERYTHING, "me/arena")),
    ],
)
def test_a_report_is_written_in_the_requested_form(
    monkeypatch: pytest.MonkeyPatch, writer: str, words: tuple[str, ...], expected: tuple[Any, ...]
) -> None:
    monkeypatch.setattr(f"{COMMANDS}.report.results_of", lambda *given: given)
    given, _ = handed_on(monkeypatch, f"report.{writer}", "report", "clip-15", "--from", "one", "two", *words)
    suite, exports, place = given[0]
    assert (suite, exports, place.results) == ("clip-15", [Path("one"), Path("two")], Path("results").absolute())
    assert given[1:] == expected


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--benchmark", "me/arena"), "--benchmark goes with --cards"),
        (("--cards", "hub", "--publish", "site"), "give --publish or --cards, not both"),
    ],
)
def test_forms_that_exclude_each_other_are_refused(words: tuple[str, ...], complaint: str) -> None:
    ended = call("report", *words)
    assert (ended.code, complaint in ended.err) == (2, True)
