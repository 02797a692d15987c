"""The report in headless Chromium: a browser, and what is to be seen on the page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


@contextmanager
def opened_browser() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def fresh(browser: Any, address: str) -> Any:
    """The page as it is first seen, light and as wide as the window, when its script has run."""
    from selenium.webdriver.support.ui import WebDriverWait

    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": prefers("light")})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    # A new fragment alone would not load the page again.
    browser.get("about:blank")
    browser.get(address)
    WebDriverWait(browser, 20).until(lambda page: page.find_element("css selector", ".controls").is_displayed())
    return browser


def prefers(theme: str) -> list[dict[str, str]]:
    return [{"name": "prefers-color-scheme", "value": theme}]


def narrow(page: Any, width: int) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def column(page: Any, table: str, place: int) -> list[str]:
    """The texts of a column, row by row; place 0 has the methods."""
    return list(
        page.execute_script(
            "return [...document.getElementById(arguments[0]).tBodies[0].rows].filter((row) => row.offsetParent)"
            ".map((row) => row.cells[arguments[1]].textContent.trim());",
            table,
            place,
        )
    )


def heading(page: Any, table: str, title: str) -> Any:
    return page.execute_script(
        "return [...document.getElementById(arguments[0]).tHead.querySelectorAll('th')]"
        ".find((it) => it.textContent.trim() === arguments[1]);",
        table,
        title,
    )


def choose(page: Any, name: str, value: str) -> None:
    page.execute_script(
        "const it = document.querySelector('.controls').elements[arguments[0]]; it.value = arguments[1];"
        "for (const name of ['input', 'change']) it.dispatchEvent(new Event(name, {bubbles: true}));",
        name,
        value,
    )


def visible(page: Any, selector: str) -> list[str]:
    return list(
        page.execute_script(
            "return [...document.querySelectorAll(arguments[0])].filter((it) => it.offsetParent).map((it) => "
            "it.textContent.trim());",
            selector,
        )
    )


def colours(page: Any, selector: str) -> list[tuple[float, ...]]:
    """Text and background of the first element that matches, as (r, g, b); the background may be a parent's."""
    found = page.execute_script(
        "let it = document.querySelector(arguments[0]); const text = getComputedStyle(it).color;"
        "while (it && /, 0\\)$|transparent/.test(getComputedStyle(it).backgroundColor)) it = it.parentElement;"
        "return [text, getComputedStyle(it || document.body).backgroundColor];",
        selector,
    )
    return [tuple(float(part) for part in text[text.index("(") + 1 : -1].split(",")[:3]) for text in found]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The ratio of WCAG 2."""

    def luminance(colour: tuple[float, ...]) -> float:
        parts = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
