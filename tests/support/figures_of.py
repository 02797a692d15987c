"""Frames, the figures drawn of them, and the texts in a figure."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text
from score_frames import DATASETS, drawn_frame

from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.plots.average_curve import average_curve
from promptarena.benchmark.plots.bars import bars, gains
from promptarena.benchmark.plots.base_novel_plane import plane
from promptarena.benchmark.plots.certainty import Drawn, reliability, risk_coverage
from promptarena.benchmark.plots.cost import cost
from promptarena.benchmark.plots.critical_difference import critical_difference
from promptarena.benchmark.plots.curves import few_shot, learning
from promptarena.benchmark.plots.dots import dots
from promptarena.benchmark.plots.style import DPI, finish

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


CERTAIN = (reliability, risk_coverage)


def certain(labels: list[str]) -> Drawn:
    """Curves of base and novel classes."""
    random = np.random.default_rng(3)
    return {
        heading: {
            label: [(10.0 * place, float(y)) for place, y in enumerate(random.uniform(20, 90, 8), start=2)]
            for label in labels
        }
        for heading in ("Base classes", "Novel classes")
    }


def _drawn_by(
    draw: Callable[..., Figure], protocol: str = "base-to-novel", also: Sequence[str] = (), **options: Any
) -> Callable[..., Figure]:
    def make(labels: list[str], **given: Any) -> Figure:
        return draw(BoardQuery(named(protocol, [*labels, *also]), protocol, THREE), **options, **given)

    return make


FIGURES: dict[str, Callable[..., Figure]] = {
    "plane": _drawn_by(plane),
    "dots": _drawn_by(dots),
    "bars": _drawn_by(bars),
    "gains": _drawn_by(gains, also=["rival"], reference="rival"),
    "cost": _drawn_by(cost),
    "critical": _drawn_by(critical_difference),
    "few-shot": _drawn_by(few_shot, "few-shot"),
    "average-curve": _drawn_by(average_curve, "few-shot"),
    "reliability": lambda labels, **given: reliability(certain(labels), "Reliability", **given),
    "risk-coverage": lambda labels, **given: risk_coverage(certain(labels), "Risk and coverage", **given),
    "learning": lambda labels, **given: learning(learned(labels), THREE, **given),
}
"""Each figure of methods with these labels; further arguments are the figure's own, such as `width`."""


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def drawn(figure: Figure) -> list[Text]:
    """The texts that can be seen, where they are in a PNG of the figure."""
    finish(figure)
    figure.set_dpi(DPI)
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
