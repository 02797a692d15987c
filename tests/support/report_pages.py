"""Pages of the report, parsed."""

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any

from bs4 import BeautifulSoup, Tag
from report_runs import NASTY, document_of, layout_of

from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.core.suite_layout import SuiteLayout
from promptarena.benchmark.report.recorded import page_of

OUTLINE = layout_of()
LABELS = ("coop", *NASTY)


def parsed(html: str) -> BeautifulSoup:
    return BeautifulSoup(html, "html.parser")


def page_with(results: Sequence[StoredResult], layout: SuiteLayout = OUTLINE, **chosen: Any) -> BeautifulSoup:
    return parsed(page_of(layout, results, list(map(document_of, results)), **chosen))


def table(soup: Tag, caption: str) -> Tag:
    (found,) = [each for each in soup.find_all("table") if each.caption and each.caption.get_text() == caption]
    assert isinstance(found, Tag)
    return found


def rows(of: Tag) -> dict[str, list[str]]:
    """The texts of a table's cells by the text of its row's heading."""
    assert of.tbody
    return {row.th.get_text(): [cell.get_text() for cell in row.find_all("td")] for row in of.tbody.find_all("tr")}


def by_id(soup: BeautifulSoup, name: str) -> Tag:
    """A table by its id: "all", or the protocol and the view, such as "base-to-novel-hm"."""
    found = soup.find(id=name)
    assert isinstance(found, Tag)
    return found


def column(of: Tag, title: str) -> dict[str, str]:
    """The texts of a column of a matrix by method."""
    assert of.thead
    heads = [head.get_text() for head in of.thead.find_all("tr")[-1].find_all("th")]
    return {label: cells[heads.index(title) - 1] for label, cells in rows(of).items()}


def evidence(soup: BeautifulSoup) -> Any:
    """The values that the page's script reads."""
    found = soup.find(id="evidence")
    assert found
    return json.loads(gzip.decompress(base64.b64decode(found.get_text())))


def missing(soup: BeautifulSoup) -> str:
    return " ".join(part.get_text() for part in soup.select(".missing"))
