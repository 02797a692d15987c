"""Figures: what they show is the leaderboard's, names appear as they are spelt, and files are the same every time."""

import io
import subprocess
import sys
import warnings
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from score_frames import DATASETS, drawn_frame, frame_of

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.all_figures import every_figure
from promptarena.benchmark.plots.bars import bars, gains
from promptarena.benchmark.plots.base_novel_plane import plane
from promptarena.benchmark.plots.cost import cost
from promptarena.benchmark.plots.critical_difference import critical_difference
from promptarena.benchmark.plots.curves import few_shot, learning
from promptarena.benchmark.plots.style import looks, rendered, save, shortened
from promptarena.benchmark.statistics.paired import compare
from promptarena.benchmark.statistics.scores import NoScoresError, read_scores

NASTY = [r"$x^2_{i}$", r"$unclosed^", "_under", r"\alpha{ & 100%", "zeroshot", "#~^"]
THREE = DATASETS[:3]


def named(protocol: str = "base-to-novel", labels: list[str] = NASTY, **options: Any) -> pd.DataFrame:
    shots = (1, 4, 16) if protocol == "few-shot" else (16,)
    return drawn_frame(np.random.default_rng(1), labels, protocol, datasets=3, **({"shots": shots} | options))


def learned(labels: list[str], epochs: int = 4) -> pd.DataFrame:
    random = np.random.default_rng(2)
    rows = [
        {"label": label, "dataset": name, "seed": seed, "epoch": epoch, "loss": 2 / epoch + 0.1 * random.random()}
        for label in labels
        for name, _ in THREE
        for seed in (1, 2, 3)
        for epoch in range(1, epochs + 1)
    ]
    return pd.DataFrame(rows).assign(train_accuracy=0.5)


FIGURES: dict[str, Callable[[list[str]], Figure]] = {
    "plane": lambda labels: plane(BoardQuery(named(labels=labels), "base-to-novel", THREE)),
    "bars": lambda labels: bars(BoardQuery(named(labels=labels), "base-to-novel", THREE)),
    "gains": lambda labels: gains(BoardQuery(named(labels=[*labels, "rival"]), "base-to-novel", THREE), "rival"),
    "cost": lambda labels: cost(BoardQuery(named(labels=labels), "base-to-novel", THREE)),
    "critical": lambda labels: critical_difference(BoardQuery(named(labels=labels), "base-to-novel", THREE)),
    "few-shot": lambda labels: few_shot(BoardQuery(named("few-shot", labels), "few-shot", THREE)),
    "learning": lambda labels: learning(learned(labels), THREE),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def drawn(figure: Figure) -> list[Text]:
    """The texts that can be seen, after laying the figure out."""
    figure.draw_without_rendering()
    unseen = {
        label
        for axes in figure.axes
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim()))
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not low <= tick.get_loc() <= high
    }
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text() and text not in unseen]


