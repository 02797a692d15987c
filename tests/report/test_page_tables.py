"""Tables of the report."""

import base64
import json
import math
from io import BytesIO
from zipfile import ZipFile

import pytest
from bs4 import BeautifulSoup
from report_pages import LABELS, OUTLINE, by_id, column

from promptarena.benchmark.core.runs import StoredResult


def test_averages_are_those_of_the_integers(results: list[StoredResult], soup: BeautifulSoup) -> None:
    shown = [column(by_id(soup, f"base-to-novel-{view}"), "Average") for view in ("base", "novel", "hm")]
    for label in LABELS:
        means = []
        for subset in ("base", "novel"):
            parts = [
                100 * sum(score.correct / score.total for score in found) / len(found)
                for dataset in OUTLINE.datasets
                if (
                    found := [
                        score
                        for result in results
                        if (result.protocol, result.label, result.dataset) == ("base-to-novel", label, dataset)
                        for score in result.scores
                        if score.target.subset == subset
                    ]
                )
            ]
            means.append(sum(parts) / len(parts))
        means.append(2 / (1 / means[0] + 1 / means[1]))
        assert [column[label].split()[0] for column in shown] == [f"{mean:.2f}" for mean in means]


def test_distances_are_those_to_the_reference(soup: BeautifulSoup) -> None:
    figures = column(by_id(soup, "base-to-novel-hm"), "Data 1")
    above = column(by_id(soup, "base-to-novel-delta"), "Data 1")
    for label in LABELS:
        expected = float(figures[label].split()[0]) - float(figures["coop"].split()[0])
        assert float(above[label]) == pytest.approx(expected, abs=0.011)


def test_tables_and_figures_are_accessible(soup: BeautifulSoup) -> None:
    assert soup.html
    assert soup.html["lang"] == "en"
    tables = soup.find_all("table")
    assert len(tables) > 8
    for each in tables:
        assert each.caption
        assert each.caption.get_text().strip()
        assert all(heading.get("scope") for heading in each.find_all("th"))
        assert each.parent
        assert each.parent["role"] == "group"
        assert each.parent["tabindex"] == "0"
    drawings = soup.find_all("svg")
    assert len(drawings) >= 6
    for drawing in drawings:
        assert drawing.parent
        assert drawing.parent["role"] == "img"
        assert len(str(drawing.parent["aria-label"])) > 20
    names = [element["id"] for element in soup.find_all(id=True)]
    assert len(names) == len(set(names))
    for select in soup.select("form select, form input"):
        assert select.find_parent("label")
    assert {link["href"] for link in soup.select("a[href^='#']")} <= {f"#{name}" for name in names}


def test_the_page_carries_the_tables_as_data(results: list[StoredResult], soup: BeautifulSoup) -> None:
    (link,) = soup.select("a[download]")
    assert link["download"] == "s-tables.zip"
    archive = ZipFile(BytesIO(base64.b64decode(str(link["href"]).partition("base64,")[2])))
    files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(files) == {"s.csv", "s.json", "s.md", "s.tex"}
    boards = json.loads(files["s.json"])
    assert [(board["protocol"], board["part"]) for board in boards if board["part"] != "published"] == [
        ("base-to-novel", ""),
        ("base-to-novel", "statistics"),
        ("cross-dataset", ""),
        ("cross-dataset", "statistics"),
    ]
    (d1,) = [each for each in boards[0]["tables"] if each["key"] == "d1"]
    for row in d1["rows"]:
        mine = [
            score
            for result in results
            if (result.protocol, result.label) == ("base-to-novel", row["method"])
            for score in result.scores
            if (score.target.dataset, score.target.subset) == ("d1", "novel")
        ]
        figure = row["figures"]["novel_pct"]
        assert (figure["correct"], figure["total"]) == (sum(s.correct for s in mine), sum(s.total for s in mine))
        mean = math.fsum(100 * s.correct / s.total for s in mine) / len(mine)
        assert figure["value"] == pytest.approx(mean, abs=1e-9)
