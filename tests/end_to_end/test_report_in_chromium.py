"""The report in a real browser: it opens silently, sorts, filters, opens cells, changes its theme and prints.

PROMPTARENA_SCREENSHOT names a file to keep a screenshot in.
"""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_browser import (
    CHROMIUM,
    DRIVER,
    choose,
    colours,
    column,
    contrast,
    fresh,
    heading,
    narrow,
    opened_browser,
    prefers,
    visible,
)
from report_runs import document_of, layout_of, results_of

from promptarena.benchmark.report.recorded import page_of

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
pytestmark = [
    pytest.mark.needs("Chromium"),
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium or its driver is not on this machine"),
]

HM = "base-to-novel-hm"
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
    with opened_browser() as driver:
        yield driver


@pytest.fixture
def page(browser: Any, report: Path) -> Any:
    return fresh(browser, report.as_uri())


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
    assert len(visible(page, "figure.chart")) == 1


def test_a_click_sorts_by_the_number_below_the_reference_with_holes_last(page: Any) -> None:
    initial = column(page, HM, 0)
    head = heading(page, HM, "Data 1")
    button = head.find_element("tag name", "button")
    for direction, sign in (("descending", -1), ("ascending", 1)):
        button.click()
        assert head.get_attribute("aria-sort") == direction
        names = column(page, HM, 0)
        assert (names[0], names[-1]) == ("coop", "maple")
        shown = column(page, HM, 3)
        assert shown[-1] == "–"
        numbers = [float(text.split()[0]) for text in shown[1:-1]]
        assert numbers == sorted(numbers, key=lambda number: sign * number)
        assert len(set(numbers)) == 2
    button.click()
    assert head.get_attribute("aria-sort") == "none"
    assert column(page, HM, 0) == initial


def test_numbers_are_not_sorted_as_text(page: Any) -> None:
    page.execute_script(f"document.getElementById('{HM}').tBodies[0].rows[1].cells[4].textContent = '9.5';")
    heading(page, HM, "Data 2").find_element("tag name", "button").click()
    assert column(page, HM, 4)[-1] == "9.5"


def test_the_keyboard_sorts_too_and_one_column_at_a_time(page: Any) -> None:
    one, other = (heading(page, HM, title) for title in ("Data 2", "Data 3"))
    one.find_element("tag name", "button").send_keys("\ue007")
    other.find_element("tag name", "button").send_keys(" ")
    assert (one.get_attribute("aria-sort"), other.get_attribute("aria-sort")) == ("none", "descending")
    numbers = [float(text.split()[0]) for text in column(page, HM, 5)[1:]]
    assert numbers == sorted(numbers, reverse=True)


def test_columns_under_groups_are_sorted_by_themselves(page: Any) -> None:
    heads = page.find_elements("css selector", "#all th[data-place='4'] button")
    heads[0].click()
    numbers = [float(text.split()[0]) for text in column(page, "all", 4)[1:]]
    assert numbers == sorted(numbers, reverse=True)


def test_the_filter_for_methods_holds_for_tables_and_figures(page: Any) -> None:
    choose(page, "method", "COOP, map")
    assert set(column(page, "all", 0)) == set(column(page, HM, 0)) == {"coop", "maple"}
    assert "coop" in page.find_element("css selector", "figure.chart").text
    assert "zeroshot" not in page.find_element("css selector", "figure.chart").text
    assert page.find_element("css selector", "output").text == "2 of 4 methods shown"
    page.find_element("css selector", "button[type=reset]").click()
    assert len(column(page, "all", 0)) == 4
    assert "zeroshot" in page.find_element("css selector", "figure.chart").text


def test_families_and_single_methods_can_be_hidden(page: Any) -> None:
    choose(page, "family", "context")
    assert column(page, "all", 0) == ["coop"]
    choose(page, "family", "")
    page.find_element("css selector", ".pick summary").click()
    page.find_element("css selector", ".choices input[value='0']").click()
    assert len(column(page, "all", 0)) == 3


def test_the_filter_for_protocols(page: Any) -> None:
    choose(page, "protocol", "cross-dataset")
    assert "Cross-dataset transfer" in visible(page, "main > section > h2")
    assert "Base-to-novel generalization" not in visible(page, "main > section > h2")
    assert len(visible(page, "#all tbody tr:first-child td")) == 3 + 3
    choose(page, "protocol", "")
    assert "Base-to-novel generalization" in visible(page, "main > section > h2")


def test_the_filter_for_datasets_hides_columns(page: Any) -> None:
    choose(page, "dataset", "d2")
    assert visible(page, f"#{HM} thead th") == ["Method", "Average", "Data 2"]
    assert len(visible(page, f"#{HM} tbody tr:first-child > *")) == 3
    choose(page, "dataset", "")
    assert len(visible(page, f"#{HM} thead th")) == 6


def test_the_switch_shows_one_view_at_a_time(page: Any) -> None:
    assert visible(page, "#base-to-novel .view caption") == ["HM"]
    page.find_element("css selector", "input[value=novel]").click()
    assert visible(page, "#base-to-novel .view caption") == ["Novel"]


