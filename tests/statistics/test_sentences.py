"""What is said of comparisons and ranks, and how they are tabulated."""

import re

import numpy as np
from score_frames import DATASETS, Row, drawn_frame, frame_of
from statistics_frames import SOURCE

from promptarena.benchmark.core.protocol_table import Protocol
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.statistics.paired import against, compare
from promptarena.benchmark.statistics.ranks import rank
from promptarena.benchmark.statistics.scores import read_scores
from promptarena.benchmark.statistics.sentences import against_words, first_two, p_text, p_words, ranking_words, words


def two(points: list[list[float]], protocol: Protocol = "few-shot", missing: int = 0) -> str:
    """The words for maple against coop, which maple is above by `points[dataset][seed]`."""
    rows: list[Row] = []
    for (name, _), by_seed in zip(DATASETS, points, strict=False):
        for seed, point in enumerate(by_seed):
            rows.append(("maple", name, seed, {"all": 60 + point}))
            rows.append(("coop", name, seed, {"all": 60}))
    datasets = DATASETS[: len(points) + missing]
    titled = (SOURCE, *datasets) if protocol == "cross-dataset" else datasets
    return words(compare(read_scores(BoardQuery(frame_of(rows, protocol), protocol, titled)), "maple", "coop"))


def test_a_comparison_states_points_interval_sample_and_p() -> None:
    sides = {"maple": (80.0, 75.0), "coop": (79.0, 75.0)}
    rows: list[Row] = [
        (label, name, seed, {"base": base + (place % 3 - 1) * (label == "maple") * 3, "novel": novel})
        for label, (base, novel) in sides.items()
        for place, (name, _) in enumerate(DATASETS)
        for seed in (1, 2, 3)
    ]
    said = words(compare(read_scores(BoardQuery(frame_of(rows), "base-to-novel", DATASETS)), "maple", "coop"))
    pattern = (
        r"maple is above coop by 0\.\d\d points HM \(95 % interval -?\d\.\d\d to \d\.\d\d; 11 datasets x 3 seeds; "
        r"Wilcoxon p = 0\.\d\d\): they do not differ significantly\."
    )
    assert re.fullmatch(pattern, said)


def test_methods_that_differ_everywhere_are_significantly_different() -> None:
    said = two([[-1.0, -1.1, -0.9]] * 11)
    assert said.startswith("maple is below coop by 1.00 points accuracy at 16 shots (95 % interval -1.")
    assert said.endswith("11 datasets x 3 seeds; Wilcoxon p < 0.001): they differ significantly.")


def test_equal_scores_are_called_the_same() -> None:
    said = two([[0.0, 0.0]] * 8)
    assert said.startswith("maple and coop have the same accuracy at 16 shots (95 % interval 0.00 to 0.00;")
    assert said.endswith("Wilcoxon p = 1.00): they do not differ significantly.")


def test_few_datasets_are_said_to_be_too_few() -> None:
    assert two([[2.0, 2.1, 1.9]] * 4).endswith(
        "they do not differ significantly. 4 datasets are too few for the test: p cannot be below 0.125; on just "
        "these, over 3 seeds, the 95 % interval is 1.75 to 2.25."
    )


def test_one_dataset_speaks_for_itself_alone() -> None:
    said = two([[2.0, 2.1, 1.9]])
    assert said == (
        "maple is above coop by 2.00 points accuracy at 16 shots on Data 0 (95 % interval 1.75 to 2.25; 1 dataset x 3 "
        "seeds; t-test p < 0.001): they differ significantly. One dataset does not say whether they differ on others."
    )


def test_one_dataset_and_one_seed_say_nothing_more() -> None:
    assert two([[2.0]]) == (
        "maple is above coop by 2.00 points accuracy at 16 shots on Data 0 (1 dataset x 1 seed). From one dataset and "
        "one seed nothing more can be said."
    )


def test_one_seed_of_transfer_is_one_training() -> None:
    assert two([[2.0]] * 10, "cross-dataset") == (
        "maple is above coop by 2.00 points accuracy (10 datasets x 1 seed). With one seed all targets share one "
        "training, so nothing can be said of other seeds."
    )


def test_what_was_left_out_is_named() -> None:
    assert two([[2.0]] * 8, missing=1).endswith("Left out, because not both have it: 1 dataset (Data 8).")
    rows: list[Row] = [(label, "d0", seed, {"all": 50.0 + seed}) for label in "ab" for seed in (1, 2)]
    rows += [("a", "d0", 3, {"all": 1.0}), ("a", "d1", 1, {"all": 1.0}), ("b", "d2", 1, {"all": 1.0})]
    said = words(compare(read_scores(BoardQuery(frame_of(rows, "few-shot"), "few-shot", DATASETS[:3])), "a", "b"))
    assert said.endswith("Left out, because not both have it: 2 datasets (Data 1, Data 2) and 1 score.")


def test_a_correction_is_said_with_its_family() -> None:
    scores = read_scores(BoardQuery(drawn_frame(np.random.default_rng(1), ["a", "b", "c"]), "base-to-novel", DATASETS))
    first, _ = against_words(against(scores, "a"))
    assert re.search(r"Wilcoxon p = [01]\.\d+; p = [01]\.\d+ after Holm's correction for 2 comparisons\)", first)


