"""Sections of the report: what could not be compared is left out and named."""

import re
from dataclasses import replace
from typing import Any

import pytest
from report_pages import OUTLINE, by_id, missing, page_with, rows
from report_runs import document_of, results_of

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.protocol_table import PROTOCOLS
from promptarena.benchmark.leaderboard.build import BoardQuery, leaderboard
from promptarena.benchmark.leaderboard.model import Board
from promptarena.benchmark.report.recorded import page_of
from promptarena.benchmark.report.sections import left_out, sections_of


def test_a_method_whose_runs_may_not_be_mixed_is_left_out_and_named() -> None:
    runs = results_of(OUTLINE, ["coop", "maple"], protocols=["cross-dataset"])
    mixed = [
        replace(run, settings={"provenance.precision": "bf16" if run.seed == 1 else "fp32"})
        if run.label == "maple"
        else replace(run, settings={"provenance.precision": "fp32"})
        for run in runs
    ]
    soup = page_with(mixed)
    assert "bf16" in missing(soup)
    assert set(rows(by_id(soup, "cross-dataset-accuracy"))) == {"coop"}


def test_a_protocol_that_mixes_backbones_is_refused_and_the_others_are_shown() -> None:
    runs = results_of(OUTLINE, ["coop", "maple"], protocols=["cross-dataset", "domain-generalization"])
    mixed = [
        replace(run, settings={"provenance.backbone": "a" * 64 if run.label == "coop" else "b" * 64})
        if run.protocol == "cross-dataset"
        else run
        for run in runs
    ]
    soup = page_with(mixed)
    assert "backbone" in missing(soup)
    assert soup.find(id="domain-generalization")
    assert not soup.find(id="cross-dataset")


def test_runs_on_datasets_that_the_suite_does_not_have_are_named() -> None:
    runs = results_of(OUTLINE, ["coop"], protocols=["cross-dataset"])
    *kept, lost = OUTLINE.targets
    (section,) = sections_of(OUTLINE.model_copy(update={"targets": (*kept,)}), runs)
    assert section.board.notes[0] == f"Runs on {lost} are left out: the suite does not have this dataset."
    (section,) = sections_of(OUTLINE, runs)
    assert not [note for note in section.board.notes if "left out" in note]


def test_a_protocol_whose_datasets_have_all_left_the_suite_is_named() -> None:
    runs = results_of(OUTLINE, ["coop"], protocols=["cross-dataset", "domain-generalization"])
    suite = OUTLINE.model_copy(update={"variants": ()})
    assert [section.protocol for section in sections_of(suite, runs)] == ["cross-dataset"]
    line = "domain-generalization: left out: the suite does not have the datasets of its runs: d0, d1 and d2"
    assert left_out(suite, runs) == [line]
    assert left_out(suite, runs, ["cross-dataset"]) == left_out(OUTLINE, runs) == []
    assert left_out(suite, runs, methods=["coop"]) == [line]
    assert line in missing(page_with(runs, suite))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"protocols": ["base"]}, "unknown protocol 'base'"),
        ({"datasets": ["d9"]}, "unknown dataset 'd9'"),
        ({"methods": ["cop"]}, "unknown recorded method 'cop'"),
        ({"reference": "cop"}, "unknown method to compare with 'cop'"),
    ],
)
def test_a_mistaken_choice_is_named(chosen: dict[str, Any], message: str) -> None:
    runs = results_of(OUTLINE, ["coop"], protocols=["cross-dataset"])
    with pytest.raises(UserError, match=re.escape(message)):
        page_of(OUTLINE, runs, list(map(document_of, runs)), **chosen)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_leaderboard_of_a_protocol_is_built_once_for_all_that_is_made_of_it(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []

    def counted(query: BoardQuery) -> Board:
        built.append(query.protocol)
        return leaderboard(query)

    monkeypatch.undo()  # the figures, too
    monkeypatch.setattr("promptarena.benchmark.leaderboard.build.leaderboard", counted)
    results = results_of(OUTLINE, ["coop", "maple"], protocols=[protocol])
    html = page_of(OUTLINE, results, list(map(document_of, results)), reference="coop")
    if protocol != "open-world":  # no paper has figures of it, and its own come from predictions, which these runs lack
        assert "distance to published figures" in html
        assert "<svg" in html
    assert built == [protocol]
