"""Looks of methods, and how figures are saved."""

import io
from pathlib import Path

import pytest
from figures_of import FIGURES
from matplotlib.figure import Figure
from PIL import Image

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.plots.style import looks, rendered, save, shortened


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file/figures/x\.png"):
        save(Figure(), tmp_path / "file" / "figures", "x")


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
