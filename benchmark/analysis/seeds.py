"""The seeds of a method: how often do they agree, and how good are they together?"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from statistics import fmean
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from promptarena.benchmark.analysis import names
from promptarena.benchmark.analysis.subjects import GROUPS, Answered, Floats
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.leaderboard.aggregate import Aggregate, Seed, average
from promptarena.benchmark.leaderboard.model import Board, Cell, Column, Row, Table


def agreement(found: Sequence[Predictions]) -> float:
    """The share of images (0 to 1) for which two learners predict the same class, mean over all pairs of them."""
    return fmean(float((one.top[:, 0] == other.top[:, 0]).mean()) for one, other in combinations(found, 2))


def ensemble(found: Sequence[Predictions]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether the mean of the probabilities of several learners is largest for the label.

    Only the five largest probabilities and the label's are kept. Of any other class it is known that it is at most the
    fifth, and at most what the kept ones leave of 1. That decides nearly all images.

    Args:
        found: The predictions of S learners for the same N images among the same C classes.

    Returns:
        (N,) whether the label certainly is the prediction, and (N,) whether what is kept does not decide it.
    """
    labels = found[0].labels
    candidates = np.concatenate([each.top for each in found], axis=1)
    of_label, left = np.zeros(len(labels)), np.zeros(len(labels))
    low = np.zeros(candidates.shape)
    high = np.zeros(candidates.shape)
    for each in found:
        kept = np.exp(each.logits.astype(np.float64) - each.log_sum_exp[:, None])
        own = np.exp(each.label_logit.astype(np.float64) - each.log_sum_exp)
        rest = _rest(each, kept, own)
        same = candidates[:, :, None] == each.top[:, None, :]
        known = same.any(axis=2)
        probability = (same * kept[:, None, :]).sum(axis=2)
        low += probability
        high += np.where(known, probability, rest[:, None])
        of_label += own
        left += rest
    other = candidates != labels[:, None]
    most = np.where(other, high, left[:, None]).max(axis=1)  # `left`: classes that no learner has among its largest
    least = np.where(other, low, 0.0).max(axis=1)
    # Two sums of the same probabilities may differ by rounding; then nothing is decided either.
    margin = 1e-9 * len(found)
    right = of_label > most + margin
    return right, ~right & (of_label >= least - margin)


def _rest(each: Predictions, kept: Floats, own: Floats) -> Floats:
    """(N,) the largest probability that a class can have which is neither among the kept ones nor the label."""
    if kept.shape[1] == len(each.classes):
        return np.zeros(len(kept))
    label_is_kept = (each.top == each.labels[:, None]).any(axis=1)
    mass = 1 - kept.sum(axis=1) - np.where(label_is_kept, 0.0, own)
    return np.asarray(np.clip(np.minimum(kept[:, -1], mass), 0.0, None))


class _Together(NamedTuple):
    """The seeds of a method for one target: figures in percent, `undecided` in images."""

    accuracy: Aggregate
    agreement: float
    low: float
    high: float
    undecided: int


