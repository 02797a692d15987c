"""The name of a method in tables: its text, and that nothing takes its text for its parts."""

import pytest

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.frame import name_columns, name_of


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (Label("coop"), "coop"),
        (Label("coop", (("n_ctx", "4"), ("recipe.epochs", "9"))), "coop(n_ctx=4, recipe.epochs=9)"),
        (Label("dear", reading="class feature"), "dear: class feature"),
        (Label("dear", (("x", "1"),), "class feature", 1), "dear(x=1): class feature (1 shot)"),
        (Label("coop", shots=16), "coop (16 shots)"),
    ],
)
def test_a_label_is_printed(label: Label, text: str) -> None:
    assert str(label) == text


@pytest.mark.parametrize(
    "label",
    [
        Label("coop: not a reading"),
        Label("coop (16 shots)"),
        Label("coop", (("init", "a: b (16 shots), c=d"), ("é", '"'))),
        Label("dear", (("x", "1"),), "class: feature"),
    ],
)
def test_the_frames_columns_keep_the_parts_whatever_is_in_them(label: Label) -> None:
    columns = name_columns(label)
    assert name_of(columns) == label
    assert columns["label"] == str(label)
