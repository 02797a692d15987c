"""Reliability diagrams and risk-coverage curves: every point is where it belongs, at every width."""

import numpy as np
import pytest
from figures_of import CERTAIN, certain, drawn, texts

from promptarena.benchmark.plots.certainty import reliability, risk_coverage
from promptarena.benchmark.plots.dark import dark_svg
from promptarena.benchmark.plots.inline import inline
from promptarena.benchmark.plots.style import COLUMN, INK, PAGE, looks, rendered
from promptarena.benchmark.statistics.scores import NoScoresError

LABELS = ["zeroshot", "coop", "maple"]


@pytest.mark.parametrize("draw", [reliability, risk_coverage])
@pytest.mark.parametrize("width", [COLUMN, PAGE])
def test_every_method_has_its_curve_in_its_own_look(draw: object, width: float) -> None:
    curves = certain(LABELS)
    figure = draw(curves, "Title", width=width)  # type: ignore[operator]
    assert figure.get_figwidth() == width
    for axes, (heading, methods) in zip(figure.axes, curves.items(), strict=True):
        assert axes.get_title() == heading
        for label, points in methods.items():
            (line,) = [line for line in axes.lines if np.array_equal(line.get_xydata(), points)]
            look = looks(LABELS)[label]
            assert (line.get_color(), line.get_marker()) == (look.colour, look.marker)
    seen = drawn(figure)
    page = figure.bbox.padded(2)
    for text in seen:
        box = text.get_window_extent()
        assert page.fully_contains(box.x0, box.y0), text
        assert page.fully_contains(box.x1, box.y1), text


def test_a_reliability_diagram_has_the_diagonal() -> None:
    for axes in reliability(certain(LABELS), "Title").axes:
        assert any(line.get_xydata().tolist() == [[0, 0], [100, 100]] for line in axes.lines)


def test_each_method_can_be_hidden_and_the_background_is_the_pages() -> None:
    figure = reliability(certain(LABELS), "Title", miniature=True)
    assert any("Miniature" in text for text in texts(figure))
    svg = inline(figure, "x", {label: place for place, label in enumerate(LABELS)})
    assert all(f'data-m="{place}"' in svg for place in range(3))
    dark = dark_svg(rendered(figure, "svg")).decode()
    assert INK not in dark


def test_without_curves_there_is_no_figure() -> None:
    for draw in CERTAIN:
        with pytest.raises(NoScoresError):
            draw({}, "Title")


@pytest.mark.parametrize("draw", CERTAIN)
def test_forty_methods_fit_on_a_page_of_paper_and_eight_are_few_bytes(draw: object) -> None:
    labels = [f"method number {place} of forty" for place in range(40)]
    assert draw(certain(labels), "Title").get_figheight() < 7  # type: ignore[operator]
    eight = draw(certain(labels[:8]), "Title")  # type: ignore[operator]
    assert len(inline(eight, "x", dict.fromkeys(labels, 1))) < 40_000
