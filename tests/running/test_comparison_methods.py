"""Which methods a comparison takes when the user names some, none, or all."""

from pathlib import Path

import pytest
from e2e_world import make_world

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.planning.suites import DEFAULT_METHODS
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.running.comparison import plan_comparison
from promptarena.benchmark.running.execution import ExecutionConfig

PLUGIN = """
from promptarena.methods.zeroshot import ZeroShot


class Mine(ZeroShot):
    pass
"""


@pytest.fixture
def place(tmp_path: Path) -> ExecutionConfig:
    (tmp_path / "mine.py").write_text(PLUGIN)
    suite = make_world(tmp_path / "world")
    return ExecutionConfig(str(suite), tmp_path / "results", tmp_path / "cache", plugins=(tmp_path / "mine.py",))


def planned(place: ExecutionConfig, *methods: str) -> list[str]:
    request = Request(methods=methods, protocols=("base-to-novel",))
    runs = plan_comparison(request, place, Record.open(RecordPlace(place.results))).runs
    return list(dict.fromkeys(run.spec.method for run in runs))


def test_none_named_are_the_suites_and_those_of_the_plugin_files(place: ExecutionConfig) -> None:
    assert sorted(planned(place)) == sorted((*DEFAULT_METHODS, "mine"))


def test_named_ones_stand_alone(place: ExecutionConfig) -> None:
    assert planned(place, "coop", "mine") == ["coop", "mine"]


def test_all_are_all_that_can_be_used(place: ExecutionConfig) -> None:
    assert planned(place, "all") == list(load_registry(place.plugins).methods)


def test_a_suite_names_its_own(place: ExecutionConfig) -> None:
    suite = Path(place.suite)
    suite.write_text('methods = ["coop"]\n' + suite.read_text())
    assert planned(place) == ["coop", "mine"]


def test_no_method_may_be_called_all(tmp_path: Path) -> None:
    (tmp_path / "all.py").write_text(PLUGIN)
    with pytest.raises(UserError, match="stands for several methods"):
        load_registry((tmp_path / "all.py",))


ABLATED = """
from promptarena.methods.coop import CoOp


class Mine(CoOp):
    ablations = {"words": {"ctx_init": "", "n_ctx": 4}, "end": {"class_token_position": "front"}}
"""


def ablated(place: ExecutionConfig, *ablations: str) -> list[str]:
    place.plugins[0].write_text(ABLATED)
    request = Request(
        methods=("coop", "mine"), protocols=("base-to-novel",), ablations=ablations, settings=("mine.n_ctx=4",)
    )
    runs = plan_comparison(request, place, Record.open(RecordPlace(place.results))).runs
    return [run.spec.label for run in runs]


def test_an_ablation_is_a_run_of_its_own_beside_the_whole_method(place: ExecutionConfig) -> None:
    whole, no_words = "mine(n_ctx=4)", "mine(ctx_init=, n_ctx=4)"
    assert ablated(place) == ["coop", whole]
    assert ablated(place, "words") == ["coop", whole, no_words]
    assert ablated(place, "all") == ["coop", whole, no_words, "mine(class_token_position=front, n_ctx=4)"]


def test_an_ablation_that_no_method_declares_is_refused(place: ExecutionConfig) -> None:
    with pytest.raises(UserError, match="unknown ablation 'word'; did you mean words"):
        ablated(place, "word")
    with pytest.raises(UserError, match="none of coop declares ablations"):
        plan_comparison(
            Request(methods=("coop",), ablations=("words",)), place, Record.open(RecordPlace(place.results))
        )
