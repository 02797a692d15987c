"""Figures for a dark page."""

import xml.etree.ElementTree as ElementTree

import pytest
from figures_of import FIGURES

from promptarena.benchmark.plots.dark import PAGE_COLOURS, dark_svg
from promptarena.benchmark.plots.style import HUES, rendered


@pytest.mark.parametrize("name", ["plane", "dots", "critical", "bars"])
def test_nothing_is_dark_and_nothing_has_a_background(name: str) -> None:
    content = rendered(FIGURES[name](["zeroshot", "coop", "maple"]), "svg")
    made = dark_svg(content)
    assert ElementTree.fromstring(made).get("fill") == "#e6e8eb"
    assert not any(colour.encode() in made for colour in PAGE_COLOURS)
    if name in ("plane", "dots"):
        assert HUES["deep-prompts"].encode() in made
    assert b'"fill: #ffffff"' not in content