def test_many_comparisons_are_summed_up() -> None:
    frame = drawn_frame(np.random.default_rng(1), [f"m{number}" for number in range(12)])
    frame.loc[frame["label"] == "m3", "value"] = 0.95
    frame.loc[frame["label"] == "m4", "value"] = 0.05
    (said,) = against_words(against(read_scores(BoardQuery(frame, "base-to-novel", DATASETS)), "m0"))
    assert said.startswith("HM, 11 methods against m0: above: m3; below: m4; not significantly different: m1, m2, m5,")


def test_p_values_in_print() -> None:
    assert [p_words(p) for p in (1.0, 0.214, 0.05, 0.0341, 0.00293, 0.001, 0.00098)] == [
        "p = 1.00",
        "p = 0.21",
        "p = 0.050",
        "p = 0.034",
        "p = 0.0029",
        "p = 0.0010",
        "p < 0.001",
    ]
    assert [p_text(p) for p in (0.2, 0.0005)] == ["0.20", "<0.001"]


class TestRankingWords:
    def test_nothing_found(self) -> None:
        scores = read_scores(
            BoardQuery(drawn_frame(np.random.default_rng(0), list("abcd"), "few-shot"), "few-shot", DATASETS)
        )
        said = ranking_words(rank(scores))
        assert re.fullmatch(
            r"accuracy at 16 shots, 4 methods, 11 datasets x 3 seeds: \w has the best mean rank \(\d\.\d\); no two "
            r"differ significantly \(Friedman p = 0\.\d+\)\.",
            said,
        )

    def test_the_best_and_its_neighbours(self) -> None:
        rows: list[Row] = [
            (label, name, seed, {"all": base + 0.1 * place + 0.5 * (seed == place % 3) * (label != "low")})
            for place, (name, _) in enumerate(DATASETS)
            for seed in (0, 1, 2)
            for label, base in (("top", 80.1), ("near", 80.0), ("low", 50.0))
        ]
        frame = frame_of(rows, "few-shot")
        near = frame["label"] == "near"
        frame.loc[near & frame["dataset"].isin(["d0", "d1", "d2", "d3"]), "value"] += 0.01
        said = ranking_words(rank(read_scores(BoardQuery(frame, "few-shot", DATASETS))))
        assert (
            "top has the best mean rank (1.4); it does not differ significantly from near (Friedman p < 0.001; " in said
        )
        assert "Wilcoxon with Holm's correction for 3 pairs, smallest p = 0.0029)." in said

    def test_an_interval_that_many_methods_do_not_bear_out_is_explained(self) -> None:
        bases = {"top": 81.0, "near": 80.0} | {f"low{place}": 60.0 - place for place in range(12)}
        rows: list[Row] = [
            (label, name, seed, {"all": base + 0.1 * (seed == place % 3) * (label == "top")})
            for place, (name, _) in enumerate(DATASETS)
            for seed in (0, 1, 2)
            for label, base in bases.items()
        ]
        ranking = rank(read_scores(BoardQuery(frame_of(rows, "few-shot"), "few-shot", DATASETS)))
        assert first_two(ranking).startswith("top is above near by 1.03 points accuracy at 16 shots (95 % interval 1.")
        assert first_two(ranking).endswith("seeds): significant alone, not by Nemenyi's test over 14 methods.")
        few = read_scores(
            BoardQuery(
                frame_of([row for row in rows if row[0] in ("top", "near", "low0")], "few-shot"), "few-shot", DATASETS
            )
        )
        assert first_two(rank(few)).endswith("seeds): significant after Holm over 3 pairs.")

    def test_too_few_datasets_for_any_verdict(self) -> None:
        scores = read_scores(
            BoardQuery(drawn_frame(np.random.default_rng(0), list("abcdef"), "few-shot", 2), "few-shot", DATASETS)
        )
        frame = drawn_frame(np.random.default_rng(0), ["a", "b"], "few-shot", 1)
        assert "critical difference" in ranking_words(rank(scores)) or "Friedman p" in ranking_words(rank(scores))
        assert "2 datasets are too few for any of 6 methods to differ significantly." in ranking_words(rank(scores))
        said = ranking_words(rank(read_scores(BoardQuery(frame, "few-shot", DATASETS[:1]))))
        assert said.endswith("has the best mean rank (1.0). One dataset does not say whether methods differ on others.")

    def test_one_seed_of_transfer_is_one_training(self) -> None:
        frame = drawn_frame(np.random.default_rng(0), ["a", "b", "c"], "cross-dataset", seeds=[1])
        ranking = rank(read_scores(BoardQuery(frame, "cross-dataset", (SOURCE, *DATASETS))))
        assert not ranking.pairs
        assert ranking_words(ranking).endswith(
            "With one seed all targets share one training, so nothing can be said of other seeds."
        )

    def test_a_single_method(self) -> None:
        scores = read_scores(BoardQuery(drawn_frame(np.random.default_rng(0), ["a"]), "base-to-novel", DATASETS))
        assert ranking_words(rank(scores)) == (
            "HM: a alone has all scores on 11 datasets x 3 seeds; there is nothing to compare it with."
        )
