"""Legends."""

from figures_of import FIGURES, NASTY
from matplotlib.legend import Legend

from promptarena.benchmark.plots.legends import legend_columns
from promptarena.benchmark.plots.style import COLUMN, PAGE


def test_a_legend_has_every_name_as_it_is_spelt() -> None:
    figure = FIGURES["few-shot"](NASTY)
    (legend,) = figure.findobj(Legend)
    assert isinstance(legend, Legend)
    assert sorted(text.get_text() for text in legend.get_texts()) == sorted(NASTY)


def test_a_column_has_room_for_fewer_columns() -> None:
    labels = [f"a-method-{place}" for place in range(20)]
    assert 1 <= legend_columns(labels, COLUMN) < legend_columns(labels, PAGE) <= len(labels)
