"""The base and novel halves of a class list, and the harmonic mean of accuracies on them."""

from promptarena.benchmark.core.runs import Subset

SCORED: tuple[Subset, ...] = ("base", "novel", "all", "union")
"""The subsets whose images are scored, and which a run can therefore have as targets."""


def base_classes(classes: int) -> range:
    """The labels of the base half: the first ceil(classes / 2)."""
    return range((classes + 1) // 2)


def novel_classes(classes: int) -> range:
    """The labels of the novel half: those after the base half."""
    return range((classes + 1) // 2, classes)


def subset_labels(subset: Subset, classes: int) -> range:
    """The labels of a subset.

    Args:
        subset: One of `SCORED`.
        classes: The number of classes of the dataset.

    Returns:
        The labels, ascending. The position of a label in this range is its label within the subset.

    Raises:
        ValueError: The scores of the subset follow from those of another one.

    >>> list(subset_labels("novel", 5))
    [3, 4]
    """
    match subset:
        case "base":
            return base_classes(classes)
        case "novel":
            return novel_classes(classes)
        case "all" | "union":
            return range(classes)
        case _:
            raise ValueError(f"no images are scored for {subset!r} by itself")


def harmonic_mean(base: float, novel: float) -> float:
    """The harmonic mean 2bn / (b + n) of two accuracies (>= 0, same unit); 0 when both are 0."""
    return 2 * base * novel / (base + novel) if base + novel else 0.0
