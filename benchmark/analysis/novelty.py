"""Out-of-distribution detection, near: do images of novel classes look unlike the base classes of their dataset?"""

import numpy as np

from promptarena.benchmark.analysis import names
from promptarena.benchmark.analysis.subjects import Subject, auroc, false_positives, percent
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.core.subsets import base_classes
from promptarena.benchmark.leaderboard.model import Column

SCORES = ("MCM", "Max logit", "Energy")


def score_columns() -> tuple[Column, ...]:
    """AUROC and FPR95 of each score."""
    return tuple(
        Column(f"{score.lower().replace(' ', '_')}_{figure.lower()}_pct", figure, group=score)
        for score in SCORES
        for figure in ("AUROC", "FPR95")
    )


def _measure(found: Predictions) -> tuple[float | None, ...]:
    assert found.halves is not None
    largest = found.halves.base_logit.astype(np.float64)
    mass = found.halves.base_log_sum_exp.astype(np.float64)
    is_base = found.labels < len(base_classes(len(found.classes)))
    figures: list[float | None] = []
    for score in (largest - mass, largest, mass):
        figures.append(percent(auroc(score[is_base], score[~is_base])))
        figures.append(percent(false_positives(score[is_base], score[~is_base])))
    return tuple(figures)


NOVELTY = Subject(
    name=names.OOD,
    title="novel classes as out-of-distribution images",
    caption=(
        "Candidates are the base classes alone; images of novel classes are to be separated from those of base "
        "classes. MCM: the "
        "largest probability of a base class (Ming et al., NeurIPS 2022, with the learner's own logit scale as "
        "temperature); "
        "Max logit: the largest logit; Energy: the log-sum-exp of the logits. AUROC: pairs in which the base "
        "image scores "
        "higher; FPR95: novel images accepted when 95 % of the base images are."
    ),
    columns=score_columns(),
    measure=_measure,
    of_halves=True,
)
