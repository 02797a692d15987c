"""What a protocol's results say in sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from report_pages import OUTLINE
from report_runs import layout_of, results_of

from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.report.sections import Section, sections_of
from promptarena.benchmark.report.verdict import pair_of, verdict_of


def section(rights: Mapping[str, int], datasets: int = 12, seeds: Sequence[int] = (1, 2, 3)) -> Section:
    """A section of cross-dataset results: the right answers of a thousand by method, on every dataset and seed."""
    layout = layout_of(datasets)
    runs = results_of(layout, list(rights), seeds, ["cross-dataset"])
    (made,) = sections_of(layout, [_with(run, rights[run.label]) for run in runs])
    return made


def _with(run: StoredResult, right: int) -> StoredResult:
    # A little different everywhere: tests over datasets need differences that are not all equal.
    scores = (replace(score, correct=right + place % 3 + (run.seed or 0) % 2) for place, score in enumerate(run.scores))
    return replace(run, scores=tuple(scores))


def test_the_best_is_named_with_its_distances_and_its_cost() -> None:
    verdict = verdict_of(section({"zeroshot": 600, "coop": 700, "maple": 800}))
    first, second, cost = verdict.sentences
    assert verdict.best == "maple"
    assert first.startswith("maple is best with 80.1")
    assert "% accuracy over 11 targets, 20.00 points above zeroshot (95 % interval " in first
    assert "significant after Holm over 3 pairs" in first
    assert second.startswith("The runner-up, coop, is 10.00 points behind (95 % interval ")
    assert second.endswith("; the best differs significantly from all others.")
    assert cost == "It trains 3\u202f000 parameters; a run takes 62.0 s of training."


def test_methods_that_do_not_differ_from_the_best_are_named() -> None:
    (_, second, *_) = verdict_of(section({"zeroshot": 600, "coop": 800, "maple": 800})).sentences
    assert "level with it" in second
    assert "not significantly different from the best: " in second


def test_a_reference_that_nobody_beats_is_said_to_be_best() -> None:
    first, second, *_ = verdict_of(section({"zeroshot": 900, "coop": 800})).sentences
    assert first.endswith("; no other method is above this reference.")
    assert second.startswith("The runner-up, coop, is 10.00 points behind")


def test_one_method_alone_one_seed_and_missing_figures_are_said() -> None:
    (alone,) = sections_of(OUTLINE, results_of(OUTLINE, ["coop"], (1,), ["base-to-novel"]))
    assert "there is nothing to compare it with" in verdict_of(alone).sentences[0]
    layout = layout_of(1)
    runs = results_of(layout, ["coop", "zeroshot"], (1,), ["base-to-novel"])
    assert "(one seed: no interval)" in " ".join(verdict_of(*sections_of(layout, runs)).sentences)
    runs = results_of(OUTLINE, ["coop", "maple"], (1,), ["base-to-novel"])
    (gaps,) = sections_of(OUTLINE, [run for run in runs if (run.label, run.dataset) != ("coop", "d1")])
    assert verdict_of(gaps).sentences[-1] == "Incomplete: coop."
    (none,) = sections_of(OUTLINE, [run for run in runs if run.dataset != "d1"], datasets=["d0", "d1", "d2"])
    assert verdict_of(none).best == ""
    assert verdict_of(none).sentences[0] == "No method is complete yet."


def test_a_pair_is_found_in_both_directions() -> None:
    ranking = section({"zeroshot": 600, "coop": 700, "maple": 800}).ranking
    one, other = pair_of(ranking, "coop", "maple"), pair_of(ranking, "maple", "coop")
    assert one
    assert other
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low))
    assert pair_of(ranking, "coop", "nobody") is None
    assert pair_of(None, "coop", "maple") is None
