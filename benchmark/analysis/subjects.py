"""What a board of this room measures of predictions, and what several of them need."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promptarena.benchmark.core.labels import Label, counted_shots
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.leaderboard.aggregate import Seed
from promptarena.benchmark.leaderboard.captions import MINIATURE
from promptarena.benchmark.leaderboard.comparable import listed
from promptarena.benchmark.leaderboard.model import Board, Column

Floats = npt.NDArray[np.float64]

GROUPS = {"base": "Base classes", "novel": "Novel classes", "all": "", "union": ""}
"""The scored subsets and what stands above their columns."""

Figures = tuple[float | None, ...]
"""One for each column; None for one that is not defined, as for an AUROC of a single class."""

Values = dict[tuple[str, str], dict[Label, dict[Seed, Figures]]]
"""The figures of a board by (dataset, subset), method and seed."""


def counted(runs: Iterable[Label]) -> str:
    """How a note on runs begins.

    Args:
        runs: The label of each run.

    >>> counted([Label("maple"), Label("coop"), Label("coop")])
    '3 runs of coop, maple keep'
    """
    every = list(runs)
    methods = listed(sorted({str(run) for run in every}))
    return f"{len(every)} run{'s' * (len(every) > 1)} of {methods} keep{'s' * (len(every) == 1)}"


@dataclass(frozen=True)
class Subject:
    """A board whose figures are each computed from the predictions of one run for one target.

    Args:
        name: Its name in commands and files.
        title: What follows the protocol's title.
        caption: The definitions of its figures.
        columns: One for each figure.
        measure: From predictions to the figures.
        of_halves: Whether it needs predictions with `halves`, which only some targets have.
    """

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    measure: Callable[[Predictions], Figures]
    of_halves: bool = False

    def values(self, answered: "Answered") -> Values:
        """The figures of all methods."""
        made = {
            place: {name: found for name, by_seed in by_name.items() if (found := self.figures(by_seed))}
            for place, by_name in answered.by_place.items()
        }
        return {place: by_name for place, by_name in made.items() if by_name}

    def notes(self, answered: "Answered") -> tuple[str, ...]:
        """Lines on what is missing beside what `Answered` says."""
        return ()

    def figures(self, by_seed: Mapping[Seed, Predictions]) -> dict[Seed, Figures]:
        """The figures of a method for one target, by seed."""
        return {
            seed: self.measure(found)
            for seed, found in by_seed.items()
            if len(found) and (found.halves is not None or not self.of_halves)
        }


def confidence(found: Predictions) -> Floats:
    """(N,) the probability of each predicted class, by a softmax over all classes."""
    return np.exp(log_confidence(found))


def log_confidence(found: Predictions) -> Floats:
    """(N,) the natural logarithm of `confidence`; it separates probabilities that are 1 up to rounding."""
    return found.logits[:, 0].astype(np.float64) - found.log_sum_exp


def auroc(positive: Floats, negative: Floats) -> float | None:
    """The area under the ROC curve.

    Args:
        positive: Scores of what should score higher.
        negative: Scores of the others.

    Returns:
        The share of pairs in which the positive one is larger, equal scores counting one half; None without pairs.
    """
    from scipy.stats import rankdata  # scikit-learn would take a second to import

    count = len(positive)
    if not (count and len(negative)):
        return None
    # Mann and Whitney: the positives' ranks, less those that they have among themselves, count the pairs.
    pairs = rankdata(np.r_[positive, negative])[:count].sum() - count * (count + 1) / 2
    return float(pairs / (count * len(negative)))


def false_positives(positive: Floats, negative: Floats, share: float = 0.95) -> float | None:
    """The false positive rate at a true positive rate.

    Args:
        positive: Scores of what should be accepted.
        negative: Scores of the others.
        share: At least this share of the positives is accepted, by the highest possible threshold.

    Returns:
        The share of negatives whose score is at or above the threshold; None without positives or negatives.
    """
    if not (len(positive) and len(negative)):
        return None
    ordered = np.sort(positive)[::-1]
    threshold = ordered[int(np.ceil(share * len(ordered))) - 1]
    return float((negative >= threshold).mean())


def percent(value: float | None) -> float | None:
    """A share in percent."""
    return None if value is None else 100 * value


@dataclass(frozen=True)
class Answered:
    """The predictions behind a leaderboard.

    Args:
        board: The leaderboard.
        datasets: (card name, title) of the datasets that an average is taken over, in table order.
        by_place: By (dataset, subset), method and seed.
        beside: The same for further predictions, which runs keep on request.
        names: The methods in the order of the leaderboard's rows.
        shots: In the few-shot protocol the training images per class; None otherwise.
        notes: Lines on what is missing.
    """

    board: Board
    datasets: tuple[tuple[str, str], ...]
    by_place: Mapping[tuple[str, str], Mapping[Label, Mapping[Seed, Predictions]]]
    beside: Mapping[tuple[str, str], Mapping[Label, Mapping[Seed, Predictions]]]
    names: tuple[Label, ...]
    shots: int | None
    notes: tuple[str, ...]

    def basis(self) -> str:
        """The sentences of a caption that say what the figures rest on."""
        over = f"Mean ± sample standard deviation over seeds {', '.join(map(str, self.board.seeds))}."
        sentences = [over if self.board.seeds else "", f"At {counted_shots(self.shots)}." if self.shots else ""]
        return " ".join(filter(None, (*sentences, MINIATURE if self.board.miniature else "")))
