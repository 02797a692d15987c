"""The tables of statistics."""

import json
import re

import numpy as np
import pytest
from score_frames import DATASETS, drawn_frame, frame_of
from statistics_frames import SOURCE

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import Protocol
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.formats.render import Format, render
from promptarena.benchmark.leaderboard.model import Board, in_brief
from promptarena.benchmark.statistics.board import statistics_board
from promptarena.benchmark.statistics.paired import compare
from promptarena.benchmark.statistics.ranks import rank
from promptarena.benchmark.statistics.scores import read_scores

NASTY = [r"$x^2_{i}$ & 100% #1", r"~tilde\alpha{", "_under_score", "<script>|`*[a]", "y" * 80, "zeroshot"]
FORMATS: list[Format] = ["rich", "md", "latex", "html", "csv", "json"]


class TestBoard:
    def board(self, protocol: Protocol = "base-to-novel", **options: object) -> Board:
        frame = drawn_frame(
            np.random.default_rng(1), NASTY, protocol, shots=(4, 16) if protocol == "few-shot" else (16,)
        )
        titled = (SOURCE, *DATASETS) if protocol in ("cross-dataset", "domain-generalization") else DATASETS
        return statistics_board(BoardQuery(frame, protocol, titled, shots=(4, 16), **options), reference="zeroshot")  # type: ignore[arg-type]

    @pytest.mark.parametrize("protocol", ["base-to-novel", "cross-dataset", "domain-generalization", "few-shot"])
    def test_every_protocol_has_ranks_and_differences(self, protocol: Protocol) -> None:
        board = self.board(protocol)
        assert [table.key for table in board.tables] == ["ranks", "against", "against-datasets"]
        assert {row.label for row in board.tables[0].rows} == set(NASTY)
        assert {row.label for row in board.tables[1].rows} == set(NASTY) - {"zeroshot"}
        metrics = {"base-to-novel": 3, "few-shot": 2}.get(protocol, 1)
        assert len(board.tables[0].columns) == 3 * metrics
        assert len(board.notes) == metrics + 5
        assert board.part == "statistics"

    @pytest.mark.parametrize("format", FORMATS)
    def test_every_format_prints_it(self, format: Format) -> None:
        text = render(self.board(), format)
        assert "zeroshot" in text
        if format == "latex":
            assert r"\$x\textasciicircum{}2\_\{i\}\$ \& 100\% \#1" in text
        if format == "html":
            assert "<script>|" not in text
        if format in ("rich", "md", "latex", "html"):
            assert "5 of 5" in text or "0 of 5" in text

    def test_data_formats_keep_unrounded_differences_with_their_intervals(self) -> None:
        document = json.loads(render(self.board(), "json"))
        (row, *_) = document["tables"][1]["rows"]
        frame = drawn_frame(np.random.default_rng(1), NASTY)
        comparison = compare(read_scores(BoardQuery(frame, "base-to-novel", DATASETS)), row["method"], "zeroshot")
        figure = row["figures"]["hm_difference_points"]
        assert (figure["value"], figure["low95"], figure["high95"]) == (
            comparison.average,
            comparison.low,
            comparison.high,
        )
        assert f"p {comparison.p!r}" in row["figures"]["hm_holm_p"]["reason"]
        counts = [row["figures"][f"hm_{name}_count"]["value"] for name in ("won", "tied", "lost")]
        assert counts == [comparison.count(outcome) for outcome in ("win", "tie", "loss")]

    def test_ranks_p_values_and_verdicts_are_numbers_in_units_of_their_own(self) -> None:
        document = json.loads(render(self.board(), "json"))
        ranking = rank(read_scores(BoardQuery(drawn_frame(np.random.default_rng(1), NASTY), "base-to-novel", DATASETS)))
        ranks, against_reference, _ = document["tables"]
        shown = {row["method"]: row["figures"] for row in ranks["rows"]}
        assert {label: row["hm_mean_rank"]["value"] for label, row in shown.items()} == {
            each.label: each.rank for each in ranking.methods
        }
        for row in ranks["rows"]:
            near = ranking.beside(row["method"])
            assert row["figures"]["hm_apart_from_count"]["value"] == len(NASTY) - 1 - len(near)
        for row in against_reference["rows"]:
            assert 0 <= row["figures"]["hm_holm_p"]["value"] <= 1
            assert row["figures"]["hm_told_apart_flag"]["value"] in (0, 1)
        units = {
            column["key"].rpartition("_")[2]: column["unit"]
            for table in document["tables"]
            for column in table["columns"]
        }
        assert units == {
            "pct": "percent",
            "points": "points",
            "rank": "rank",
            "count": "count",
            "p": "p",
            "flag": "flag",
        }

    def test_without_a_reference_there_are_ranks_only(self) -> None:
        frame = drawn_frame(np.random.default_rng(1), ["a", "b"])
        board = statistics_board(BoardQuery(frame, "base-to-novel", DATASETS))
        assert [table.key for table in board.tables] == ["ranks"]
        assert len(board.notes) == 4

    def test_in_brief_it_is_what_the_headline_figures_say(self) -> None:
        frame = drawn_frame(np.random.default_rng(1), ["a", "b", "c"])
        board = statistics_board(BoardQuery(frame, "base-to-novel", DATASETS))
        assert board.brief == (board.notes[0], board.notes[-1])
        text = render(in_brief(board), "rich")
        assert "Mean ranks over datasets" not in text
        assert "differ significantly" in " ".join(text.split())
        assert len(text.splitlines()) < 10
        compared = statistics_board(BoardQuery(frame, "base-to-novel", DATASETS), reference="a")
        assert [re.sub("above|below", "beside", note).split(" ")[:4] for note in compared.brief[1:]] == [
            ["b", "is", "beside", "a"],
            ["c", "is", "beside", "a"],
        ]

    @pytest.mark.parametrize(
        ("labels", "datasets", "seeds"),
        [(["a"], 11, (1, 2)), (["a", "b"], 1, (1,)), (["a", "b"], 1, (1, 2)), ([], 2, ())],
    )
    def test_where_nothing_can_be_tested_the_words_say_why(
        self, labels: list[str], datasets: int, seeds: tuple[int, ...]
    ) -> None:
        frame = drawn_frame(np.random.default_rng(1), labels, datasets=datasets, seeds=seeds)
        board = statistics_board(BoardQuery(frame, "base-to-novel", DATASETS[:datasets]))
        reasons = ("nothing to compare it with", "One dataset does not say", "no methods with HM on the same")
        assert any(reason in board.brief[0] for reason in reasons)
        assert len(board.brief) == 1

    def test_an_unknown_reference_is_refused(self) -> None:
        frame = drawn_frame(np.random.default_rng(1), ["coop", "maple"])
        with pytest.raises(UserError, match="'mapel'; did you mean maple"):
            statistics_board(BoardQuery(frame, "base-to-novel", DATASETS), reference="mapel")

    def test_a_reference_that_shares_nothing_is_said_to(self) -> None:
        frame = drawn_frame(np.random.default_rng(1), ["coop", "maple"], datasets=2)
        frame = frame[(frame["label"] == "coop") == (frame["dataset"] == "d0")]
        board = statistics_board(BoardQuery(frame, "base-to-novel", DATASETS[:2]), reference="coop")
        assert board.notes[-1] == "Nothing can be compared with coop."
        assert board.tables[1].rows == ()

    def test_a_method_without_novel_scores_has_holes(self) -> None:
        frame = drawn_frame(np.random.default_rng(1), ["a", "b", "probe"])
        frame = frame[(frame["label"] != "probe") | (frame["target_subset"] == "base")]
        board = statistics_board(BoardQuery(frame, "base-to-novel", DATASETS), reference="a")
        (row,) = [row for row in board.tables[0].rows if row.label == "probe"]
        cells = {column.key: cell for column, cell in zip(board.tables[0].columns, row.cells, strict=True)}
        assert cells["hm_mean_rank"].value is None
        assert (cells["base_apart_from_count"].value, cells["base_apart_from_count"].note) == (0, "of 2")
        assert any("Left out: probe: lacks scores on 11 of 11 datasets" in note for note in board.notes)

    def test_an_empty_frame_says_that_there_is_nothing(self) -> None:
        board = statistics_board(BoardQuery(frame_of([]), "base-to-novel", DATASETS, labels=[Label("coop")]))
        assert [row.label for row in board.tables[0].rows] == ["coop"]
        assert board.notes[0].startswith("no methods with HM on the same datasets and seeds of base-to-novel")

    def test_a_miniature_is_called_one(self) -> None:
        frame = drawn_frame(np.random.default_rng(1), ["a", "b"], miniature=True)
        assert (
            "never be compared with published" in statistics_board(BoardQuery(frame, "base-to-novel", DATASETS)).caption
        )
