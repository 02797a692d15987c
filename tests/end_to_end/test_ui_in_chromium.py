"""MLflow's own pages on a small record, in a real Chromium: levels, sorted headlines, search by tags, artifacts."""

import os
import shutil
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_command import end, run, start, wait_until
from e2e_world import make_world

from promptarena.benchmark.recording.record import Record, RecordPlace

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
SCREENSHOT = "PROMPTARENA_UI_SCREENSHOT"
SECONDS = 120.0

selenium = pytest.importorskip("selenium", reason="selenium is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("Chromium"),
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no Chromium with its driver on this machine"),
]

from selenium.webdriver import Chrome, ChromeOptions  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a record of two methods under two protocols."""
    place = tmp_path_factory.mktemp("arena")
    suite = make_world(place / "world")
    words = ("--methods", "zeroshot", "coop", "--protocols", "base-to-novel", "cross-dataset", "--seeds", "1", "2")
    ended = run("compare", suite, *words, "--workers", "1", cwd=place)
    assert ended.code == 0, ended.err
    return place


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Where `promptarena ui` answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = start("ui", "--port", str(port), cwd=folder)
    found = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None
        try:
            with urllib.request.urlopen(found, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    try:
        wait_until(answers, 2 * SECONDS)
        yield found
    finally:
        process.terminate()
        end(process)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    assert CHROMIUM
    options = ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("profile")
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.add_argument("--window-size=1500,900")
    options.add_argument(f"--user-data-dir={profile}")
    driver = Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(SECONDS)
    yield driver
    driver.quit()


@pytest.fixture
def runs_page(address: str, folder: Path, browser: Chrome) -> Callable[..., None]:
    record = Record.open(RecordPlace(folder / "results"))
    page = address + record.views()["small"].split("?")[0]
    browser.get(address)
    browser.execute_script("localStorage.clear(); localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false')")

    def open_page(**words: str) -> None:
        browser.get("about:blank")
        browser.get(f"{page}?{urllib.parse.urlencode({'workflowType': 'machine_learning', **words})}")

    return open_page


def text_of(browser: Chrome) -> str:
    return str(browser.execute_script("return document.body.innerText"))


def names(browser: Chrome) -> list[str]:
    """The names of the runs listed, from the top."""
    links = browser.find_elements(By.CSS_SELECTOR, ".ag-pinned-left-cols-container a, .ag-center-cols-container a")
    rows = [(link.rect["y"], link.text) for link in links if link.text]
    return [name for _, name in sorted(rows)]


def shows(browser: Chrome, *words: str) -> None:
    wait_until(lambda: all(word in text_of(browser) for word in words), SECONDS)


def open_row(browser: Chrome, name: str) -> None:
    """Show what is nested under the run whose name begins so."""
    button = f"//div[@role='row'][.//a[starts-with(normalize-space(.), '{name}')]]//button"
    wait_until(lambda: bool(browser.find_elements(By.XPATH, button)), SECONDS)
    browser.execute_script("arguments[0].click()", browser.find_element(By.XPATH, button))


def test_comparison_method_and_run_are_nested(runs_page: Callable[..., None], browser: Chrome) -> None:
    runs_page()
    wait_until(lambda: len(names(browser)) == 1, SECONDS)
    assert names(browser)[0].startswith("comparison")
    open_row(browser, "comparison")
    wait_until(lambda: {"coop", "zeroshot"} < set(names(browser)), SECONDS)
    assert not any("seed" in name for name in names(browser))
    open_row(browser, "coop")
    wait_until(lambda: "coop base-to-novel noisy 2 shots seed 1" in names(browser), SECONDS)


def test_headlines_are_columns_that_sort(address: str, folder: Path, browser: Chrome) -> None:
    record = Record.open(RecordPlace(folder / "results"))
    browser.get("about:blank")
    browser.get(address + record.views()["small"])
    wait_until(lambda: set(names(browser)) == {"coop", "zeroshot"}, SECONDS)
    shows(browser, "HM base", "Metrics", "datasets", "noisy")
    experiment = record.access.client.get_experiment_by_name("promptarena/small").experiment_id
    found = record.access.client.search_runs(
        [experiment], "tags.level = 'method'", order_by=["metrics.`HM base-to-novel` DESC"]
    )
    assert names(browser) == [run.data.tags["label"] for run in found]
    if where := os.environ.get(SCREENSHOT):
        browser.save_screenshot(where)


def test_searching_by_facets_filters(runs_page: Callable[..., None], browser: Chrome) -> None:
    runs_page(searchFilter='tags.method = "coop" and tags.protocol = "base-to-novel"')
    wait_until(lambda: names(browser) == ["coop"], SECONDS)
    open_row(browser, "coop")
    found = {f"coop base-to-novel noisy 2 shots seed {seed}" for seed in (1, 2)}
    wait_until(lambda: set(names(browser)) == {"coop"} | found, SECONDS)


def test_a_comparison_shows_its_tables_and_a_run_its_curves(
    address: str, folder: Path, runs_page: Callable[..., None], browser: Chrome
) -> None:
    record = Record.open(RecordPlace(folder / "results"))
    experiment = record.access.client.get_experiment_by_name("promptarena/small").experiment_id
    (comparison,) = record.access.client.search_runs([experiment], "tags.level = 'comparison'")
    page = f"{address}/#/experiments/{experiment}/runs"
    browser.get(f"{page}/{comparison.info.run_id}/artifacts/tables/base-to-novel.html")
    shows(browser, "base-to-novel.html", "cross-dataset.csv")
    run = record.access.client.search_runs([experiment], "tags.method = 'coop' and tags.seed = '1'")[0]
    browser.get(f"{page}/{run.info.run_id}/model-metrics")
    shows(browser, "curves")
    browser.get(f"{page}/{run.info.run_id}")
    shows(browser, "recipe.lr", "accuracy")
