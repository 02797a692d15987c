"""Runs that make no sense are left out of the report and named."""

import math
from dataclasses import replace

from report_pages import OUTLINE, by_id, missing, page_with, rows
from report_runs import results_of


def test_runs_that_make_no_sense_are_left_out_and_named() -> None:
    good = results_of(OUTLINE, ["coop", "maple"], protocols=["cross-dataset"])
    bad = replace(good[0], run_id="bad-run", method="broken", cost=replace(good[0].cost, train_seconds=math.nan))
    soup = page_with([*good, bad])
    assert "bad-run" in missing(soup)
    assert set(rows(by_id(soup, "cross-dataset-accuracy"))) == {"coop", "maple"}


def test_a_report_without_any_sound_run_says_so() -> None:
    (run, *_) = results_of(OUTLINE, ["coop"], protocols=["cross-dataset"])
    soup = page_with([replace(run, scores=tuple(replace(score, total=0) for score in run.scores))])
    assert "No leaderboard" in soup.get_text()
    assert run.run_id in missing(soup)
    assert "Nothing" not in missing(soup)
