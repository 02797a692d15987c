"""The static site."""

from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from report_pages import OUTLINE
from report_runs import document_of, results_of

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.report.recorded import page_of
from promptarena.benchmark.report.site import ENTRY


def publish(folder: Path, suite: str, title: str) -> None:
    layout = OUTLINE.model_copy(update={"name": suite})
    results = results_of(layout, ["zeroshot", "coop"], (1, 2), ["base-to-novel", "cross-dataset"])
    page_of(layout, results, list(map(document_of, results)), title=title, site=folder)


def test_every_suite_has_its_report_and_its_data_and_the_first_page_has_all(tmp_path: Path) -> None:
    publish(tmp_path, "one", "The <first>")
    publish(tmp_path, "two", "The second")
    publish(tmp_path, "two", "The second, again")
    soup = BeautifulSoup((tmp_path / "index.html").read_text(encoding="utf-8"), "html.parser")
    assert [head.get_text() for head in soup.find_all("h2")] == ["The <first>", "The second, again"]
    assert soup.get_text().count(" is best with ") == 4
    for link in soup.find_all("a"):
        assert (tmp_path / str(link["href"])).is_file(), link
    assert (tmp_path / ".nojekyll").is_file()
    scores = pd.read_parquet(BytesIO((tmp_path / "one" / "scores.parquet").read_bytes()))
    assert len(scores) == 2 * 2 * (3 * 2 + 3)
    assert set(scores["protocol"]) == {"base-to-novel", "cross-dataset"}


def test_a_damaged_entry_is_named(tmp_path: Path) -> None:
    publish(tmp_path, "one", "The first")
    (tmp_path / "one" / ENTRY).write_text("{")
    with pytest.raises(UserError, match=r"one/site\.json is damaged"):
        publish(tmp_path, "two", "The second")
