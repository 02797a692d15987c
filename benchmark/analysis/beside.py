"""Boards of what is predicted beside the scores: with a fitted temperature, and for images of other datasets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from promptarena.benchmark.analysis import names
from promptarena.benchmark.analysis.calibration import BINS, calibration_error, negative_log_likelihood
from promptarena.benchmark.analysis.novelty import SCORES, score_columns
from promptarena.benchmark.analysis.subjects import (
    Answered,
    Figures,
    Floats,
    Values,
    auroc,
    confidence,
    counted,
    false_positives,
    percent,
)
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.leaderboard.aggregate import Seed
from promptarena.benchmark.leaderboard.model import Column


@dataclass(frozen=True)
class BesideSubject:
    """A board whose figures are each computed from two files of one run.

    Args:
        name: As in `Subject`; so are `title`, `caption` and `columns`.
        kept_as: From a scored target to what the other predictions are kept as; None where there are none.
        measure: From the predictions for the target and the others to the figures.
        lacking: What to do for the runs that do not keep the others, after their number.
    """

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    kept_as: Callable[[Target], Target | None]
    measure: Callable[[Predictions, Predictions], Figures]
    lacking: str

    def values(self, answered: Answered) -> Values:
        """The figures of all methods; none if no run keeps the other predictions."""
        found: Values = {}
        for place, by_name in answered.by_place.items():
            for name, by_seed in by_name.items():
                for seed, kept in by_seed.items():
                    other = self._other(answered, kept, name, seed)
                    if other is not None and len(kept):
                        figures = self.measure(kept, other)
                        found.setdefault(place, {}).setdefault(name, {})[seed] = figures
        return found

    def notes(self, answered: Answered) -> tuple[str, ...]:
        """A line on the runs without the other predictions."""
        lacking = {
            (place[0], replace(name, reading=""), seed)
            for place, by_name in answered.by_place.items()
            for name, by_seed in by_name.items()
            for seed, kept in by_seed.items()
            if self.kept_as(kept.target) and self._other(answered, kept, name, seed) is None
        }
        return (f"{counted(name for _, name, _ in lacking)} {self.lacking}",) if lacking else ()

    def _other(self, answered: Answered, kept: Predictions, name: Label, seed: Seed) -> Predictions | None:
        target = self.kept_as(kept.target)
        if target is None:
            return None
        return answered.beside.get((target.dataset, target.subset), {}).get(name, {}).get(seed)


def _tempered(plain: Predictions, cooled: Predictions) -> Figures:
    if not np.array_equal(plain.images, cooled.images):
        raise UserError(
            f"predictions for {plain.target.dataset}/{plain.target.subset} with and without a fitted temperature are "
            "of different images; leave out the method with --methods"
        )
    found: list[float | None] = [cooled.temperature]
    found += [100 * calibration_error(confidence(each), each.right) for each in (plain, cooled)]
    found += [negative_log_likelihood(each) for each in (plain, cooled)]
    return tuple(found)


TEMPERATURE = BesideSubject(
    name=names.TEMPERATURE,
    title="calibration with a fitted temperature",
    caption=(
        "T: the number by which all logits of a run are divided. It is fitted on the run's training images only, for "
        "which it makes the likelihood largest (Guo et al., ICML 2017), between 1/20 and 20; above 1 it makes the "
        f"learner less sure. ECE: {BINS} bins of equal width, in percent; NLL in nats; each as in the board "
        "calibration, and with T."
    ),
    columns=(
        Column("temperature", "T", "number"),
        Column("ece_pct", "ECE"),
        Column("tempered_ece_pct", "ECE with T"),
        Column("nll_nats", "NLL", "number"),
        Column("tempered_nll_nats", "NLL with T", "number"),
    ),
    kept_as=lambda target: target.tempered,
    measure=_tempered,
    lacking="no predictions with a fitted temperature; run: promptarena predictions --temperature",
)


def _scores(found: Predictions) -> tuple[Floats, Floats, Floats]:
    """The scores of `SCORES` for each image."""
    largest, mass = found.logits[:, 0].astype(np.float64), found.log_sum_exp
    return largest - mass, largest, mass


def _far(own: Predictions, others: Predictions) -> Figures:
    if own.classes != others.classes:
        raise UserError(
            f"predictions for {own.target.dataset} and for other datasets are among different classes; leave out the "
            "method with --methods"
        )
    of_dataset = np.array([key.split("/", 1)[0] for key in others.images.tolist()])
    figures: list[float | None] = []
    for mine, theirs in zip(_scores(own), _scores(others), strict=True):
        parts = [theirs[of_dataset == name] for name in np.unique(of_dataset)]
        for measure in (auroc, false_positives):
            figures.append(percent(_mean([measure(mine, part) for part in parts])))
    return tuple(figures)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


FAR = BesideSubject(
    name=names.FAR,
    title="other datasets as out-of-distribution images",
    caption=(
        f"Images of the suite's other datasets are to be separated from the dataset's test images; candidates are the "
        "classes of the training. At most 100 test images of each other dataset, the same for all runs, without those "
        f"of a class with one of the candidates' names. Scores as in the board ood: {', '.join(SCORES)}. AUROC and "
        "FPR95: means over the other datasets."
    ),
    columns=score_columns(),
    kept_as=lambda target: Target(target.dataset, "far") if target.subset in ("base", "all") else None,
    measure=_far,
    lacking="no predictions for other datasets; run: promptarena predictions --far",
)
