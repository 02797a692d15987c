"""The confusion matrix of a method on a dataset, drawn on demand: a page with those of all methods would be large."""

from typing import TYPE_CHECKING

from promptarena.benchmark.analysis.boards import Source, answered_of
from promptarena.benchmark.analysis.confusions import confusion_matrices
from promptarena.benchmark.core.errors import UserError, unknown
from promptarena.benchmark.plots.confusion import confusion
from promptarena.benchmark.plots.style import PAGE
from promptarena.benchmark.report.sections import Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_of(
    section: Section, predictions: Source, dataset: str, method: str, width: float | None = None
) -> "Figure":
    """Draw the confusion matrices of a method on a dataset, the mean over its seeds.

    Args:
        section: The protocol.
        predictions: Gives the predictions.
        dataset: The card name of the dataset.
        method: The label of the method.
        width: The width in inches; None: that of a page.

    Returns:
        The plot.

    Raises:
        UserError: A name is unknown, the dataset has too many classes, or no predictions are kept.
    """
    query = section.query
    titles, labels = dict(query.datasets), [row.label for row in query.board.tables[0].rows]
    if dataset not in titles:
        raise unknown("dataset of a confusion matrix", dataset, titles)
    if method not in labels:
        raise unknown("method of a confusion matrix", method, labels)
    matrices = confusion_matrices(answered_of(query, predictions, (dataset, method)), dataset, method)
    if not matrices:
        raise UserError(f"the runs of {method} on {dataset} keep no predictions; run: promptarena predictions")
    drawn = {heading: (matrix.classes, matrix.shares) for heading, matrix in matrices.items()}
    return confusion(
        drawn,
        f"{query.board.title}: {method} on {titles[dataset]}",
        miniature=query.board.miniature,
        width=width or PAGE,
    )
