"""Two methods on the same images: which ones does a method repair, which does it break, and can that be chance?"""

from dataclasses import dataclass, replace
from functools import cached_property

from promptarena.benchmark.analysis import names
from promptarena.benchmark.analysis.pairing import pairs_with, same_images, tables_of
from promptarena.benchmark.analysis.subjects import Answered
from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.core.predictions import Predictions
from promptarena.benchmark.leaderboard.model import Board, Cell, Column
from promptarena.benchmark.statistics.significance import holm

_COLUMNS = (
    Column("repaired_count", "Repaired", "count"),
    Column("broken_count", "Broken", "count"),
    Column("holm_p", "p", "p"),
)


@dataclass(frozen=True)
class Discordant:
    """The images on which exactly one of two methods is right.

    Args:
        repaired: Those on which it is the method, not the reference.
        broken: Those on which it is the reference.
    """

    repaired: int
    broken: int

    @cached_property
    def p(self) -> float:
        """The two-sided exact binomial test that both are equally many (McNemar's exact test); 1 without images."""
        from scipy.stats import binomtest

        discordant = self.repaired + self.broken
        return float(binomtest(self.repaired, discordant, 0.5).pvalue) if discordant else 1.0


def discordant(method: Predictions, reference: Predictions) -> Discordant:
    """Compare two methods image by image.

    Args:
        method: The predictions of one.
        reference: Those of the other, for the same target.

    Returns:
        The counts.

    Raises:
        UserError: They are not predictions for the same images.
    """
    same_images(method, reference)
    mine, theirs = method.right, reference.right
    return Discordant(int((mine & ~theirs).sum()), int((theirs & ~mine).sum()))


def paired_board(answered: Answered, reference: str = "") -> Board | None:
    """Count for every method the images that it repairs and breaks, and test whether that can be chance.

    Args:
        answered: The predictions.
        reference: The label of the method that the others are paired with; empty: the first one that has predictions.

    Returns:
        A table for each dataset; None if fewer than two methods can be paired.
    """
    first, paired = pairs_with(answered, reference)
    if not paired:
        return None
    found = {key: discordant(pair.method, pair.reference) for key, pair in paired.items()}
    corrected = dict(zip(found, holm([each.p for each in found.values()]), strict=True))

    def cells(place: tuple[str, str], name: Label) -> list[Cell] | None:
        if (place, name) not in found:
            return None
        counts, seed = found[place, name], paired[place, name].seed
        reason = "no seed" if seed is None else f"seed {seed}"
        return [
            Cell(float(counts.repaired), filled=1, reason=reason),
            Cell(float(counts.broken), filled=1, reason=reason),
            Cell(corrected[place, name], filled=1, reason=f"p {counts.p!r} before Holm's correction"),
        ]

    board = answered.board
    return replace(
        board,
        title=f"{board.title}: image by image against {first}",
        caption=(
            f"Repaired: images on which the method is right and {first} is wrong; Broken: the other way round. p: "
            "exact "
            "binomial test that both are equally many (McNemar), two-sided, with Holm's correction for all methods and "
            f"datasets of this board ({len(found)} tests). Of methods with seeds, the smallest one that both have."
        ),
        tables=tables_of(answered, _COLUMNS, cells),
        notes=answered.notes,
        part=names.PAIRED,
    )
