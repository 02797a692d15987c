"""The report: its figures against the integers, what it says of runs, and that no frame and no name breaks it."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from report_pages import LABELS, OUTLINE, by_id, column, evidence, missing, page_with, parsed, rows
from report_runs import page, results_of

from promptarena.benchmark.report.page import report_page


def test_names_are_text_and_never_markup(soup: BeautifulSoup) -> None:
    assert [script.get("type") for script in soup.find_all("script")] == ["application/gzip", None]
    assert set(rows(by_id(soup, "all"))) == set(rows(by_id(soup, "base-to-novel-hm"))) == set(LABELS)
    assert [label for label, _ in evidence(soup)["methods"]] == list(rows(by_id(soup, "all")))
    assert soup.h1
    assert soup.h1.get_text() == "A title & more"


def test_nothing_is_loaded_from_elsewhere(soup: BeautifulSoup) -> None:
    for element in soup.find_all(True):
        for name in ("src", "href", "srcset", "data", "action"):
            assert str(element.get(name, "#")).startswith(("data:", "#")), element
    assert not soup.find_all(["iframe", "object", "embed"])
    style, script = soup.style, soup.find_all("script")[-1]
    assert style
    assert not re.search(r"@import|url\(|https?:", style.get_text() + script.get_text())
    (policy,) = soup.find_all("meta", {"http-equiv": "Content-Security-Policy"})
    assert str(policy["content"]).startswith("default-src 'none'")


def test_everything_is_there_without_scripts(soup: BeautifulSoup) -> None:
    assert [element.get("class") or element["id"] for element in soup.find_all(hidden=True)] == [
        ["controls"],
        "compare",
    ]


def test_equal_arguments_give_an_equal_page() -> None:
    chosen: dict[str, Any] = {"protocols": ["domain-generalization"], "methods": 2}
    assert page(**chosen) == page(**chosen)


def test_the_comparison_is_reported_in_sentences(soup: BeautifulSoup) -> None:
    text = soup.find(id="base-to-novel")
    assert text
    assert re.search(r"3 datasets x 3 seeds", text.get_text())
    (verdicts,) = soup.select(".verdicts")
    assert "is best with" in verdicts.get_text()


def test_holes_duplicates_and_one_seed_are_reported() -> None:
    runs = results_of(OUTLINE, ["coop", "maple"], (1,), ["base-to-novel"])
    runs = [replace(run, duplicates=2) if run.label == "maple" else run for run in runs]
    runs = [run for run in runs if (run.label, run.dataset) != ("coop", "d1")]
    soup = page_with(runs)
    assert "finished 3 times" in missing(soup)
    assert "coop: 2 of 6 figures incomplete (Data 1 base, Data 1 novel)" in missing(soup)
    for view in ("hm", "base", "novel"):
        cells = by_id(soup, f"base-to-novel-{view}")
        assert column(cells, "Data 1")["coop"] == "–"
        assert column(cells, "Average")["coop"] == "2 of 3"
        assert "±" not in cells.get_text()
    assert rows(by_id(soup, "all"))["coop"][0] == "2 of 3"
    assert "Incomplete: coop." in soup.select(".verdicts")[0].get_text()


def test_nothing_missing_is_said() -> None:
    assert "Nothing is missing: every figure is there." in missing(parsed(report_page(OUTLINE, [], [])))


def test_the_page_is_made_without_torch_and_mlflow() -> None:
    code = (
        "import sys\n"
        "class Barred:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in ('torch', 'mlflow'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Barred())\n"
        "import report_runs\n"
        "print(report_runs.page(methods=2, protocols=['cross-dataset']).count('<section id'))\n"
    )
    support = Path(__file__).parents[1] / "support"
    ended = subprocess.run([sys.executable, "-c", code], cwd=support, capture_output=True, text=True, check=False)
    assert ended.stdout == "4\n", ended.stderr
