"""The values that the cells of the page open."""

from bs4 import BeautifulSoup
from report_pages import LABELS, evidence

from promptarena.benchmark.core.runs import StoredResult


def test_every_score_of_the_runs_is_there(results: list[StoredResult], soup: BeautifulSoup) -> None:
    found = evidence(soup)
    labels = [label for label, _ in found["methods"]]
    assert set(labels) == set(LABELS)
    seen = set()
    for protocol, values in found["protocols"].items():
        for method, by_dataset in values["cells"].items():
            for dataset, entries in by_dataset.items():
                for _, seed, run, *counts in entries:
                    for subset, correct, total in zip(values["subsets"], counts[::2], counts[1::2], strict=True):
                        seen.add((protocol, labels[int(method)], dataset, seed, run, subset, correct, total))
    assert seen == {
        (
            run.protocol,
            run.label,
            each.target.dataset,
            run.seed,
            run.run_id,
            each.target.subset,
            each.correct,
            each.total,
        )
        for run in results
        for each in run.scores
    }


def test_pairs_and_commands_are_those_of_the_methods(soup: BeautifulSoup) -> None:
    found = evidence(soup)
    count = len(LABELS)
    for values in found["protocols"].values():
        assert len(values["pairs"]) == count * (count - 1) // 2
        assert len(values["commands"]) == count
        assert all(low <= difference <= high for _, _, difference, low, high, *_ in values["pairs"])
