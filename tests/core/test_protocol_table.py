"""The table of protocols: what it refuses, that nothing else names a protocol, and what a new one takes."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from promptarena.benchmark.core import protocol_table
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.protocol_table import PROTOCOLS, Protocol, ProtocolInfo, protocol_info
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.planning import protocols as planning
from promptarena.benchmark.planning.protocols import TRAININGS, _Training, enumerate_runs
from promptarena.benchmark.planning.suites import BackboneSource, Suite
from promptarena.benchmark.plots.all_figures import every_figure
from promptarena.benchmark.statistics.board import statistics_board
from tests.support.score_frames import frame_of

BENCHMARK = Path(protocol_table.__file__).parents[1]
MAY_NAME = {Path(protocol_table.__file__), Path(planning.__file__)}
NEW = ProtocolInfo(
    name="base-to-base",
    title="Base to base",
    heading="base-to-\nbase",
    average="Average: unweighted mean over {count}.",
    metrics=("base",),
    suite_field="datasets",
    columns="metrics",
)
DATASETS = [("birds", "Birds"), ("cars", "Cars")]


def test_rows_are_found_by_their_names_and_all_are_enumerated() -> None:
    assert [protocol_info(name).name for name in PROTOCOLS] == list(PROTOCOLS)
    assert set(TRAININGS) == set(PROTOCOLS)


def test_an_unknown_protocol_is_refused_with_near_names() -> None:
    with pytest.raises(UserError, match=r"unknown protocol 'few-shots'; did you mean few-shot\?"):
        protocol_info("few-shots")


@pytest.mark.parametrize("wrong", ["few-shots", "", 3, ["few-shot"]])
def test_pydantic_refuses_what_is_no_protocols_name(wrong: object) -> None:
    allowed = "Input should be 'base-to-novel', 'cross-dataset', 'domain-generalization', 'few-shot' or 'open-world'"
    with pytest.raises(ValidationError, match=allowed):
        TypeAdapter(Protocol).validate_python(wrong, strict=True)


def test_nothing_else_in_the_benchmark_names_a_protocol() -> None:
    found = [
        f"{path.relative_to(BENCHMARK)}:{text.lineno}: {text.value!r}"
        for path in sorted(BENCHMARK.rglob("*.py"))
        if path not in MAY_NAME
        for text in strings(ast.parse(path.read_text()))
        if any(name in text.value for name in PROTOCOLS)
    ]
    assert found == []


def strings(tree: ast.AST) -> Iterator[ast.Constant]:
    """The string constants of a module that are no docstrings."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node


def test_a_new_protocol_takes_a_row_and_an_enumeration(monkeypatch: pytest.MonkeyPatch) -> None:
    def base_to_base(suite: Suite, names: Sequence[str]) -> tuple[_Training, ...]:
        return tuple(_Training(name, "base", (Target(name, "base"),)) for name in names)

    monkeypatch.setitem(PROTOCOLS, NEW.name, NEW)
    monkeypatch.setitem(TRAININGS, NEW.name, base_to_base)
    suite = Suite(
        name="toy",
        title="Toy",
        backbone=BackboneSource(config=Path("a.json"), weights=Path("w.safetensors")),
        datasets=("birds", "cars"),
        protocols=(NEW.name,),
    )
    runs, notes = enumerate_runs(suite, {"coop": True}, seeds=[1])
    assert notes == ()
    assert [run.targets for run in runs] == [(Target("birds", "base"),), (Target("cars", "base"),)]

    accuracies = {"coop": 80.0, "maple": 82.0}
    rows = [
        (label, dataset, seed, {"base": percent + seed})
        for label, percent in accuracies.items()
        for dataset in suite.datasets
        for seed in (1, 2)
    ]
    frame = frame_of(rows, NEW.name)
    board = BoardQuery(frame, NEW.name, DATASETS).board
    assert [table.key for table in board.tables] == ["average", "birds", "cars", "cost"]
    assert [column.key for column in board.tables[0].columns] == ["base_pct"]
    assert [(row.label, row.cells[0].value) for row in board.tables[0].rows] == [("maple", 83.5), ("coop", 81.5)]
    assert board.notes == ()
    assert board.caption.endswith("Average: unweighted mean over 2 datasets.")
    assert statistics_board(BoardQuery(frame, NEW.name, DATASETS)).tables[0].rows[0].label == "maple"
    assert {"bars", "cost"} <= set(every_figure(BoardQuery(frame, NEW.name, DATASETS)))
