"""Looks of methods, and how figures are saved."""

import io
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from figures_of import FIGURES
from matplotlib.figure import Figure
from PIL import Image

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.plots.style import HUES, INK, looks, rendered, save
from promptarena.benchmark.plugins.families import FAMILIES

BUILT_IN = [method for methods in FAMILIES.values() for method in methods]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file/figures/x\.png"):
        save(Figure(), tmp_path / "file" / "figures", "x")


def test_forty_methods_differ_without_colour() -> None:
    drawn = looks([f"m{place}" for place in range(40)]).values()
    assert len({(look.marker, look.fill) for look in drawn}) == 40


def test_a_method_looks_the_same_whatever_else_is_drawn_and_families_share_a_hue() -> None:
    everyone = looks(BUILT_IN)
    for methods in FAMILIES.values():
        assert len({everyone[method].colour for method in methods}) == 1
    for method in BUILT_IN:
        assert looks([method, "zeroshot", "somebody-else"])[method] == everyone[method]
    assert looks(["coop(n_ctx=4)", "coop"])["coop(n_ctx=4)"].colour == everyone["coop"].colour
    assert looks(["new", "coop"])["new"] == looks(["maple", "new", "other"])["new"]


def test_built_in_methods_differ_in_greyscale() -> None:
    drawn = looks(BUILT_IN).values()
    assert len({(look.marker, look.fill) for look in drawn}) == len(BUILT_IN)


# Rows of the matrices of Machado et al. (IEEE TVCG 15, 2009) for complete colour blindness, in linear RGB.
PROTAN = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
DEUTAN = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
NORMAL = np.eye(3).tolist()


def linear(colour: str) -> np.ndarray:
    parts = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(colour: np.ndarray) -> np.ndarray:
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ colour.clip(0, 1)
    f = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", [NORMAL, PROTAN, DEUTAN], ids=["normal", "protan", "deutan"])
def test_hues_of_families_differ_for_every_sight(sight: list[list[float]]) -> None:
    seen = {family: lab(np.array(sight) @ linear(colour)) for family, colour in HUES.items()}
    for (one, first), (other, second) in combinations(seen.items(), 2):
        assert np.linalg.norm(first - second) > 9, (one, other)


@pytest.mark.parametrize("page", ["#ffffff", "#15181c"])
def test_marks_can_be_seen_on_white_and_on_black(page: str) -> None:
    weights = np.array([0.2126, 0.7152, 0.0722])
    for family, colour in HUES.items():
        if colour != INK:  # text and this family take the page's own colour
            dark, light = sorted((float(weights @ linear(colour)), float(weights @ linear(page))))
            assert (light + 0.05) / (dark + 0.05) > 2.5, family


def test_a_pdf_embeds_its_fonts() -> None:
    content = rendered(FIGURES["plane"](["coop", "maple"]), "pdf")
    assert b"/FontFile2" in content
    assert b"/Type3" not in content


def test_looks_do_not_depend_on_order() -> None:
    assert looks(["b", "a"]) == looks(["a", "b"])


def test_a_png_is_as_wide_as_a_page_needs() -> None:
    with Image.open(io.BytesIO(rendered(FIGURES["few-shot"](["coop"]), "png"))) as picture:
        assert picture.width == 1440
