"""The compact table of the first screen."""

from dataclasses import replace

from report_pages import OUTLINE
from report_runs import results_of

from promptarena.benchmark.report.overview import overview_of, thin
from promptarena.benchmark.report.sections import sections_of


def test_memory_is_what_a_method_adds_to_frozen_clip() -> None:
    runs = results_of(OUTLINE, ["zeroshot", "coop"], protocols=["base-to-novel"])
    runs = [replace(run, cost=replace(run.cost, peak_memory_mib=900.0 + 150 * (run.label == "coop"))) for run in runs]
    table = overview_of(sections_of(OUTLINE, runs))
    assert {row.label: row.costs[2] for row in table.rows} == {"zeroshot": "0", "coop": "150"}
    assert table.memory == "MiB above zeroshot"


def test_every_protocol_has_its_scores_and_a_method_that_lacks_one_has_a_dash() -> None:
    runs = results_of(OUTLINE, ["zeroshot", "coop", "maple"], protocols=["base-to-novel", "cross-dataset"])
    table = overview_of(
        sections_of(OUTLINE, [run for run in runs if (run.label, run.protocol) != ("coop", "cross-dataset")])
    )
    assert [head[0] for head in table.heads] == ["base-to-novel", "cross-dataset"]
    rows = {row.label: row for row in table.rows}
    assert table.rows[0].pinned
    assert table.rows[0].label == "zeroshot"
    assert (rows["coop"].scores[1].text, rows["coop"].family) == ("–", "context")
    for label in ("coop", "maple"):
        score, base = rows[label].scores[0], rows["zeroshot"].scores[0]
        assert abs(float(score.delta) - (float(score.text) - float(base.text))) < 0.011
    assert rows["zeroshot"].scores[0].delta == ""


def test_thousands_have_thin_spaces() -> None:
    assert thin("1,234,567") == "1\u202f234\u202f567"