@pytest.mark.parametrize("name", FIGURES)
def test_names_are_shown_as_they_are_spelt(name: str) -> None:
    figure = FIGURES[name](NASTY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rendered(figure, "svg")
    said = " ".join(texts(figure))
    assert all(label in said for label in NASTY)
    assert not any(text.get_parse_math() for text in figure.findobj(Text) if set(text.get_text()) & set("$_^"))


@pytest.mark.parametrize("name", FIGURES)
def test_characters_without_a_picture_are_shown_by_their_numbers(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = FIGURES[name](["中", "é文", "zeroshot"])
        rendered(figure, "svg")
    said = " ".join(texts(figure))
    assert all(label in said for label in ("U+4E2D", "éU+6587", "zeroshot"))


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("labels", [["coop", "maple"], [f"method number {place} of forty" for place in range(40)]])
def test_texts_stay_on_the_page_names_do_not_overlap_and_no_type_is_tiny(name: str, labels: list[str]) -> None:
    figure = FIGURES[name](labels)
    page = figure.bbox.padded(2)
    names = []
    for text in drawn(figure):
        box = text.get_window_extent()
        assert page.fully_contains(box.x0, box.y0), text
        assert page.fully_contains(box.x1, box.y1), text
        assert text.get_fontsize() >= 6.5
        if any(label in text.get_text() for label in labels):
            names.append(box)
    assert len(names) >= len(labels)
    for one, other in combinations(names, 2):
        assert not one.shrunk(0.98, 0.75).overlaps(other.shrunk(0.98, 0.75))


@pytest.mark.parametrize("name", ["plane", "critical", "few-shot"])
def test_the_same_figure_is_the_same_files(name: str, tmp_path: Path) -> None:
    first, second = (save(FIGURES[name](NASTY), tmp_path / folder, name) for folder in ("a", "b"))
    assert [path.name for path in first] == [f"{name}.png", f"{name}.svg", f"{name}.pdf"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert first[0].read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in first[1].read_bytes()
    assert first[2].read_bytes().startswith(b"%PDF")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file/figures/x\.png"):
        save(Figure(), tmp_path / "file" / "figures", "x")


def test_the_plane_shows_the_leaderboards_averages_with_their_intervals() -> None:
    frame = named(labels=["coop", "maple"])
    (average, *_) = BoardQuery(frame, "base-to-novel", THREE).board.tables
    (axes,) = plane(BoardQuery(frame, "base-to-novel", THREE)).axes
    points = {(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in axes.lines}
    expected = {(row.cells[0].value, row.cells[1].value) for row in average.rows}
    assert points == expected
    reach = [path.get_extents() for part in axes.containers for bar in part.lines[2] for path in bar.get_paths()]
    for place, sizes in enumerate(([box.width for box in reach], [box.height for box in reach])):
        cells = [row.cells[place] for row in average.rows]
        expected = [cell.high - cell.low for cell in cells if cell.high is not None and cell.low is not None]
        assert sorted(size for size in sizes if size > 1e-9) == pytest.approx(sorted(expected))


def test_contours_are_lines_of_equal_harmonic_mean() -> None:
    (axes,) = plane(BoardQuery(named(labels=["coop", "maple"]), "base-to-novel", THREE)).axes
    (lines,) = [each for each in axes.collections if hasattr(each, "levels")]
    for level, path in zip(lines.levels, lines.get_paths(), strict=True):
        for x, y in path.vertices:
            assert 2 * x * y / (x + y) == pytest.approx(level, rel=1e-3)


def test_a_method_without_novel_scores_is_named_as_not_drawn() -> None:
    frame = named(labels=["coop", "maple", "probe"])
    frame = frame[(frame["label"] != "probe") | (frame["target_subset"] == "base")]
    shown = " ".join(texts(plane(BoardQuery(frame, "base-to-novel", THREE))))
    assert "Not drawn, figures incomplete: probe." in shown.replace("\n", " ")
    with pytest.raises(NoScoresError, match="nothing to draw for base-to-novel"):
        plane(BoardQuery(frame[frame["label"] == "probe"], "base-to-novel", THREE))


def test_bars_start_at_zero_and_have_the_leaderboards_figures() -> None:
    frame = named(labels=["coop", "maple"])
    board = BoardQuery(frame, "base-to-novel", THREE).board
    figure = bars(BoardQuery(frame, "base-to-novel", THREE))
    assert [axes.get_title() for axes in figure.axes] == ["Average", *(title for _, title in THREE)]
    for axes, table in zip(figure.axes, board.tables, strict=False):
        assert axes.get_xlim()[0] == 0
        assert [bar.get_width() for bar in axes.patches] == [row.cells[2].value for row in table.rows]


def test_axes_of_accuracy_end_at_0_and_100_where_intervals_go_on() -> None:
    sides = {1: (100, 5), 2: (99, 100), 3: (30, 1)}
    wild = [("wild", "d0", seed, {"base": base, "novel": novel}) for seed, (base, novel) in sides.items()]
    frame, one = frame_of(wild), DATASETS[:1]
    (square,) = plane(BoardQuery(frame, "base-to-novel", one)).axes
    (average, *_) = bars(BoardQuery(frame, "base-to-novel", one)).axes
    (against, *_) = cost(BoardQuery(frame, "base-to-novel", one)).axes
    shots = frame_of([(*row[:3], {"all": row[3]["novel"]}) for row in wild], "few-shot")
    (curve, *_) = few_shot(BoardQuery(shots, "few-shot", one, shots=(1, 16))).axes
    assert average.get_xlim() == (0, 100)
    for low, high in (square.get_xlim(), square.get_ylim(), against.get_ylim(), curve.get_ylim()):
        assert -2 <= low < high <= 102
    for line in square.lines:
        assert square.get_xlim()[0] <= line.get_xdata()[0] <= square.get_xlim()[1]
        assert square.get_ylim()[0] <= line.get_ydata()[0] <= square.get_ylim()[1]


def test_bars_of_nothing_but_zeros_have_an_axis() -> None:
    frame = frame_of([("a", "d0", 1, {"base": 0.0, "novel": 0.0})])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = bars(BoardQuery(frame, "base-to-novel", THREE[:1]))
    assert {axes.get_xlim() for axes in figure.axes} == {(0.0, 1.0)}


def test_bars_of_transfer_show_source_and_targets() -> None:
    frame = named("cross-dataset", ["coop", "maple"])
    titles = [
        axes.get_title() for axes in bars(BoardQuery(frame, "cross-dataset", (("source", "Source"), *THREE))).axes
    ]
    assert titles == ["Average", "Source", *(title for _, title in THREE)]


def test_few_shot_bars_are_of_the_most_shots() -> None:
    frame = named("few-shot", ["coop", "maple"])
    assert "accuracy at 16 shots" in " ".join(texts(bars(BoardQuery(frame, "few-shot", THREE))))


def test_gains_are_those_of_the_comparison() -> None:
    frame = named(labels=["coop", "maple"])
    comparison = compare(read_scores(BoardQuery(frame, "base-to-novel", THREE)), "maple", "coop")
    figure = gains(BoardQuery(frame, "base-to-novel", THREE), "coop")
    widths = [bar.get_width() for axes in figure.axes for bar in axes.patches]
    assert widths == [comparison.average, *(each.spread.mean for each in comparison.datasets)]


def test_few_shot_curves_pass_through_the_leaderboards_figures() -> None:
    frame = named("few-shot", ["coop"])
    board = BoardQuery(frame, "few-shot", THREE, shots=(1, 4, 16)).board
    figure = few_shot(BoardQuery(frame, "few-shot", THREE, shots=(1, 4, 16)))
    for axes, table in zip(figure.axes, board.tables, strict=False):
        (curve,) = [line for line in axes.lines if line.get_linestyle() != "None"]
        assert list(curve.get_ydata()) == [cell.value for cell in table.rows[0].cells]
        assert list(curve.get_xdata()) == pytest.approx([1, 4, 16], rel=0.12)
        assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "4", "16"]


def test_learning_curves_are_means_over_seeds() -> None:
    curves = learned(["coop"], epochs=3)
    figure = learning(curves, THREE, "train_accuracy")
    assert [axes.get_title() for axes in figure.axes] == [title for _, title in THREE]
    (line, *_) = figure.axes[0].lines
    assert list(line.get_ydata()) == [50.0, 50.0, 50.0]
    (loss, *_) = learning(curves, THREE).axes[0].lines
    means = curves[curves["dataset"] == "d0"].groupby("epoch")["loss"].mean()
    assert list(loss.get_ydata()) == pytest.approx(list(means))


def test_curves_without_the_quantity_are_left_out() -> None:
    curves = learned(["coop", "zeroshot"])
    curves.loc[curves["label"] == "zeroshot", "train_accuracy"] = np.nan
    assert "zeroshot" not in texts(learning(curves, THREE, "train_accuracy"))
    with pytest.raises(NoScoresError, match="no learning curve has a loss"):
        learning(curves.assign(loss=np.nan), THREE)


def test_a_method_that_trains_nothing_stands_left_of_all_others() -> None:
    frame = named(labels=["coop", "zeroshot"])
    idle = frame["label"] == "zeroshot"
    frame.loc[idle, "trainable_parameters"] = 0
    frame.loc[idle, "train_seconds"] = 1e-5
    parameters, seconds, memory = cost(BoardQuery(frame, "base-to-novel", THREE)).axes
    for axes, word in ((parameters, "0"), (seconds, "<0.01")):
        ticks = axes.get_xticklabels()
        assert ticks[0].get_text() == word
        assert min(line.get_xdata()[0] for line in axes.lines) == ticks[0].get_position()[0]
    assert memory.get_xscale() == "linear"


def test_the_diagram_puts_methods_at_their_ranks_and_joins_what_cannot_be_told_apart() -> None:
    rows = [
        (label, name, 1, {"all": float(value) + 0.01 * place})
        for place, (name, _) in enumerate(DATASETS)
        for label, value in (("good", 80), ("fair", 70 + (place % 2)), ("same", 70.5), ("poor", 50))
    ]
    figure = critical_difference(BoardQuery(frame_of(rows, "few-shot"), "few-shot", DATASETS))
    (axes,) = figure.axes
    (thick,) = [line for line in axes.lines if line.get_linewidth() == 3]
    ranks = {text.get_text().replace("  ", " ") for text in axes.texts}
    assert {"good 1.00", "4.00 poor"} <= ranks
    start, end = thick.get_xdata()
    ticks = {text.get_text(): text.get_position()[0] for text in axes.texts if text.get_text().isdigit()}
    assert ticks["2"] < start < end < ticks["3"] + 0.1


def test_miniature_figures_say_so() -> None:
    frame = named(labels=["coop", "maple"], miniature=True)
    few = named("few-shot", ["coop", "maple"], miniature=True)
    made = [*every_figure(BoardQuery(frame, "base-to-novel", THREE), reference="coop").values()]
    made += [few_shot(BoardQuery(few, "few-shot", THREE)), learning(learned(["coop"]), THREE, miniature=True)]
    for figure in made:
        assert "Miniature: never compare" in " ".join(texts(figure))


def test_every_figure_of_a_protocol_is_made_and_empty_ones_are_left_out() -> None:
    made = every_figure(
        BoardQuery(named("few-shot", ["coop", "maple"]), "few-shot", THREE, shots=(1, 4)), reference="coop"
    )
    assert sorted(made) == ["bars", "cost", "critical-difference", "few-shot", "gains"]
    assert "4 shots" in " ".join(texts(made["critical-difference"]))
    assert sorted(every_figure(BoardQuery(named(labels=["coop"]), "base-to-novel", THREE))) == [
        "bars",
        "cost",
        "critical-difference",
        "plane",
    ]
    assert every_figure(BoardQuery(frame_of([]), "base-to-novel", THREE), reference="coop") == {}


def test_forty_methods_differ_without_colour() -> None:
    drawn = looks([f"m{place}" for place in range(40)]).values()
    assert len({(look.marker, look.fill) for look in drawn}) == 40


def test_looks_do_not_depend_on_order() -> None:
    assert looks(["b", "a"]) == looks(["a", "b"])


def test_long_names_lose_their_middle_unless_that_confuses_them() -> None:
    long = "dear(attribute_tokens=false, fusion_weight=0.25)"
    names = shortened([long, "coop"])
    assert names["coop"] == "coop"
    assert len(names[long]) == 34
    assert names[long].startswith("dear(attribute")
    assert names[long].endswith("weight=0.25)")
    twins = [f"dear(attribute_tokens={value}, fusion_weight=0.25)" for value in ("false", "wrong")]
    assert len(set(shortened(twins).values())) == 2


def test_a_png_is_as_wide_as_a_page_needs() -> None:
    with Image.open(io.BytesIO(rendered(FIGURES["few-shot"](["coop"]), "png"))) as picture:
        assert picture.width == 1440


def test_importing_the_figures_loads_neither_matplotlib_nor_torch() -> None:
    code = (
        "import sys, promptarena.benchmark.plots.all_figures, promptarena.benchmark.statistics.board; "
        "print([name for name in ('torch', 'matplotlib', 'scipy', 'pandas') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
