"""Distances to published figures: the verdict's rule, what bars a verdict, and the tables they are shown in."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import t as student_t

from promptarena.benchmark.board import Board, Cell, Column, Row, Table
from promptarena.benchmark.distance import DETERMINISTIC_POINTS, ROUNDING_POINTS, Distance, allowance, distances
from promptarena.benchmark.distance_board import distance_board
from promptarena.benchmark.errors import UserError
from promptarena.benchmark.figures import Figure
from promptarena.benchmark.frame import tidy
from promptarena.benchmark.leaderboard import leaderboard
from promptarena.benchmark.published import load_published
from promptarena.benchmark.published_rows import AVERAGE, MEMBERS
from promptarena.benchmark.record_index import StoredResult, StoredScore
from promptarena.benchmark.spec import Cost, Target
from promptarena.benchmark.tables import Format, print_rich, render, render_all

TOTAL = 10_000
ELEVEN = [(name, name.upper()) for name in MEMBERS["base-to-novel"]]
TEN = [("imagenet", "ImageNet"), *((name, name.upper()) for name in MEMBERS["cross-dataset"])]
SHIFTS = [("imagenet", "ImageNet"), *((name, name.upper()) for name in MEMBERS["domain-generalization"])]
DTD = [("dtd", "DTD")]
COLUMNS = ["protocol", "method", "dataset", "metric", "value", "shots", "kind", "source"]

Percents = Mapping[tuple[str, str], float]


def result(label: str, seed: int | None, percents: Percents, number: int = 0, **changes: Any) -> StoredResult:
    """A run with these accuracies, exact to a hundredth of a percent, by dataset and subset."""
    protocol = changes.get("protocol", "base-to-novel")
    scores = [StoredScore(Target(*at), round(value * TOTAL / 100), TOTAL) for at, value in percents.items()]  # type: ignore[arg-type]
    return StoredResult(
        **{
            "run_id": f"{label}-{seed}-{number}",
            "run_key": f"{label}-{seed}-{number}",
            "suite": "clip-15",
            "protocol": protocol,
            "method": label.split("(")[0].split(":")[0],
            "label": label,
            "dataset": next(iter(percents))[0] if protocol in ("base-to-novel", "few-shot") else "imagenet",
            "shots": 16,
            "seed": seed,
            "backbone": "ViT-B-16-quickgelu",
            "miniature": False,
            "scores": tuple(scores),
            "cost": Cost(100, 2.0, 300, 4.0, 1000, 50.0),
            "finished_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        }
        | changes
    )


def sides(base: float, novel: float = 60.0, dataset: str = "dtd") -> Percents:
    return {(dataset, "base"): base, (dataset, "novel"): novel}


def seeded(bases: Iterable[float], label: str = "coop", **changes: Any) -> pd.DataFrame:
    """The frame of runs on dtd with these base accuracies for seeds 1, 2, ..."""
    return tidy([result(label, seed, sides(base), seed, **changes) for seed, base in enumerate(bases, start=1)])


@pytest.fixture
def publish(tmp_path: Path) -> Any:
    def make(*rows: tuple[Any, ...], kind: str = "quoted") -> pd.DataFrame:
        """Published figures from (method, dataset, metric, value, ...) and further columns, of base-to-novel."""
        with (tmp_path / "figures.csv").open("w", newline="") as stream:
            names = [*COLUMNS, "printed", "backbone", "remark"]
            writer = csv.DictWriter(stream, names)
            writer.writeheader()
            for method, dataset, metric, value, *more in rows:
                row = {
                    "protocol": "base-to-novel",
                    "shots": "16",
                    "kind": kind,
                    "source": "Paper",
                    "backbone": "ViT-B-16",
                }
                row |= {"method": method, "dataset": dataset, "metric": metric, "value": f"{value:.2f}"}
                writer.writerow(row | {"printed": method, "remark": ""} | (more[0] if more else {}))
        return load_published(tmp_path)

    return make


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    return load_published()


def only(found: Iterable[Distance], label: str = "coop", dataset: str = "dtd", metric: str = "base") -> Distance:
    (one,) = [each for each in found if (each.label, each.dataset, each.metric) == (label, dataset, metric)]
    return one


def judged(frame: pd.DataFrame, published: pd.DataFrame, **changes: Any) -> Distance:
    return only(distances(frame, published, "base-to-novel", DTD, **changes))


@pytest.mark.parametrize("published", [78.0, 79.37, 79.38, 80.0, 80.62, 80.63, 83.0])
@pytest.mark.parametrize("seeds", [(80.3, 79.7), (80.2, 79.8, 80.0), (80.9, 79.1, 80.4, 79.6, 80.0)])
def test_reproduced_is_within_the_interval_of_the_difference_of_two_means(
    publish: Any, published: float, seeds: tuple[float, ...]
) -> None:
    found = judged(seeded(seeds), publish(("coop", "dtd", "base", published)))
    n, spread = len(seeds), float(np.std(seeds, ddof=1))
    limit = student_t.ppf(0.975, n - 1) * spread * math.sqrt(1 / n + 1 / 3)
    assert found.points == pytest.approx(80.0 - published)
    assert found.allowance == pytest.approx(limit)
    assert found.verdict == ("reproduced" if abs(80.0 - published) <= limit else "off")
    assert found.words == ("reproduced" if found.verdict == "reproduced" else f"off by {80.0 - published:+.2f}")


def test_one_true_reproduction_in_twenty_is_called_off() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 3, 5):
        ours, theirs = rng.normal(80, 1, (4000, n)), rng.normal(80, 1, (4000, 3)).mean(axis=1)
        off = 0
        for seeds, published in zip(ours, theirs, strict=True):
            cell = Figure(dict(enumerate(seeds)), frozenset(range(n))).cell()
            off += abs(seeds.mean() - published) > allowance(cell, False)
        assert off / 4000 == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 4000))


def test_the_limit_never_falls_below_the_rounding_of_published_figures(publish: Any) -> None:
    frame = seeded([80.0, 80.0, 80.0])
    near = judged(frame, publish(("coop", "dtd", "base", 80.05)))
    assert (near.verdict, near.allowance) == ("reproduced", ROUNDING_POINTS)
    assert judged(frame, publish(("coop", "dtd", "base", 80.06))).words == "off by -0.06"


def test_a_method_without_seeds_has_a_limit_of_its_own(publish: Any) -> None:
    frame = tidy([result("zeroshot", None, sides(53.24))])
    for value, verdict in ((53.24, "reproduced"), (53.44, "reproduced"), (53.04, "reproduced"), (53.45, "off")):
        found = only(distances(frame, publish(("zeroshot", "dtd", "base", value)), "base-to-novel", DTD), "zeroshot")
        assert (found.verdict, found.allowance) == (verdict, DETERMINISTIC_POINTS)


def test_harmonic_means_and_averages_are_compared_as_the_leaderboard_shows_them(real: pd.DataFrame) -> None:
    rng = np.random.default_rng(1)
    runs = [
        result("maple", seed, sides(*rng.uniform(60, 95, 2), dataset=name), 100 * place + seed)
        for seed in (1, 2, 3)
        for place, (name, _) in enumerate(ELEVEN)
    ]
    frame = tidy(runs)
    found = distances(frame, real, "base-to-novel", ELEVEN)
    board = leaderboard(frame, "base-to-novel", ELEVEN)
    assert len(found) == 36
    for table in board.tables[:-1]:
        for column, cell in zip(table.columns[:3], table.rows[0].cells, strict=False):
            mine = only(found, "maple", table.key, column.key.removesuffix("_pct"))
            assert mine.ours == replace(cell, mark=mine.ours.mark)
            assert mine.published is not None
            assert mine.points == pytest.approx((cell.value or 0) - mine.published.value)
    average = only(found, "maple", AVERAGE, "hm")
    assert average.published is not None
    assert (average.published.text, average.published.kind) == ("78.55", "own paper")


def test_what_others_published_is_not_compared(publish: Any) -> None:
    found = judged(seeded([80, 81, 82]), publish(("maple", "dtd", "base", 80.0), ("coop", "dtd", "novel", 60.0)))
    assert found.words == "not comparable: no published figure"
    assert found.published is found.points is found.allowance is None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("re-run", "no verdict: only a re-run by others is published"),
        ("secondary", "no verdict: only a summary page gives a figure"),
        ("bound", "no verdict: only a bound is published"),
    ],
)
def test_a_verdict_rests_on_the_papers_own_figure_alone(publish: Any, kind: str, words: str) -> None:
    frame = seeded([80, 81, 82])
    found = judged(frame, publish(("coop", "dtd", "base", 81.0), kind=kind))
    assert found.words == words
    assert found.published is not None
    assert found.published.kind == kind
    assert (found.points is None) == (kind == "bound")
    both = publish(("coop", "dtd", "base", 81.0, {"kind": kind}), ("coop", "dtd", "base", 50.0, {"kind": "quoted"}))
    assert judged(frame, both).words == "off by +31.00"


def test_a_flagged_figure_is_shown_and_not_used(publish: Any) -> None:
    table = publish(("coop", "dtd", "base", 80.0), ("coop", "dtd", "novel", 60.0), ("coop", "dtd", "hm", 69.0))
    found = distances(seeded([80, 80.5, 79.5]), table, "base-to-novel", DTD)
    hm = only(found, metric="hm")
    assert hm.words.startswith("not comparable: flagged: printed 69.00, but base 80.00 and novel 60.00 give 68.57")
    assert hm.published is not None
    assert hm.points is None
    base = only(found)
    assert base.verdict == "reproduced"
    assert base.published is not None
    assert "69.00" in base.published.caution


@pytest.mark.parametrize(
    ("label", "changes", "reason"),
    [
        ("coop", {"miniature": True}, "miniature"),
        ("coop", {"backbone": "ViT-B-16"}, "other backbone (ViT-B-16)"),
        ("coop", {"backbone": "ViT-B-32-quickgelu"}, "other backbone (ViT-B-32-quickgelu)"),
        ("coop", {"own_splits": ("dtd",)}, "own split"),
        ("coop", {"shots": 4}, "4 shots, published with 16"),
        ("coop(n_ctx=4)", {}, "changed settings"),
        ("coop: image branch", {}, "another reading of the method"),
    ],
)
def test_figures_made_in_another_way_are_not_compared(
    publish: Any, label: str, changes: dict[str, Any], reason: str
) -> None:
    table = publish(("coop", "dtd", "base", 81.0), ("coop", AVERAGE, "base", 81.0))
    frame = seeded([80, 81, 82], label, **changes)
    found = only(distances(frame, table, "base-to-novel", DTD), label)
    assert found.words == f"not comparable: {reason}"
    assert found.points is found.allowance is None


def test_a_reason_from_outside_bars_everything(publish: Any) -> None:
    found = judged(seeded([80, 81, 82]), publish(("coop", "dtd", "base", 81.0)), barred="recipes changed by the suite")
    assert found.words == "not comparable: recipes changed by the suite"


def test_published_figures_are_never_shown_beside_a_miniatures(real: pd.DataFrame) -> None:
    frame = seeded([80, 81, 82], miniature=True, suite="mini")
    assert all(each.published is None for each in distances(frame, real, "base-to-novel", DTD))
    text = render(distance_board(frame, real, "base-to-novel", DTD), "md")
    assert "Not comparable: miniature – coop: all figures" in text
    assert "79.44" not in text
    assert "not published" not in text.lower()


def test_an_average_with_an_own_split_or_over_other_datasets_is_not_compared(publish: Any) -> None:
    rows = [
        ("coop", name, metric, 80.0) for name in (*MEMBERS["base-to-novel"], AVERAGE) for metric in ("base", "novel")
    ]
    table = publish(*rows)

    def average(names: Iterable[str], own: tuple[str, ...] = ()) -> Distance:
        runs = [
            result("coop", seed, sides(80 + seed / 10, dataset=name), 100 * place + seed, own_splits=own)
            for seed in (1, 2, 3)
            for place, name in enumerate(names)
        ]
        return only(distances(tidy(runs), table, "base-to-novel", [(name, name) for name in names]), dataset=AVERAGE)

    everything = MEMBERS["base-to-novel"]
    assert average(everything).verdict == "reproduced"
    assert average(everything, ("dtd",)).words == "not comparable: own split"
    assert average(everything[1:]).words == "not comparable: average over 10 datasets, not the published 11"


def transfer(published: pd.DataFrame, source: str = "imagenet", **changes: Any) -> list[Distance]:
    order = [(source, source), *SHIFTS[1:]]
    runs = [
        result("maple", seed, {(name, "all"): 60 + seed / 10 for name, _ in order}, seed, dataset=source, **changes)
        for seed in (1, 2, 3)
    ]
    return distances(tidy(runs), published, "domain-generalization", order)


def test_transfer_needs_the_published_source(real: pd.DataFrame) -> None:
    found = transfer(real, protocol="domain-generalization")
    assert [each.dataset for each in found] == [*(name for name, _ in SHIFTS), AVERAGE]
    assert only(found, "maple", AVERAGE, "accuracy").points == pytest.approx(60.2 - 60.27)
    assert only(found, "maple", "imagenet-r", "accuracy").verdict == "off"
    other = transfer(real, "caltech101", protocol="domain-generalization")
    assert only(other, "maple", AVERAGE, "accuracy").words == "not comparable: other source (caltech101)"


def test_training_on_everything_is_not_compared_with_shots(real: pd.DataFrame) -> None:
    runs = [
        result(
            "rada-ft", seed, {(name, "all"): 60 + seed for name, _ in SHIFTS}, seed, protocol="domain-generalization"
        )
        for seed in (1, 2, 3)
    ]
    found = distances(tidy(runs), real, "domain-generalization", SHIFTS)
    one = only(found, "rada-ft", "imagenet-a", "accuracy")
    assert one.words == "not comparable: published with the whole training set"
    assert one.published is not None
    assert one.published.text == "51.7"


def test_a_method_that_learns_nothing_has_no_number_of_shots(real: pd.DataFrame) -> None:
    scores = {(name, "all"): 60.83 for name, _ in SHIFTS}
    frame = tidy([result("zeroshot", None, scores, protocol="domain-generalization", shots=4)])
    found = distances(frame, real, "domain-generalization", SHIFTS)
    assert only(found, "zeroshot", "imagenetv2", "accuracy").words == "reproduced"


def test_few_shot_figures_are_compared_shot_by_shot(real: pd.DataFrame) -> None:
    published = {1: 72.32, 2: 75.29, 4: 78.35, 8: 80.69, 16: 82.87}
    runs = [
        result(
            "promptsrc",
            seed,
            {(name, "all"): published[count] + seed - 2},
            100 * place + 10 * seed + count,
            protocol="few-shot",
            shots=count,
        )
        for seed in (1, 2, 3)
        for place, (name, _) in enumerate(ELEVEN)
        for count in published
    ]
    found = distances(tidy(runs), real, "few-shot", ELEVEN)
    averages = {each.shots: each for each in found if each.dataset == AVERAGE}
    assert {count: each.published.value for count, each in averages.items() if each.published} == published
    assert {each.words for each in averages.values()} == {"reproduced"}
    assert {each.words for each in found if each.dataset != AVERAGE} == {"not comparable: no published figure"}
    board = distance_board(tidy(runs), real, "few-shot", ELEVEN)
    assert [table.key for table in board.tables] == ["average-published"]
    assert [column.group for column in board.tables[0].columns[::3]] == [
        "1 shot",
        *(f"{n} shots" for n in (2, 4, 8, 16)),
    ]
    assert any(note.startswith("No figure of these methods is published for IMAGENET, ") for note in board.notes)


def test_runs_that_are_missing_leave_no_verdict(publish: Any) -> None:
    table = publish(("coop", "dtd", "base", 81.0))
    assert judged(seeded([80, 81]), table, seeds=[1, 2, 3]).words == "no verdict: 2 of 3 seeds"
    assert judged(seeded([80, 81]), table, labels=["coop", "maple"]).verdict == "reproduced"
    assert judged(tidy([]), table, labels=["coop"]).verdict == "no verdict"
    hole = result("coop", 1, {("dtd", "novel"): 60.0}, unscored={Target("dtd", "base"): "no such head"})
    assert judged(tidy([hole]), table).words == "no verdict: no such head"


def test_one_seed_leaves_no_verdict_but_a_distance(publish: Any) -> None:
    found = judged(seeded([80]), publish(("coop", "dtd", "base", 81.0)))
    assert found.words == "no verdict: one seed"
    assert found.points == pytest.approx(-1.0)


def test_runs_with_several_numbers_of_shots_are_told_apart(publish: Any) -> None:
    table = publish(("coop", "dtd", "base", 81.0))
    runs = [
        result("coop", seed, sides(80 + seed / 10), 10 * seed + shots, shots=shots)
        for seed in (1, 2)
        for shots in (4, 16)
    ]
    found = [each for each in distances(tidy(runs), table, "base-to-novel", DTD) if each.metric == "base"]
    verdicts = {each.shots: each.verdict for each in found if each.dataset == "dtd"}
    assert verdicts[4] == "not comparable"
    assert verdicts[16] in ("off", "reproduced")
    board = distance_board(tidy(runs), table, "base-to-novel", DTD)
    assert [row.label for row in board.tables[0].rows] == ["coop (16 shots)", "coop (4 shots)"]


def test_several_backbones_are_refused(publish: Any) -> None:
    runs = [result("coop", 1, sides(80)), result("coop", 1, sides(80), 1, backbone="RN50")]
    with pytest.raises(UserError, match="several values of backbone"):
        distances(tidy(runs), publish(("coop", "dtd", "base", 81.0)), "base-to-novel", DTD)


@pytest.fixture
def board(publish: Any) -> Board:
    table = publish(
        ("coop", "dtd", "base", 80.0),
        ("coop", "dtd", "novel", 66.0, {"kind": "re-run"}),
        ("maple", "dtd", "base", 81.5, {"kind": "own paper", "source": "MaPLe_README"}),
        ("maple", "dtd", "base", 81.4, {"source": "Another"}),
        ("maple", "dtd", "novel", 60.0, {"source": "MaPLe_README"}),
        ("maple", "dtd", "hm", 60.0, {"source": "MaPLe_README"}),
    )
    runs = [
        result(label, seed, sides(base + seed / 10), seed)
        for label, base in (("coop", 80.0), ("maple", 84.0), ("maple(n_ctx=4)", 84.0))
        for seed in (1, 2, 3)
    ]
    return distance_board(tidy(runs), table, "base-to-novel", DTD)


def test_ours_published_and_distance_stand_side_by_side(board: Board) -> None:
    markdown = render(board, "md")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in markdown.splitlines() if line.startswith("|")]
    cells = {name: numbers for name, *numbers in lines}
    assert cells["coop"] == [
        *("80.20 ±0.10", "80.00 quoted", "+0.20 reproduced"),
        *("60.00 ±0.00", "66.00 re-run", "-6.00 no verdict"),
        *("68.64 ±0.04", "–", "–"),
    ]
    assert cells["maple"][:3] == ["84.20 ±0.10", "81.50 own paper", "+2.70 off"]
    assert cells["maple"][6:] == ["70.07 ±0.03", "60.00 quoted, flagged", "not comparable"]
    assert cells["maple(n\\_ctx=4)"][1:3] == ["–", "not comparable"]


def test_notes_give_every_reason_source_and_caution(board: Board) -> None:
    notes = "\n".join(board.notes)
    assert "No verdict: only a re-run by others is published – coop: DTD Novel" in notes
    assert "Not comparable: changed settings – maple(n_ctx=4): all figures" in notes
    assert "Not comparable: flagged: printed 60.00" in notes
    assert "Published, own paper: MaPLe_README – maple" in notes
    assert "maple, DTD Base: 81.50 is taken; the HM printed with it, 60.00, does not fit; Another prints 81.40" in notes


def test_every_format_renders_the_distances(board: Board, real: pd.DataFrame) -> None:
    formats: list[Format] = ["rich", "md", "latex", "html", "csv", "json"]
    for format in formats:
        text = render(board, format)
        assert "80.2" in text
        assert "0.2" in text
    rows = list(csv.DictReader(io.StringIO(render(board, "csv"))))
    (cell,) = [
        row
        for row in rows
        if (row["table"], row["method"], row["column"]) == ("dtd-published", "maple", "base_distance_points")
    ]
    assert float(cell["value"]) == pytest.approx(2.7)
    assert cell["reason"].startswith("off by +2.70 (reproduced within 0.")
    document = json.loads(render(board, "json"))
    figure = document["tables"][1]["rows"][0]["figures"]["novel_published_pct"]
    assert (figure["value"], figure["reason"]) == (66.0, "re-run: Paper")
    assert r"\label{tab:clip-15-base-to-novel-published}" in render(board, "latex")
    assert "80.00 quoted" in render(board, "latex")
    assert 'title="quoted: Paper"' in render(board, "html")


def test_the_distances_stand_beside_the_leaderboard_in_one_file(real: pd.DataFrame) -> None:
    frame = seeded([80, 81, 82])
    both = [leaderboard(frame, "base-to-novel", DTD), distance_board(frame, real, "base-to-novel", DTD)]
    rows = list(csv.DictReader(io.StringIO(render_all(both, "csv"))))
    places = [(row["table"], row["method"], row["column"]) for row in rows]
    assert len(places) == len(set(places))
    latex = render_all(both, "latex")
    labels = [line for line in latex.splitlines() if line.startswith(r"\label")]
    assert len(labels) == len(set(labels)) == 2


def test_a_group_of_columns_that_fits_a_line_is_not_cut(board: Board) -> None:
    stream = io.StringIO()
    print_rich(Console(file=stream, width=80, color_system=None), board)
    lines = stream.getvalue().splitlines()
    heads = [line.split() for line in lines if line.startswith("Method")]
    assert heads
    assert all(words[1:] == ["Ours", "Published", "Distance"] * (len(words) // 3) for words in heads)
    assert max(map(len, lines)) <= 80


def test_a_group_wider_than_the_line_is_cut_where_it_must_be() -> None:
    cell = Cell(80.468, std=0.5, n=3, filled=3, wanted=3)
    names = ["Source", *["Target"] * 10, ""]
    columns = tuple(Column(f"d{number}_pct", f"Dataset{number:02d}", group=name) for number, name in enumerate(names))
    table = Table("targets", "Targets", columns, (Row("coop", (cell,) * 12),))
    board = Board("s", "cross-dataset", "T", "C", "b", False, (1, 2, 3), (table,))
    heads = [line.split()[1:] for line in render(board, "rich").splitlines() if line.startswith("Method")]
    assert [len(words) for words in heads] == [7, 5]
    assert [word for words in heads for word in words] == [f"Dataset{number:02d}" for number in range(12)]


def test_distances_that_round_to_nothing_have_no_minus(publish: Any) -> None:
    frame = tidy([result("zeroshot", None, sides(53.24))])
    table = publish(("zeroshot", "dtd", "base", 53.24))
    table["value"] += 1e-9
    assert "+0.00 reproduced" in render(distance_board(frame, table, "base-to-novel", DTD), "md")
