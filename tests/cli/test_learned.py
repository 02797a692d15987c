"""The commands that use what was learned say what they take."""

import pytest
from e2e_inside import call, complaint


@pytest.mark.parametrize(("command", "words"), [("predict", "--classes"), ("predictions", "--out")])
def test_help_names_the_options(command: str, words: str) -> None:
    ended = call(command, "--help")
    assert ended.code == 0
    assert words in ended.out


def test_predict_needs_images() -> None:
    assert "Missing argument" in complaint("predict", "a-run")
