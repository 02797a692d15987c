"""Text in LaTeX: every character can be set, and long words can be broken."""

import pytest
from report_runs import NASTY

from promptarena.benchmark.leaderboard.formats.latex_text import breakable, escaped


@pytest.mark.parametrize("text", [*NASTY, "".join(map(chr, range(0x3000)))])
def test_escaped_text_holds_only_what_pdflatex_knows(text: str) -> None:
    assert all(char.isascii() or "À" <= char <= "ÿ" for char in escaped(text))
    assert all(char.isprintable() for char in escaped(text))


def test_long_words_can_be_broken_and_short_ones_are_left_alone() -> None:
    assert breakable("short words") == "short words"
    assert breakable("x" * 30).replace(r"\allowbreak{}", "") == "x" * 30
    assert r"\allowbreak{}" in breakable("x" * 30)
