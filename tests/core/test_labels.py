"""The name of a method in tables: its text, and that nothing takes its text for its parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.benchmark.core.labels import Label, visible
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


@given(st.text())
def test_nothing_in_a_printed_text_is_hidden(text: str) -> None:
    assert visible(text).isprintable()
    assert visible(visible(text)) == visible(text)
    if text.isprintable():
        assert visible(text) == text


def test_labels_of_others_exports_carry_no_commands_of_a_terminal() -> None:
    assert str(Label("coop", (("ctx", "\x1b[2J\u202ea\nb"),))) == "coop(ctx=U+001B[2JU+202Ea b)"
