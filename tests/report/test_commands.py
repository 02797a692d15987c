"""The commands that make the runs of a report again."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_pages import OUTLINE
from report_runs import document_of, results_of

from promptarena.benchmark.cli import main as cli
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.report.commands import command_ends, commands_of


def command(called: str, runs: Sequence[Any]) -> str:
    (found,) = commands_of(OUTLINE, called, runs)
    return found.line


def requested(line: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Request, Any]:
    """What the command line makes of a command."""
    heard: list[Any] = []
    monkeypatch.setattr(
        "promptarena.benchmark.cli.commands.compare.run_compare",
        lambda *arguments, **named: heard.append(arguments) or 0,
    )
    # The suites of these commands are invented, so their names are not looked up.
    monkeypatch.setattr("promptarena.benchmark.planning.suites.load_suite", lambda suite: suite)
    monkeypatch.setattr(Request, "check_names", lambda *arguments: None)
    program, *words = shlex.split(line)
    assert program == "promptarena"
    cli.app(words, standalone_mode=False)
    ((request, execution, *_),) = heard
    return request, execution


def test_a_command_asks_for_exactly_the_runs_of_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    for run in results_of(OUTLINE, ["coop"], (3, 1), ["few-shot"]):
        if run.dataset != "d1":
            runs.append(document_of(run, precision="bf16", method_origin="/my plug-ins/it's.py"))
    for run in runs:
        run["spec"]["overrides"] = [["init", "a photo of a"], ["recipe.epochs", "5"]]
    request, execution = requested(command("my suites/s.toml", runs), monkeypatch)
    assert request == Request(
        methods=["coop"],
        protocols=["few-shot"],
        datasets=["d0", "d2"],
        seeds=[1, 3],
        shots=[1, 16],
        settings=["coop.init=a photo of a", "coop.recipe.epochs=5"],
    )
    assert (execution.suite, execution.precision) == ("my suites/s.toml", "bf16")
    assert execution.plugins == (Path("/my plug-ins/it's.py"),)


def test_a_command_for_all_datasets_and_no_seed_names_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    for protocol in ("base-to-novel", "cross-dataset"):
        runs = list(map(document_of, results_of(OUTLINE, ["zeroshot"], (None,), [protocol])))  # type: ignore[list-item]
        request, _ = requested(command("s", runs), monkeypatch)
        assert (request.datasets, request.seeds, request.protocols) == ((), (), [protocol])


def test_a_command_names_the_targets_of_a_transfer_that_has_not_all() -> None:
    (run, *_) = results_of(OUTLINE, ["coop"], (1,), ["cross-dataset"])
    fewer = replace(run, scores=run.scores[:2])
    assert "--datasets d1 --seeds" in command("s", [document_of(fewer)])


def test_a_method_has_one_command_for_all_protocols_that_were_run_in_the_same_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = list(map(document_of, results_of(OUTLINE, ["maple", "coop"])))
    found = commands_of(OUTLINE, "s", runs)
    together = ("base-to-novel", "cross-dataset", "domain-generalization", "open-world")
    assert [(each.label, each.protocols) for each in found] == [
        ("coop", together),
        ("coop", ("few-shot",)),
        ("maple", together),
        ("maple", ("few-shot",)),
    ]
    assert sum(each.runs for each in found) == len(runs)
    request, _ = requested(found[0].line, monkeypatch)
    assert (request.protocols, request.methods, request.seeds) == ([*together], ["coop"], [1, 2, 3])


def test_the_ends_of_a_command_leave_room_for_datasets_and_seeds() -> None:
    runs = [document_of(run, precision="bf16") for run in results_of(OUTLINE, ["coop"], (1,), ["base-to-novel"])]
    assert command_ends("s", runs) == {
        ("base-to-novel", "coop"): (
            "promptarena compare s --methods coop --protocols base-to-novel",
            "--precision bf16",
        )
    }
