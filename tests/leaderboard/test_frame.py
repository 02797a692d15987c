"""The tidy frame: what it holds, what it refuses, what it says about rival runs."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import Cost, StoredResult, StoredScore, Target
from promptarena.benchmark.leaderboard.frame import DTYPES, tidy

START = datetime(2026, 1, 1, tzinfo=UTC)
BASE, NOVEL = Target("dtd", "base"), Target("dtd", "novel")
RESULT = StoredResult(
    run_id="r1",
    run_key="k1",
    suite="mini",
    protocol="base-to-novel",
    method="coop",
    overrides=(("n_ctx", "16"),),
    dataset="dtd",
    shots=16,
    seed=1,
    backbone="mini-clip",
    miniature=True,
    scores=(StoredScore(BASE, 1, 3), StoredScore(NOVEL, 2, 3)),
    cost=Cost(8192, 12.5, 800, 2.5, 600, 512.0),
    finished_at=START,
)


def test_one_row_per_target_with_integers_and_nothing_rounded() -> None:
    frame = tidy([RESULT])
    assert list(frame.columns) == list(DTYPES)
    assert list(frame["target_subset"]) == ["base", "novel"]
    assert list(frame["value"]) == [1 / 3, 2 / 3]
    first = frame.iloc[0]
    assert (first["correct"], first["total"], first["metric"]) == (1, 3, "accuracy")
    assert (first["trainable_parameters"], first["train_seconds"], first["peak_memory_mib"]) == (8192, 12.5, 512.0)
    assert (first["label"], first["seed"], first["run_id"], first["miniature"]) == ("coop(n_ctx=16)", 1, "r1", True)
    assert first["finished_at"] == pd.Timestamp(START)
    assert frame.attrs == {"notes": [], "holes": []}


def test_another_reading_of_the_same_images_is_a_row_of_its_own() -> None:
    frame = tidy([replace(RESULT, scores=(*RESULT.scores, StoredScore(NOVEL, 3, 3, "class feature")))])
    assert list(frame["label"]) == ["coop(n_ctx=16)", "coop(n_ctx=16)", "coop(n_ctx=16): class feature"]
    assert list(frame["value"]) == [1 / 3, 2 / 3, 1.0]
    assert not frame.attrs["notes"]


def test_an_empty_frame_has_its_columns() -> None:
    frame = tidy([])
    assert frame.empty
    assert list(frame.columns) == list(DTYPES)


def test_no_seed_is_missing_not_a_number() -> None:
    frame = tidy([replace(RESULT, seed=None), replace(RESULT, dataset="eurosat", run_id="r2", run_key="k2")])
    assert list(frame["seed"].isna()) == [True, True, False, False]
    assert frame["seed"].dtype == "Int64"


def test_the_newest_of_rival_runs_is_kept_and_named() -> None:
    newer = replace(
        RESULT, run_id="r2", run_key="k2", scores=(StoredScore(BASE, 2, 3),), finished_at=START + timedelta(days=1)
    )
    for order in ([RESULT, newer], [newer, RESULT]):
        frame = tidy(order).sort_values("target_subset")
        assert list(frame["run_id"]) == ["r2", "r1"]
        (note,) = frame.attrs["notes"]
        assert note["protocol"] == "base-to-novel"
        assert note["text"].startswith("coop(n_ctx=16) on dtd (base-to-novel, 16 shots, seed 1): 2 runs of different")


def test_a_run_finished_twice_is_named() -> None:
    (note,) = tidy([replace(RESULT, duplicates=1)]).attrs["notes"]
    assert "finished 2 times" in note["text"]


def test_reasons_for_missing_scores_are_kept() -> None:
    frame = tidy([replace(RESULT, scores=RESULT.scores[:1], unscored={NOVEL: "no novel classes"})])
    assert len(frame) == 1
    (hole,) = frame.attrs["holes"]
    assert (hole["label"], hole["target_dataset"], hole["target_subset"]) == ("coop(n_ctx=16)", "dtd", "novel")
    assert hole["reason"] == "no novel classes"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (replace(RESULT, scores=(StoredScore(BASE, 0, 0),)), "0 of 0 right on dtd/base"),
        (replace(RESULT, scores=(StoredScore(BASE, 4, 3),)), "4 of 3 right on dtd/base"),
        (replace(RESULT, cost=replace(RESULT.cost, train_seconds=float("nan"))), "train_seconds = nan"),
    ],
)
def test_figures_that_cannot_be_are_refused_by_name(broken: StoredResult, words: str) -> None:
    with pytest.raises(UserError) as error:
        tidy([broken])
    assert words in str(error.value)
    assert "coop(n_ctx=16) on dtd" in str(error.value)
    assert "r1" in str(error.value)


def test_tables_need_neither_torch_nor_mlflow() -> None:
    code = (
        "import sys\n"
        "from promptarena.benchmark.leaderboard import frame\n"
        "from promptarena.benchmark.leaderboard import build as leaderboard\n"
        "from promptarena.benchmark.leaderboard.formats import render as tables\n"
        "from promptarena.benchmark.leaderboard.formats import terminal as tables_rich\n"
        "from promptarena.benchmark.leaderboard.formats import markdown as tables_markdown\n"
        "from promptarena.benchmark.leaderboard.formats import latex as tables_latex\n"
        "from promptarena.benchmark.leaderboard.formats import csv_text, json_text\n"
        "from promptarena.benchmark.leaderboard.formats import html as tables_html\n"
        "from promptarena.benchmark.recording import record\n"
        "frame.tidy([])\n"
        "print(sorted({'torch', 'mlflow', 'promptarena.benchmark.running.runner'} & set(sys.modules)))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_what_was_left_out_is_not_copied_with_each_column() -> None:
    frame = tidy([RESULT])
    assert all(frame["label"].attrs[name] is frame.attrs[name] for name in ("notes", "holes"))
