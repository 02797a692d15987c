"""Every figure: names appear as they are spelt, and files are the same every time."""

import subprocess
import sys
import warnings
from itertools import combinations
from pathlib import Path

import pytest
from figures_of import FIGURES, NASTY, THREE, drawn, learned, named, texts
from matplotlib.text import Text
from score_frames import frame_of

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.all_figures import every_figure
from promptarena.benchmark.plots.curves import few_shot, learning
from promptarena.benchmark.plots.style import COLUMN, PAGE, rendered, save


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


LONG = [f"a-method-with-settings(first_setting={place}, second_setting=a_long_value)" for place in range(12)]
CROWDS = {"two": ["coop", "maple"], "nasty": NASTY, "long": LONG, "forty": [f"method-{place}" for place in range(40)]}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("labels", CROWDS.values(), ids=CROWDS)
@pytest.mark.parametrize("width", [COLUMN, PAGE])
def test_a_figure_is_as_wide_as_requested_and_no_text_covers_another(
    name: str, labels: list[str], width: float
) -> None:
    figure = FIGURES[name](labels, width=width)
    assert figure.get_figwidth() == width
    seen = [(text, text.get_window_extent()) for text in drawn(figure)]
    page = figure.bbox.padded(1)
    for text, box in seen:
        assert page.fully_contains(box.x0, box.y0), text
        assert page.fully_contains(box.x1, box.y1), text
        assert text.get_fontsize() >= (6.5 if width == PAGE else 6)
    if labels in (CROWDS["two"], CROWDS["forty"]):  # other names are broken into lines
        assert sum(any(label in text.get_text() for label in labels) for text, _ in seen) >= len(labels)
    for (one, box), (other, rival) in combinations(seen, 2):
        assert not box.shrunk(0.98, 0.75).overlaps(rival.shrunk(0.98, 0.75)), (one, other)


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("width", [COLUMN, PAGE])
def test_a_pdf_holds_its_fonts(name: str, width: float) -> None:
    content = rendered(FIGURES[name](NASTY, width=width), "pdf")
    assert b"/FontFile2" in content
    assert b"/Type3" not in content


def test_a_width_that_no_page_has_is_refused() -> None:
    query = BoardQuery(named(labels=["coop", "maple"]), "base-to-novel", THREE)
    for width in (0.0, -3.3, 1000.0, float("nan")):
        with pytest.raises(UserError, match=r"width of a figure is 2\.5 to 50 inches"):
            every_figure(query, width=width)


@pytest.mark.parametrize("name", ["plane", "critical", "few-shot"])
def test_the_same_figure_is_the_same_files(name: str, tmp_path: Path) -> None:
    first, second = (save(FIGURES[name](NASTY), tmp_path / folder, name) for folder in ("a", "b"))
    assert [path.name for path in first] == [f"{name}.png", f"{name}.svg", f"{name}.pdf"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert first[0].read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in first[1].read_bytes()
    assert first[2].read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", ["bars", "few-shot"])
def test_a_file_does_not_depend_on_those_written_before(name: str) -> None:
    figure = FIGURES[name](NASTY)
    rendered(figure, "png")
    assert rendered(figure, "svg") == rendered(FIGURES[name](NASTY), "svg")


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
    assert sorted(made) == ["average-curve", "bars", "cost", "critical-difference", "dots", "few-shot", "gains"]
    assert "4 shots" in " ".join(texts(made["critical-difference"]))
    assert sorted(every_figure(BoardQuery(named(labels=["coop"]), "base-to-novel", THREE))) == [
        "bars",
        "cost",
        "critical-difference",
        "dots",
        "plane",
    ]
    assert every_figure(BoardQuery(frame_of([]), "base-to-novel", THREE), reference="coop") == {}


def test_importing_the_figures_loads_neither_matplotlib_nor_torch() -> None:
    code = (
        "import sys, promptarena.benchmark.plots.all_figures, promptarena.benchmark.statistics.board; "
        "print([name for name in ('torch', 'matplotlib', 'scipy', 'pandas') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