def seeds_board(answered: Answered, _reference: str = "") -> Board | None:
    """Show for every method the mean over its seeds and, as one further row, the ensemble of them.

    Args:
        answered: The predictions.

    Returns:
        A table of averages and one for each dataset; None if no method has several seeds. A method that lacks one of
        the leaderboard's is left out.

    Raises:
        UserError: Seeds of a method have predictions for different images.
    """
    expected = set(answered.board.seeds)
    found = {
        (place, name): _together(list(by_seed.items()))
        for place, by_name in answered.by_place.items()
        for name, by_seed in by_name.items()
        if len(by_seed) > 1 and set(by_seed) >= expected and all(map(len, by_seed.values()))
    }
    if not found:
        return None
    subsets = [subset for subset in GROUPS if any(place[1] == subset for place, _ in found)]
    columns = tuple(
        replace(column, key=f"{subset}_{column.key}" if GROUPS[subset] else column.key, group=GROUPS[subset])
        for subset in subsets
        for column in _COLUMNS
    )

    def table(key: str, title: str, datasets: Sequence[str], dataset: str = "") -> Table:
        rows: list[Row] = []
        for name in answered.names:
            parts = [[found.get(((each, subset), name)) for each in datasets] for subset in subsets]
            if any(part for each in parts for part in each):
                rows.append(Row(name, tuple(cell for each in parts for cell in _mean_cells(each))))
                words = ": ".join(filter(None, (name.reading, "ensemble")))
                cells = tuple(cell for each in parts for cell in _ensemble_cells(each))
                rows.append(Row(replace(name, reading=words), cells))
        return Table(key, title, columns, tuple(rows), dataset=dataset)

    names_of = [name for name, _ in answered.datasets]
    over = f"Average over {len(names_of)} dataset{'s' * (len(names_of) > 1)}"
    tables = [table(name, title, [name], name) for name, title in answered.datasets]
    return replace(
        answered.board,
        title=f"{answered.board.title}: seeds together",
        caption=(
            "Agreement: images for which two seeds predict the same class, mean over pairs of seeds. Ensemble: the "
            "class with the largest mean of the seeds' probabilities. Open: images that the kept probabilities do not "
            "decide; where there are some, the accuracy of the ensemble lies between the two printed figures. "
            f"{answered.basis()}"
        ),
        tables=(table("average", over, names_of), *tables),
        notes=answered.notes,
        part=names.SEEDS,
    )


def _together(by_seed: Sequence[tuple[Seed, Predictions]]) -> _Together:
    found = [each for _, each in by_seed]
    first = found[0]
    for each in found[1:]:
        if not (np.array_equal(each.images, first.images) and each.classes == first.classes):
            raise UserError(
                f"predictions for {first.target.dataset}/{first.target.subset} are of different images; leave out "
                "the method with --methods"
            )
    right, undecided = ensemble(found)
    low, most = 100 * float(right.mean()), 100 * float((right | undecided).mean())
    alone = {seed: 100 * float(each.right.mean()) for seed, each in by_seed}
    return _Together(Aggregate(alone, frozenset(alone)), 100 * agreement(found), low, most, int(undecided.sum()))


def _mean_cells(parts: Sequence[_Together | None]) -> tuple[Cell, Cell, Cell]:
    """The cells of the seeds one by one."""
    there = [part for part in parts if part]
    if len(there) < len(parts):
        return _lacking(parts), _lacking(parts), Cell()
    accuracy = there[0].accuracy if len(there) == 1 else average([part.accuracy for part in there])
    return accuracy.cell(), _whole(fmean(part.agreement for part in there), parts), Cell()


def _ensemble_cells(parts: Sequence[_Together | None]) -> tuple[Cell, Cell, Cell]:
    """The cells of the ensemble."""
    there = [part for part in parts if part]
    if len(there) < len(parts):
        return _lacking(parts), Cell(), _lacking(parts)
    low, high = fmean(part.low for part in there), fmean(part.high for part in there)
    undecided = sum(part.undecided for part in there)
    if undecided:
        reason = f"between {low!r} and {high!r}: the kept probabilities leave {undecided} images open"
        accuracy = Cell(note=f"{low:.2f} to {high:.2f}", reason=reason)
    else:
        accuracy = _whole(low, parts)
    return accuracy, Cell(), _whole(float(undecided), parts)


def _whole(value: float, parts: Sequence[_Together | None]) -> Cell:
    return Cell(value, filled=len(parts), expected=len(parts), parts="datasets")


def _lacking(parts: Sequence[_Together | None]) -> Cell:
    return Cell(filled=sum(part is not None for part in parts), expected=len(parts), parts="datasets")


_COLUMNS = (
    Column("accuracy_pct", "Accuracy"),
    Column("agreement_pct", "Agreement"),
    Column("open_count", "Open", "count"),
)
