"""Published figures that are shown and not compared, with the reason."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
import pytest
from distanced import DTD, judged, only, result, seeded, sides

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.protocol_table import protocol_info
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.formats.render import render
from promptarena.benchmark.leaderboard.frame import tidy
from promptarena.benchmark.published.board import distance_board
from promptarena.benchmark.published.distance import Distance, distances
from promptarena.benchmark.published.rows import AVERAGE


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
    found = distances(BoardQuery(seeded([80, 80.5, 79.5]), "base-to-novel", DTD), table)
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
        (Label("coop", (("n_ctx", "4"),)), {}, "changed settings"),
        (Label("coop", reading="image branch"), {}, "another reading of the method"),
        (Label("coop", (("n_ctx", "4"),), "image branch"), {}, "changed settings"),
    ],
)
def test_figures_made_in_another_way_are_not_compared(
    publish: Any, label: str | Label, changes: dict[str, Any], reason: str
) -> None:
    table = publish(("coop", "dtd", "base", 81.0), ("coop", AVERAGE, "base", 81.0))
    frame = seeded([80, 81, 82], label, **changes)
    found = only(distances(BoardQuery(frame, "base-to-novel", DTD), table), label)
    assert found.words == f"not comparable: {reason}"
    assert found.points is found.allowance is None


def test_a_reason_from_outside_bars_everything(publish: Any) -> None:
    found = judged(seeded([80, 81, 82]), publish(("coop", "dtd", "base", 81.0)), barred="recipes changed by the suite")
    assert found.words == "not comparable: recipes changed by the suite"


def test_published_figures_are_never_shown_beside_a_miniatures(published: pd.DataFrame) -> None:
    frame = seeded([80, 81, 82], miniature=True, suite="mini")
    assert all(each.published is None for each in distances(BoardQuery(frame, "base-to-novel", DTD), published))
    text = render(distance_board(BoardQuery(frame, "base-to-novel", DTD), published), "md")
    assert "Not comparable: miniature – coop: all figures" in text
    assert "79.44" not in text
    assert "not published" not in text.lower()


def test_an_average_with_an_own_split_or_over_other_datasets_is_not_compared(publish: Any) -> None:
    rows = [
        ("coop", name, metric, 80.0)
        for name in (*protocol_info("base-to-novel").published, AVERAGE)
        for metric in ("base", "novel")
    ]
    table = publish(*rows)

    def average(names: Iterable[str], own: tuple[str, ...] = ()) -> Distance:
        runs = [
            result("coop", seed, sides(80 + seed / 10, dataset=name), 100 * place + seed, own_splits=own)
            for seed in (1, 2, 3)
            for place, name in enumerate(names)
        ]
        return only(
            distances(BoardQuery(tidy(runs), "base-to-novel", [(name, name) for name in names]), table), dataset=AVERAGE
        )

    everything = protocol_info("base-to-novel").published
    assert average(everything).verdict == "reproduced"
    assert average(everything, ("dtd",)).words == "not comparable: own split"
    assert average(everything[1:]).words == "not comparable: average over 10 datasets, not the published 11"
