import gc
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import hypothesis
import pytest
from forked_workers import fork_workers
from new_records import copy_new_records

hypothesis.settings.register_profile("no clock", deadline=None)  # a busy machine is not a fault
hypothesis.settings.load_profile("no clock")


@pytest.fixture(autouse=True, scope="session")
def _copied_records(tmp_path_factory: pytest.TempPathFactory) -> None:
    copy_new_records(tmp_path_factory.mktemp("first-record"))


@pytest.fixture(autouse=True, scope="session")
def _forked_workers() -> None:
    fork_workers()


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Callable[[str, int], None]:
    """Counts inputs of a family; the last lines of the test run have the sums."""

    def count(family: str, inputs: int) -> None:
        request.node.user_properties.append(("tried", [family, inputs]))

    return count


@pytest.fixture(autouse=True)
def unsealed() -> None:
    """A seal on a shared backbone belongs to the test that made it: what other tests change breaks it."""
    tiny = sys.modules.get("tiny")
    for backbone in tiny.SHARED if tiny else ():
        backbone.intact = lambda: True


@pytest.fixture(autouse=True, scope="module")
def _small_heap() -> Iterator[None]:
    """What a module leaves behind is not searched for garbage again: a search would take a second, later in a run."""
    yield
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.user_properties += [("needs", mark.args[0]) for mark in item.iter_markers("needs")]


def pytest_collection_finish() -> None:
    gc.freeze()  # what importing the tests brought in stays until the end: no search for garbage needs to see it


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    passed = Counter({"golden vectors": 0, "Chromium": 0, "pdflatex": 0})
    passed.update(
        thing
        for report in terminalreporter.getreports("passed")
        for name, thing in report.user_properties
        if name == "needs"
    )
    counted = ", ".join(f"{thing} {count}" for thing, count in passed.items())
    terminalreporter.write_line(f"tests that need more than the package, passed: {counted}")
    tried: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "tried":
                tried[value[0]] += value[1]
    if tried:
        inputs = sum(count for family, count in tried.items() if family not in ("kills", "commands at once"))
        families = ", ".join(f"{family} {count}" for family, count in sorted(tried.items()))
        terminalreporter.write_line(f"campaign, {inputs} inputs without a traceback, a hang or half a file: {families}")
