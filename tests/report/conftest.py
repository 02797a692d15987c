import pytest
from bs4 import BeautifulSoup
from report_pages import LABELS, OUTLINE, parsed
from report_runs import document_of, results_of

from promptarena.benchmark.core.runs import StoredResult
from promptarena.benchmark.report.recorded import page_of


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    # They take seconds; the shared page, which is made before, has them.
    monkeypatch.setattr("promptarena.benchmark.report.sections.every_figure", lambda *_, **__: {})


@pytest.fixture(scope="session")
def results() -> list[StoredResult]:
    return results_of(OUTLINE, LABELS, protocols=["base-to-novel", "cross-dataset"])


@pytest.fixture(scope="session")
def html(results: list[StoredResult]) -> str:
    return page_of(OUTLINE, results, list(map(document_of, results)), title="A title & more", reference="coop")


@pytest.fixture(scope="session")
def soup(html: str) -> BeautifulSoup:
    return parsed(html)
