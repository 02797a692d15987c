"""Where the report's figures come from: settings, splits, and commands that make them again."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_pages import OUTLINE
from report_runs import document_of, results_of

from promptarena.benchmark.cli import main as cli
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.report.provenance import command, facts, lines, splits


def test_what_all_runs_share_is_told_from_what_differs() -> None:
    runs = results_of(OUTLINE, ["coop", "maple"], (1,), ["cross-dataset"])
    shared, differing = facts([document_of(run, precision="bf16" if run.label == "maple" else "fp32") for run in runs])
    assert ("torch", "2.6.0") in [(fact.name, fact.value) for fact in shared]
    assert [(fact.name, fact.value, fact.runs, fact.labels) for fact in differing] == [
        ("precision", "fp32", 1, "coop"),
        ("precision", "bf16", 1, "maple"),
    ]


def test_every_split_has_its_digest_and_a_rival_digest_a_line_of_its_own() -> None:
    runs = results_of(OUTLINE, ["coop"], (1, 2), ["base-to-novel"])
    documents = list(map(document_of, runs))
    found = splits(documents)
    assert len(found) == 3 * 2 + 3 * 2
    rival = document_of(runs[0], train_split="other")
    assert len(splits([*documents, rival])) == len(found) + 1


def test_settings_that_differ_between_runs_are_named_not_shown() -> None:
    runs = [document_of(run) for run in results_of(OUTLINE, ["coop"], (1, 2), ["cross-dataset"])]
    runs[0]["recipe"] = {"epochs": 5, "lr": 0.002}
    (line,) = lines(OUTLINE, "s", runs)
    assert line.recipe == "lr=0.002; not alike in all runs: epochs"
    assert line.seeds == "1, 2"


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
    request, execution = requested(command(OUTLINE, "my suites/s.toml", runs), monkeypatch)
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
        request, _ = requested(command(OUTLINE, "s", runs), monkeypatch)
        assert (request.datasets, request.seeds, request.protocols) == ((), (), [protocol])


def test_a_command_names_the_targets_of_a_transfer_that_has_not_all() -> None:
    (run, *_) = results_of(OUTLINE, ["coop"], (1,), ["cross-dataset"])
    fewer = replace(run, scores=run.scores[:2])
    assert "--datasets d1 --seeds" in command(OUTLINE, "s", [document_of(fewer)])
