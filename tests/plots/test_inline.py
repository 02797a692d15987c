"""Figures as elements of a page."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from figures_of import FIGURES, NASTY

from promptarena.benchmark.plots.inline import inline


@pytest.mark.parametrize("name", ["plane", "dots", "cost", "critical", "average-curve"])
def test_every_method_can_be_hidden_and_nothing_is_loaded(name: str) -> None:
    places = {label: place for place, label in enumerate(NASTY)}
    text = inline(FIGURES[name](NASTY), "it", places)
    ElementTree.fromstring(text)
    assert {int(found) for found in re.findall(r'data-m="(\d+)"', text)} == set(places.values())
    assert not re.search(r"(href|src)=\"(?!#it-)", text)
    assert all(found.startswith("it-") for found in re.findall(r' id="([^"]*)"', text))
    assert "var(--ink)" in text
    assert "<metadata" not in text


def test_the_background_is_that_of_the_page() -> None:
    text = inline(FIGURES["plane"](["coop", "maple"]), "it", {"coop": 0, "maple": 1})
    assert "#ffffff" not in text.replace("fill: #ffffff; stroke", "")
