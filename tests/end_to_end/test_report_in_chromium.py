"""The report in a real browser: it opens silently, sorts, filters, changes its theme and prints.

PROMPTARENA_SCREENSHOT names a file to keep a screenshot in.
"""

import base64
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_runs import document_of, layout_of, results_of

from promptarena.benchmark.report.recorded import page_of

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.needs("Chromium"),
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium or its driver is not on this machine"),
]

SPLITS = "Splits: digests of the images drawn for training, and of the test images with their class names"
LABELS = ("coop", "maple", "zeroshot", "<b>odd</b> & (n_ctx=16, init=a_long_value_without_any_place_to_break_it)")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    layout = layout_of(4)
    results = [
        result
        for result in results_of(layout, LABELS, protocols=["base-to-novel", "cross-dataset"])
        if (result.label, result.dataset, result.protocol) != ("maple", "d1", "base-to-novel")
    ]
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page_of(layout, results, list(map(document_of, results)), reference="coop"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Any, report: Path) -> Any:
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": _prefers("light")})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get(report.as_uri())
    return browser


def _prefers(theme: str) -> list[dict[str, str]]:
    return [{"name": "prefers-color-scheme", "value": theme}]


def _narrow(page: Any, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def _column(page: Any, caption: str, place: int) -> list[str]:
    """The texts of a column, row by row; place 0 has the methods."""
    return list(
        page.execute_script(
            "const found = [...document.querySelectorAll('table')].find((it) => it.caption.textContent === "
            "arguments[0]); return [...found.tBodies[0].rows].filter((row) => row.offsetParent)"
            ".map((row) => row.cells[arguments[1]].textContent.trim());",
            caption,
            place,
        )
    )


def _heading(page: Any, caption: str, title: str) -> Any:
    return page.execute_script(
        "const found = [...document.querySelectorAll('table')].find((it) => it.caption.textContent === arguments[0]);"
        "return [...found.tHead.querySelectorAll('th')].find((it) => it.textContent.trim() === arguments[1]);",
        caption,
        title,
    )


def _choose(page: Any, name: str, value: str) -> None:
    page.execute_script(
        "const it = document.querySelector('.controls').elements[arguments[0]]; it.value = arguments[1];"
        "for (const name of ['input', 'change']) it.dispatchEvent(new Event(name, {bubbles: true}));",
        name,
        value,
    )


def _visible(page: Any, selector: str) -> list[str]:
    return list(
        page.execute_script(
            "return [...document.querySelectorAll(arguments[0])].filter((it) => it.offsetParent).map((it) => "
            "it.textContent.trim());",
            selector,
        )
    )


def _colours(page: Any, selector: str) -> list[tuple[float, ...]]:
    """Text and background of the first element that matches, as (r, g, b); the background may be a parent's."""
    found = page.execute_script(
        "let it = document.querySelector(arguments[0]); const text = getComputedStyle(it).color;"
        "while (it && /, 0\\)$|transparent/.test(getComputedStyle(it).backgroundColor)) it = it.parentElement;"
        "return [text, getComputedStyle(it || document.body).backgroundColor];",
        selector,
    )
    return [tuple(float(part) for part in text[text.index("(") + 1 : -1].split(",")[:3]) for text in found]


def _contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The ratio of WCAG 2."""

    def luminance(colour: tuple[float, ...]) -> float:
        parts = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_it_opens_without_a_word_and_without_a_request(page: Any, report: Path) -> None:
    for log in ("browser", "performance"):
        page.get_log(log)
    page.get(report.as_uri())
    assert page.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    assert {url for url in asked if not url.startswith("data:")} == {report.as_uri()}
    assert page.execute_script("return [...document.images].every((it) => it.complete && it.naturalWidth > 100)")
    assert page.execute_script("return document.images.length") >= 5


def test_a_click_sorts_by_the_number_with_holes_last(page: Any) -> None:
    initial = _column(page, "Data 1", 0)
    heading = _heading(page, "Data 1", "Base")
    button = heading.find_element("tag name", "button")
    for direction, sign in (("descending", -1), ("ascending", 1)):
        button.click()
        assert heading.get_attribute("aria-sort") == direction
        shown = _column(page, "Data 1", 1)
        assert shown[-1] == "–"
        assert _column(page, "Data 1", 0)[-1] == "maple"
        numbers = [float(text.split()[0]) for text in shown[:-1]]
        assert numbers == sorted(numbers, key=lambda number: sign * number)
        assert len(set(numbers)) == 3
    button.click()
    assert heading.get_attribute("aria-sort") == "none"
    assert _column(page, "Data 1", 0) == initial


def test_numbers_are_not_sorted_as_text(page: Any) -> None:
    page.execute_script(
        "const row = [...document.querySelectorAll('table')].find((it) => it.caption.textContent === 'Data 2')"
        ".tBodies[0].rows[0]; row.cells[1].dataset.sort = '9.5'; row.cells[1].textContent = '9.5';"
    )
    _heading(page, "Data 2", "Base").find_element("tag name", "button").click()
    assert _column(page, "Data 2", 1)[-1] == "9.5"


def test_the_keyboard_sorts_too_and_one_column_at_a_time(page: Any) -> None:
    base, novel = (_heading(page, "Data 2", title) for title in ("Base", "Novel"))
    base.find_element("tag name", "button").send_keys("\ue007")
    novel.find_element("tag name", "button").send_keys(" ")
    assert (base.get_attribute("aria-sort"), novel.get_attribute("aria-sort")) == ("none", "descending")
    numbers = [float(text.split()[0]) for text in _column(page, "Data 2", 2)]
    assert numbers == sorted(numbers, reverse=True)


def test_methods_are_sorted_by_name(page: Any) -> None:
    button = _heading(page, "Data 2", "Method").find_element("tag name", "button")
    button.click()
    button.click()
    assert _column(page, "Data 2", 0)[-3:] == ["coop", "maple", "zeroshot"]


def test_columns_under_groups_are_sorted_by_themselves(page: Any) -> None:
    _heading(page, "Source and targets", "Data 2").find_element("tag name", "button").click()
    numbers = [float(text.split()[0]) for text in _column(page, "Source and targets", 3)]
    assert numbers == sorted(numbers, reverse=True)


def test_the_filter_for_methods(page: Any) -> None:
    _choose(page, "method", "COOP, map")
    assert set(_column(page, "Average over 4 datasets", 0)) == {"coop", "maple"}
    assert set(_column(page, "Commands", 0)) == {"coop", "maple"}
    assert page.find_element("css selector", "output").text == "2 of 4 methods shown"
    page.find_element("css selector", "button[type=reset]").click()
    assert len(_column(page, "Average over 4 datasets", 0)) == 4


def test_the_filter_for_protocols(page: Any) -> None:
    _choose(page, "protocol", "cross-dataset")
    assert "Cross-dataset transfer" in _visible(page, "h2")
    assert "Base-to-novel generalization" not in _visible(page, "h2")
    assert set(_column(page, "Commands", 1)) == {"cross-dataset"}
    _choose(page, "protocol", "")
    assert "Base-to-novel generalization" in _visible(page, "h2")


def test_the_filter_for_datasets_hides_tables_and_columns(page: Any) -> None:
    _choose(page, "dataset", "d2")
    captions = _visible(page, "caption")
    assert "Data 2" in captions
    assert "Data 1" not in captions
    assert "Average over 4 datasets" in captions
    shown = page.execute_script(
        "const found = [...document.querySelectorAll('table')].find((it) => it.caption.textContent === 'Source and "
        "targets'); return [...found.tHead.rows].map((row) => [...row.cells].filter((it) => it.offsetParent).map((it) "
        "=> [it.textContent.trim(), it.colSpan]));"
    )
    assert shown == [[["Method", 1], ["Target", 1], ["", 1]], [["Data 2", 1], ["Average", 1]]]
    assert set(_column(page, SPLITS, 0)) == {"d2"}


def test_the_theme_follows_the_system_and_the_button(page: Any) -> None:
    def background() -> str:
        return str(page.execute_script("return getComputedStyle(document.body).backgroundColor"))

    light = background()
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": _prefers("dark")})
    dark = background()
    assert dark != light
    button = page.find_element("css selector", "button[name=theme]")
    button.click()
    assert (background(), button.get_attribute("aria-pressed")) == (light, "false")
    button.click()
    assert (background(), button.get_attribute("aria-pressed")) == (dark, "true")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_in_both_themes(page: Any, theme: str) -> None:
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": _prefers(theme)})
    for selector in ("body", ".soft", ".spread", "nav a", "thead th button", ".controls label", ".controls button"):
        text, background = _colours(page, selector)
        assert _contrast(text, background) >= 4.5, selector


@pytest.mark.parametrize("width", [320, 400, 1280])
def test_only_tables_scroll_sideways(page: Any, width: int) -> None:
    _narrow(page, width)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_names_of_methods_stay_in_sight(page: Any) -> None:
    _narrow(page, 400)
    before, after = page.execute_script(
        "const box = [...document.querySelectorAll('.scroll')].find((it) => it.scrollWidth > it.clientWidth + 100);"
        "const name = box.querySelector('tbody th'); const before = name.getBoundingClientRect().left;"
        "box.scrollLeft = 80; return [before, name.getBoundingClientRect().left];"
    )
    assert after == pytest.approx(before, abs=1)


def test_it_is_whole_without_scripts(page: Any, report: Path) -> None:
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.get(report.as_uri())
        assert not page.find_element("css selector", ".controls").is_displayed()
        tables = page.find_elements("css selector", "table")
        assert len(tables) > 10
        assert all(table.is_displayed() for table in tables)
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_it_prints(page: Any) -> None:
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": _prefers("dark")})
    assert not page.find_element("css selector", ".controls").is_displayed()
    _, background = _colours(page, "body")
    assert min(background) == 255
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": _prefers("light")})
    printed = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") > 4


def test_a_screenshot_can_be_kept(page: Any, tmp_path: Path) -> None:
    path = Path(os.environ.get("PROMPTARENA_SCREENSHOT", tmp_path / "report.png"))
    assert page.save_screenshot(str(path))
    assert path.stat().st_size > 10_000