def test_the_address_keeps_the_view(page: Any, report: Path) -> None:
    choose(page, "method", "o")
    page.find_element("css selector", "input[value=base]").click()
    heading(page, "base-to-novel-base", "Data 3").find_element("tag name", "button").click()
    page.find_element("css selector", ".pick summary").click()
    page.find_element("css selector", ".choices input[value='0']").click()
    rows, address = column(page, "base-to-novel-base", 0), page.current_url
    assert len(rows) == 2
    fresh(page, address)
    assert visible(page, "#base-to-novel .view caption") == ["Base"]
    assert column(page, "base-to-novel-base", 0) == rows
    assert page.find_element("css selector", "input[name=method]").get_attribute("value") == "o"
    fresh(page, f"{report.as_uri()}#sort=nothing:1:descending&hide=nobody&view-base-to-novel=none&protocol=x")
    assert page.get_log("browser") == []
    assert len(column(page, "all", 0)) == 4


def test_a_cell_opens_its_runs(page: Any) -> None:
    cell = page.find_element("css selector", f"#{HM} tbody tr:nth-child(2) td:nth-of-type(3)")
    shown = cell.text.split()[0]
    label = column(page, HM, 0)[1]
    cell.click()
    dialog = page.find_element("css selector", "dialog[open]")
    assert dialog.find_element("tag name", "h2").text == f"{label}: Base-to-novel generalization, Data 1"
    assert f"HM: {shown} (95 % interval over 3 seeds" in dialog.text
    assert len(dialog.find_elements("css selector", "tbody tr")) == 3
    assert "of 1000)" in dialog.text
    command = dialog.find_element("tag name", "code").text
    assert command.endswith("--protocols base-to-novel --datasets d1 --seeds 1 2 3")
    dialog.find_element("css selector", "dialog > button").click()
    assert not page.find_elements("css selector", "dialog[open]")


def test_the_keyboard_reaches_every_cell(page: Any) -> None:
    first = page.find_element("css selector", f"#{HM} tbody td[tabindex='0']")
    first.send_keys("\ue014")
    page.switch_to.active_element.send_keys("\ue015")
    active = page.switch_to.active_element
    assert active.text == page.find_element("css selector", f"#{HM} tbody tr:nth-child(2) td:nth-of-type(2)").text
    active.send_keys("\ue007")
    assert page.find_elements("css selector", "dialog[open]")
    page.switch_to.active_element.send_keys("\ue00c")
    assert not page.find_elements("css selector", "dialog[open]")
    assert len(page.find_elements("css selector", f"#{HM} td[tabindex]")) == 1


def test_the_theme_follows_the_system_and_the_button(page: Any) -> None:
    def background() -> str:
        return str(page.execute_script("return getComputedStyle(document.body).backgroundColor"))

    light = background()
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": prefers("dark")})
    dark = background()
    assert dark != light
    button = page.find_element("css selector", "button[name=theme]")
    button.click()
    assert (background(), button.get_attribute("aria-pressed")) == (light, "false")
    button.click()
    assert (background(), button.get_attribute("aria-pressed")) == (dark, "true")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_in_both_themes(page: Any, theme: str) -> None:
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": prefers(theme)})
    for selector in ("body", ".soft", "h2 a", "thead th button", ".controls label", ".controls button"):
        text, background = colours(page, selector)
        assert contrast(text, background) >= 4.5, selector


@pytest.mark.parametrize("width", [320, 390, 1000, 1400])
def test_only_tables_scroll_sideways(page: Any, width: int) -> None:
    narrow(page, width)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_names_of_methods_stay_in_sight(page: Any) -> None:
    narrow(page, 390)
    before, after = page.execute_script(
        "const box = document.querySelector('.overview'); const name = box.querySelector('tbody th');"
        "const before = name.getBoundingClientRect().left; box.scrollLeft = 80;"
        "return [before, name.getBoundingClientRect().left];"
    )
    assert after == pytest.approx(before, abs=1)


def test_it_is_whole_without_scripts(page: Any, report: Path) -> None:
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.get(report.as_uri())
        assert not page.find_element("css selector", ".controls").is_displayed()
        assert "is best with" in page.find_element("css selector", ".verdicts").text
        assert page.find_element("id", "all").is_displayed()
        page.find_element("css selector", "input[value=novel]").click()
        assert page.find_element("id", "base-to-novel-novel").is_displayed()
        summaries = page.find_elements("css selector", "section > details > summary")
        for summary in summaries:
            if summary.is_displayed():
                summary.click()
        assert sum(table.is_displayed() for table in page.find_elements("css selector", "table")) > 8
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_it_prints(page: Any) -> None:
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": prefers("dark")})
    assert not page.find_element("css selector", ".controls").is_displayed()
    _, background = colours(page, "body")
    assert min(background) == 255
    # As buttons the headings would be missing where a page repeats a table's head.
    shown = "return [...document.querySelectorAll('th button')].map((it) => getComputedStyle(it).display);"
    assert set(page.execute_script(shown)) == {"contents"}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": prefers("light")})
    printed = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") >= 2


def test_a_screenshot_can_be_kept(page: Any, tmp_path: Path) -> None:
    path = Path(os.environ.get("PROMPTARENA_SCREENSHOT", tmp_path / "report.png"))
    assert page.save_screenshot(str(path))
    assert path.stat().st_size > 10_000
