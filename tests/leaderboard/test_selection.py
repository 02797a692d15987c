"""Leaderboard and statistics are made of the same rows: both leave out and refuse the same."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from score_frames import DATASETS, drawn_frame, frame_of

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import Protocol
from promptarena.benchmark.leaderboard.build import BoardQuery, leaderboard
from promptarena.benchmark.leaderboard.selection import protocol_rows
from promptarena.benchmark.statistics.scores import read_scores

SOURCE = ("source", "Source")
TITLED = (SOURCE, *DATASETS[:3])
PROTOCOLS: tuple[Protocol, ...] = ("base-to-novel", "cross-dataset", "domain-generalization", "few-shot")


def outcome(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except UserError as error:
        return str(error)


def leaderboards_figures(frame: pd.DataFrame, protocol: Protocol, datasets: Any) -> Any:
    """Per method and dataset the mean accuracies in percent that the leaderboard shows, or its refusal."""
    columns = [name for name, _ in datasets[1:]] if "source" in dict(datasets) else [name for name, _ in datasets]
    board = outcome(lambda: BoardQuery(frame, protocol, datasets, shots=(16,)).board)
    if isinstance(board, str):
        return board
    found: dict[tuple[str, str, str], float] = {}
    for table in board.tables[:-1]:
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                dataset, side = column.dataset or table.dataset, column.metric or ""
                if dataset in columns and side != "hm" and cell.value is not None:
                    found[row.label, dataset, "all" if side == "accuracy" else side] = cell.value
    return found


def statistics_figures(frame: pd.DataFrame, protocol: Protocol, datasets: Any) -> Any:
    """The same from the scores that statistics are made of."""
    found: dict[tuple[str, str, str], float] = {}
    sides = {"base": "base", "novel": "novel"} if protocol == "base-to-novel" else {"all": "accuracy"}
    for side, metric in sides.items():
        scores = outcome(
            lambda metric=metric: read_scores(
                BoardQuery(frame, protocol, datasets), metric=metric, shots=16 if protocol == "few-shot" else None
            )
        )
        if isinstance(scores, str):
            return scores
        for label, by_dataset in scores.cells.items():
            for dataset, by_seed in by_dataset.items():
                found[label, dataset, side] = math.fsum(value for (value,) in by_seed.values()) / len(by_seed)
    return found


changes = st.lists(
    st.tuples(
        st.integers(0, 200),
        st.sampled_from(
            [
                ("own_split", True),
                ("shots", 4),
                ("suite", "another"),
                ("backbone", "another"),
                ("protocol", "another"),
                ("metric", "another"),
                ("dataset", "elsewhere"),
                ("target_dataset", "elsewhere"),
                ("seed", None),
                ("total", 0),
                ("correct", -1),
                ("value", math.nan),
                ("train_seconds", math.nan),
                ("label", "a"),
            ]
        ),
    ),
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(protocol=st.sampled_from(PROTOCOLS), changed=changes)
def test_leaderboard_and_statistics_rest_on_the_same_rows(protocol: Protocol, changed: list[Any]) -> None:
    frame = drawn_frame(np.random.default_rng(1), ["a", "b", "zeroshot"], protocol, datasets=3, seeds=(1, 2))
    for place, (column, value) in changed:
        frame.loc[place % len(frame), column] = value
        if column == "label":
            frame.loc[place % len(frame), "method"] = value
    transfer = protocol in ("cross-dataset", "domain-generalization")
    datasets = TITLED if transfer else TITLED[1:]
    ours, theirs = leaderboards_figures(frame, protocol, datasets), statistics_figures(frame, protocol, datasets)
    if isinstance(ours, str) or isinstance(theirs, str):
        assert ours == theirs
    else:
        assert ours == pytest.approx(theirs, abs=1e-9)


def test_what_another_protocol_source_or_dataset_says_changes_nothing() -> None:
    frame = drawn_frame(np.random.default_rng(1), ["a", "b"], "cross-dataset", datasets=3)
    others = [
        frame.assign(protocol="domain-generalization", backbone="another"),
        frame.assign(dataset="another source", backbone="another"),
        frame.assign(target_dataset="another target", backbone="another", seed=9, correct=-1),
        frame.assign(metric="loss", value=7.5, backbone="another"),
    ]
    mixed = pd.concat([frame, *others], ignore_index=True)
    assert BoardQuery(mixed, "cross-dataset", TITLED).board == BoardQuery(frame, "cross-dataset", TITLED).board
    assert read_scores(BoardQuery(mixed, "cross-dataset", TITLED)) == read_scores(
        BoardQuery(frame, "cross-dataset", TITLED)
    )


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("value", math.nan, "accuracy nan"),
        ("value", 1.5, "accuracy 1.5"),
        ("total", 0, "of 0 right"),
        ("correct", 10_001, "10001 of 10000 right"),
        ("train_seconds", math.nan, "train_seconds nan"),
        ("peak_memory_mib", math.inf, "peak_memory_mib inf"),
    ],
)
def test_a_figure_that_is_none_is_refused_with_its_run(column: str, value: float, words: str) -> None:
    frame = drawn_frame(np.random.default_rng(1), ["a", "b"], datasets=2)
    frame.loc[3, column] = value
    with pytest.raises(UserError, match=rf"a on d0/novel \(base-to-novel\) has .*{words}; delete run r3 in MLflow"):
        leaderboard(BoardQuery(frame, "base-to-novel", DATASETS[:2]))


def test_two_runs_of_one_score_are_refused() -> None:
    row = ("a", "d0", 1, {"all": 60.0})
    with pytest.raises(UserError, match=r"a on d0/all .* by several runs of one seed, r1 among them"):
        leaderboard(BoardQuery(frame_of([row, row], "few-shot"), "few-shot", DATASETS[:1]))
    seedless = ("zeroshot", "d0", None, {"all": 60.0})
    with pytest.raises(UserError, match="several runs"):
        leaderboard(BoardQuery(frame_of([seedless, seedless], "few-shot"), "few-shot", DATASETS[:1]))


def test_methods_without_results_are_spelt_like_those_with_several_numbers_of_shots() -> None:
    frame = drawn_frame(np.random.default_rng(1), ["a"], datasets=2, shots=(1, 16))
    rows = protocol_rows(frame, "base-to-novel", DATASETS[:2])
    names = rows.names([Label("a"), Label("b")])
    assert list(map(str, names)) == [
        "a (1 shot)",
        "a (16 shots)",
        "b (1 shot)",
        "b (16 shots)",
    ]
    assert set(rows.frame["label"]) == {"a (1 shot)", "a (16 shots)"}
    assert set(rows.frame["plain_label"]) == {"a"}
