"""Which methods a comparison takes when the user names some, none, or all."""

from pathlib import Path

import pytest
from e2e_world import make_world

from promptarena.benchmark.comparison import Request, plan_comparison
from promptarena.benchmark.errors import UserError
from promptarena.benchmark.execution import Workplace
from promptarena.benchmark.record import Record
from promptarena.benchmark.registry import load_registry
from promptarena.benchmark.suites import DEFAULT_METHODS

PLUGIN = """
from promptarena.methods.zeroshot import ZeroShot


class Mine(ZeroShot):
    pass
"""


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    (tmp_path / "mine.py").write_text(PLUGIN)
    suite = make_world(tmp_path / "world")
    return Workplace(str(suite), tmp_path / "results", tmp_path / "cache", plugins=(tmp_path / "mine.py",))


def planned(place: Workplace, *methods: str) -> list[str]:
    request = Request(methods=methods, protocols=("base-to-novel",))
    runs = plan_comparison(request, place, Record.open(place.results, None)).runs
    return list(dict.fromkeys(run.spec.method for run in runs))


def test_none_named_are_the_suites_and_those_of_the_plugin_files(place: Workplace) -> None:
    assert sorted(planned(place)) == sorted((*DEFAULT_METHODS, "mine"))


def test_named_ones_stand_alone(place: Workplace) -> None:
    assert planned(place, "coop", "mine") == ["coop", "mine"]


def test_all_are_all_that_can_be_used(place: Workplace) -> None:
    assert planned(place, "all") == list(load_registry(place.plugins).methods)


def test_a_suite_names_its_own(place: Workplace) -> None:
    suite = Path(place.suite)
    suite.write_text('methods = ["coop"]\n' + suite.read_text())
    assert planned(place) == ["coop", "mine"]


def test_no_method_may_be_called_all(tmp_path: Path) -> None:
    (tmp_path / "all.py").write_text(PLUGIN)
    with pytest.raises(UserError, match="stands for every method"):
        load_registry((tmp_path / "all.py",))
