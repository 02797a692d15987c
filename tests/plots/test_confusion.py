"""Confusion matrices: shades are the shares, names stay on the page and do not cover each other."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from figures_of import drawn, texts

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.plots.confusion import MOST_CLASSES, confusion
from promptarena.benchmark.plots.style import COLUMN, PAGE, save
from promptarena.benchmark.statistics.scores import NoScoresError


def matrix(classes: int) -> tuple[list[str], np.ndarray]:
    names = [f"a rather long name of class {place}" for place in range(classes)]
    return names, np.random.default_rng(classes).dirichlet(np.ones(classes), classes) * 100


@pytest.mark.parametrize("width", [COLUMN, PAGE])
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_shares_are_shades_and_names_are_apart(width: float, classes: int) -> None:
    halves = {"Base classes": matrix(classes), "Novel classes": matrix(classes - 1)}
    figure = confusion(halves, "Title", width=width)
    seen = drawn(figure)
    page = figure.bbox.padded(2)
    for text in seen:
        box = text.get_window_extent()
        assert page.fully_contains(box.x0, box.y0), text
        assert page.fully_contains(box.x1, box.y1), text
        assert text.get_fontsize() >= 6.5
    for axes, (heading, (_, shares)) in zip(figure.axes, halves.items(), strict=True):
        assert axes.get_title() == heading
        (image,) = axes.images
        np.testing.assert_array_equal(image.get_array(), shares)
        opacity = image.to_rgba(image.get_array())[..., 3]
        np.testing.assert_allclose(opacity, shares / 100, atol=0.01)
        for labels in (axes.get_yticklabels(), axes.get_xticklabels()):
            for one, other in combinations([each.get_window_extent() for each in labels], 2):
                assert not one.shrunk(0.98, 0.75).overlaps(other.shrunk(0.98, 0.75))
    for one, other in pairwise(axes.get_window_extent() for axes in figure.axes):
        assert not one.overlaps(other)


def test_the_miniature_says_so_and_files_are_the_same_every_time(tmp_path: object) -> None:
    figures = [confusion({"": matrix(5)}, "Title", miniature=True) for _ in range(2)]
    assert any("Miniature" in text for text in texts(figures[0]))
    one, other = (
        save(figure, tmp_path / str(place), "confusion")  # type: ignore[operator]
        for place, figure in enumerate(figures)
    )
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_too_many_classes_and_none_are_refused() -> None:
    with pytest.raises(UserError, match=r"at most 100 classes, not for 101; the board confusions"):
        confusion({"": matrix(MOST_CLASSES + 1)}, "Title")
    with pytest.raises(NoScoresError):
        confusion({}, "Title")
