"""The result of a comparison in a few lines."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from report_pages import OUTLINE
from report_runs import layout_of, results_of

from promptarena.benchmark.core.protocol_table import PROTOCOLS
from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.report.sections import sections_of
from promptarena.benchmark.report.summary import summary
from promptarena.benchmark.statistics.ranks import rank
from promptarena.benchmark.statistics.scores import read_scores


def lines(results: list[StoredResult]) -> list[str]:
    return summary(sections_of(OUTLINE, results))


def averages(results: list[StoredResult]) -> dict[str, float]:
    (section,) = sections_of(OUTLINE, results)
    table = section.board.tables[0]
    (column,) = table.headlines("hm")
    return {row.label: cell.value or 0.0 for row, cell in zip(table.rows, table.column(column), strict=True)}


def test_the_best_and_its_distances() -> None:
    results = results_of(OUTLINE, ["coop", "zeroshot", "maple"], protocols=["base-to-novel"])
    found = averages(results)
    best, second, _ = sorted(found, key=lambda label: -found[label])
    (line,) = lines(results)
    assert line.startswith(f"Base-to-novel generalization: {best} is best with {found[best]:.2f} HM over 3 datasets")
    if best != "zeroshot":
        assert f"{found[best] - found['zeroshot']:.2f} points above zeroshot (95 % interval " in line
    assert (
        f"{second}, is {found[best] - found[second]:.2f} points behind (95 % interval " in line or second == "zeroshot"
    )
    assert "no other method differs significantly from the best" in line


def halved(run: StoredResult) -> StoredResult:
    return replace(run, scores=tuple(replace(score, correct=score.correct // 2) for score in run.scores))


@settings(max_examples=8)
@given(st.sets(st.integers(1, 6)))
def test_methods_that_do_not_differ_significantly_are_named(worse: set[int]) -> None:
    """As the statistics say, of which the ranks have the names."""
    layout = layout_of(12)
    results = results_of(layout, ["zeroshot", *(f"m{number}" for number in range(1, 7))], (1,), ["base-to-novel"])
    spoilt = [halved(run) if run.label in {f"m{number}" for number in worse} else run for run in results]
    (section,) = sections_of(layout, spoilt)
    (line,) = summary([section])
    best = line.partition(" is best")[0].rpartition(" ")[2]
    near = rank(read_scores(section.query)).beside(best)
    if not near:
        assert "; the best differs significantly from all others." in line
    elif len(near) == 6:
        assert "; no other method differs significantly from the best." in line
    else:
        said = line.partition("not significantly different from the best: ")[2].partition(".")[0]
        more = f" and {len(near) - 3} more" if len(near) > 3 else ""
        assert said == ", ".join(near[:3]) + more


def test_every_protocol_has_its_line() -> None:
    said = lines(results_of(OUTLINE, ["coop", "zeroshot"]))
    for info in PROTOCOLS.values():
        assert sum(line.startswith(f"{info.title}: ") for line in said) == 1
    assert any(" datasets at 16 shots" in line for line in said)
    assert len(said) <= len(PROTOCOLS)


def test_where_nothing_can_be_tested_it_says_why() -> None:
    (line,) = lines(results_of(layout_of(1), ["coop", "zeroshot"], protocols=["base-to-novel"]))
    assert "One dataset does not say whether methods differ on others." in line


def test_what_is_incomplete_is_named_and_never_best() -> None:
    results = results_of(OUTLINE, ["coop", "maple"], protocols=["base-to-novel"])
    results = [run for run in results if run.label == "coop" or run.dataset == "d0"]
    assert lines(results)[0].endswith("Incomplete: maple.")
    assert "coop is best" in lines(results)[0]
    assert "above" not in lines(results)[0]
    only_base = [replace(run, scores=run.scores[:1]) for run in results]
    assert lines(only_base) == [lines(only_base)[0]]
    assert "No method is complete yet" in lines(only_base)[0]
