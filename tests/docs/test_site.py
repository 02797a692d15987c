"""The documentation's site: it builds strictly without a network, and a browser shows it without errors.

PROMPTARENA_SCREENSHOT names a folder to keep screenshots in.
"""

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
pytest.importorskip("mkdocs", reason="mkdocs is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("Chromium"),
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium or its driver is not on this machine"),
]

PAGES = (
    "",
    "start/",
    "inventor/",
    "statistics/",
    "methods/",
    "methods/coop/",
    "api/",
    "commands/",
    "faq/",
    "contributing/",
)
OFFLINE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "NO_MKDOCS_2_WARNING": "1"}


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the site, built anew."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, env=os.environ | OFFLINE, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def requested(browser: Any) -> list[str]:
    """The addresses that the browser asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [message for message in messages if message["method"] == "Network.requestWillBeSent"]
    return [message["params"]["request"]["url"] for message in sent]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_pages_are_shown_without_errors(site: str, browser: Any, width: int, scheme: str) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(site)
    browser.execute_script("localStorage.clear()")
    for page in PAGES:
        browser.get(site + page)
        shown = browser.execute_script("return document.body.getAttribute('data-md-color-scheme')")
        assert shown == {"light": "default", "dark": "slate"}[scheme]
        overflow = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{page}: {overflow} pixels wider than the window"
        if folder := os.environ.get("PROMPTARENA_SCREENSHOT"):
            name = f"{page.strip('/').replace('/', '-') or 'index'}-{width}-{scheme}.png"
            browser.save_screenshot(str(Path(folder) / name))
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    assert [url for url in requested(browser) if not url.startswith((site, "data:", "about:", "blob:"))] == []


def test_the_search_finds_a_page(site: str, browser: Any) -> None:
    index = json.loads(
        browser.execute_async_script(
            "const [url, done] = arguments; fetch(url).then(answer => answer.text()).then(done)",
            f"{site}search/search_index.json",
        )
    )
    found = {entry["location"].split("#")[0] for entry in index["docs"]}
    assert set(PAGES) <= found
    assert any("exif_rotation" in entry["text"] for entry in index["docs"])
