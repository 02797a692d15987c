"""The static site."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from huggingface_hub import RepoCard
from matplotlib.figure import Figure
from report_pages import OUTLINE
from report_runs import document_of, results_of

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.plots.style import COLUMN, PAGE
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


def test_figures_are_there_for_pages_and_for_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widths = []

    def one_figure(*_: Any, width: float | None = None, **__: Any) -> dict[str, Figure]:
        widths.append(width)
        return {"plane": Figure(figsize=(width or PAGE, 1.0))}

    monkeypatch.setattr("promptarena.benchmark.report.sections.every_figure", one_figure)
    publish(tmp_path, "one", "The first")
    ends = (".png", ".pdf", ".svg", "-dark.svg", "-column.pdf")
    for protocol in ("base-to-novel", "cross-dataset"):
        files = {path.name for path in (tmp_path / "one" / "figures" / protocol).iterdir()}
        assert files == {f"plane{end}" for end in ends}
    assert set(widths) == {None, COLUMN}


def test_the_folder_is_a_static_space_whose_card_may_be_changed(tmp_path: Path) -> None:
    publish(tmp_path, "one", "The first")
    assert RepoCard.load(tmp_path / "README.md").data.to_dict()["sdk"] == "static"
    (tmp_path / "README.md").write_text("---\ntitle: mine\nsdk: static\n---\n", encoding="utf-8")
    publish(tmp_path, "two", "The second")
    assert RepoCard.load(tmp_path / "README.md").data.to_dict()["title"] == "mine"


def test_a_damaged_entry_is_named(tmp_path: Path) -> None:
    publish(tmp_path, "one", "The first")
    (tmp_path / "one" / ENTRY).write_text("{")
    with pytest.raises(UserError, match=r"one/site\.json is damaged"):
        publish(tmp_path, "two", "The second")
