"""The report of many methods, of few and of odd ones: its size and height, accessibility, and that its script's figures
are those of the statistics.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from drawn_predictions import drawn
from report_browser import CHROMIUM, DRIVER, choose, fresh, narrow, opened_browser, prefers
from report_runs import NASTY, document_of, layout_of, results_of

from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.core.protocol_table import PROTOCOLS
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.plugins.families import FAMILIES
from promptarena.benchmark.report.recorded import page_of
from promptarena.benchmark.report.sections import Section, sections_of
from promptarena.benchmark.statistics.paired import compare

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
AXE = find_spec("axe_core_python")
chromium = [
    pytest.mark.needs("Chromium"),
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Chromium or its driver is not on this machine"),
]
BUILT_IN = [method for methods in FAMILIES.values() for method in methods]
FORTY = [*BUILT_IN, *(f"another-method-{place}" for place in range(40))][:40]
MOST_BYTES, MOST_PIXELS = 3_000_000, 6000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened_browser() as driver:
        yield driver


def written(folder: Path, labels: list[str], datasets: int, **common: Any) -> Path:
    layout = layout_of(datasets)
    # As long as MLflow's own, for the size.
    results = [replace(run, run_id=digest(run.run_id)[:32]) for run in results_of(layout, labels, **common)]
    path = folder / "report.html"
    path.write_text(page_of(layout, results, list(map(document_of, results))), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def forty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("forty"), FORTY, 15)


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of forty methods on fifteen datasets whose runs all keep predictions."""
    layout = layout_of(15)
    results = [replace(run, run_id=digest(run.run_id)[:32]) for run in results_of(layout, FORTY, seeds=(1, 2))]
    runs = {run.run_id: run for run in results}

    @cache
    def of_method(label: str, target: Target, base: int | None) -> Predictions:
        # Equal for all seeds, since drawing them would take longer than the page.
        place = FORTY.index(label)
        kept = drawn(24, 6, seed=place, skill=1 + place / 20, base=base)
        return replace(kept, target=target)

    def kept(run_id: str, target: Target) -> Sequence[Predictions]:
        run = runs[run_id]
        return [of_method(run.label, target, 3 if run.protocol == "open-world" else None)]

    path = tmp_path_factory.mktemp("predicted") / "report.html"
    path.write_text(page_of(layout, results, list(map(document_of, results)), predictions=kept), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def fewer(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The pages of 7 and of 26 methods, the latter with settings in their names."""
    settings = [f"{method}(n_ctx=16, init=a photo of a, depth={place})" for place, method in enumerate(FORTY[:26])]
    labels = {7: BUILT_IN[:7], 26: ["zeroshot", *settings[1:]]}
    return [written(tmp_path_factory.mktemp(f"methods-{count}"), of, 15) for count, of in labels.items()]


def test_forty_methods_on_fifteen_datasets_fit_into_three_megabytes(forty: Path) -> None:
    assert forty.stat().st_size < MOST_BYTES


def test_with_boards_from_predictions_too_and_what_is_left_out_is_named(predicted: Path) -> None:
    html = predicted.read_text(encoding="utf-8")
    assert len(html.encode()) < MOST_BYTES
    said = re.findall(r"Left out, since the page would be larger than 3 MB: ([^<]*)", html)
    assert len(said) == 1
    assert "made from predictions" in said[0]
    assert "promptarena leaderboard s --boards calibration " in said[0]
    for protocol in PROTOCOLS:  # figures are still shown
        assert f"{protocol}-reliability" in html


class TestInChromium:
    pytestmark = chromium

    @pytest.mark.parametrize("width", [390, 1000, 1400])
    def test_many_methods_are_not_a_wall(
        self, browser: Any, forty: Path, predicted: Path, fewer: list[Path], width: int
    ) -> None:
        for path in (forty, predicted, *fewer):
            narrow(fresh(browser, path.as_uri()), width)
            assert browser.execute_script("return document.documentElement.scrollHeight") <= MOST_PIXELS
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width

    def test_a_filter_of_forty_methods_is_quick(self, browser: Any, forty: Path) -> None:
        page = fresh(browser, forty.as_uri())
        started = time.monotonic()
        choose(page, "method", "maple")
        assert page.execute_script("return document.body.offsetHeight") > 0
        assert time.monotonic() - started < 2

    @pytest.mark.parametrize(
        ("labels", "datasets", "common"),
        [
            (["coop"], 2, {"seeds": (1,)}),
            (["zeroshot", *NASTY], 2, {}),
            (BUILT_IN[:7], 3, {"seeds": (1, 2)}),
        ],
    )
    @pytest.mark.parametrize("theme", ["light", "dark"])
    @pytest.mark.skipif(AXE is None, reason="axe-core-python is not installed")
    def test_axe_finds_nothing(
        self, browser: Any, tmp_path: Path, labels: list[str], datasets: int, common: dict[str, Any], theme: str
    ) -> None:
        page = fresh(browser, written(tmp_path, labels, datasets, **common).as_uri())
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": prefers(theme)})
        page.execute_script("document.querySelectorAll('details').forEach((it) => (it.open = true));")
        assert AXE
        assert AXE.submodule_search_locations
        script = Path(AXE.submodule_search_locations[0]) / "axe.min.js"
        page.execute_script(script.read_text(encoding="utf-8"))
        found = page.execute_async_script("const done = arguments[0]; axe.run(document).then(done);")
        violations = [(each["id"], each["nodes"][0]["html"][:200]) for each in found["violations"]]
        assert violations == []
        assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []

    def test_the_comparison_of_two_methods_is_that_of_the_statistics(self, browser: Any, tmp_path: Path) -> None:
        layout, labels = layout_of(6), ["zeroshot", "coop", "maple"]
        results = [
            replace(run, seed=None) if run.label == "zeroshot" else run
            for run in results_of(layout, labels)
            if run.label != "zeroshot" or run.seed == 1
        ]
        path = tmp_path / "report.html"
        path.write_text(page_of(layout, results, list(map(document_of, results))), encoding="utf-8")
        sections = {section.protocol: section for section in sections_of(layout, results)}
        for first, second in (("coop", "maple"), ("zeroshot", "coop")):
            fresh(browser, f"{path.as_uri()}#first={first}&second={second}")
            for protocol in PROTOCOLS:
                if protocol != "open-world":
                    assert _shown(browser, protocol) == _expected(sections[protocol], first, second), protocol


def _shown(page: Any, protocol: str) -> list[list[str]]:
    script = (
        "return [...document.querySelectorAll(`#pairs [data-p='${arguments[0]}'] tbody tr`)]"
        ".map((row) => [0, 3, 4].map((place) => row.cells[place].textContent));"
    )
    return list(page.execute_script(script, protocol))


def _expected(section: Section, first: str, second: str) -> list[list[str]]:
    found = []
    for each in compare(section.scores, first, second).datasets:
        over = each.spread
        assert over.low is not None
        assert over.high is not None
        found.append([each.title, f"{over.mean:+z.2f}", f"{over.low:+z.2f} to {over.high:+z.2f}"])
    return found


@pytest.mark.parametrize("labels", [["coop"], ["zeroshot"], [*NASTY]])
def test_odd_pages_say_what_they_can(tmp_path: Path, labels: list[str]) -> None:
    html = written(tmp_path, labels, 2, seeds=(1,), protocols=["base-to-novel"]).read_text(encoding="utf-8")
    assert " is best with " in html
    assert ("there is nothing to compare it with" in html) is (len(labels) == 1)
    assert not re.search(r"\b(nan|inf|None)\b", re.sub(r"<(style|script|svg).*?</\1>", "", html, flags=re.DOTALL))
