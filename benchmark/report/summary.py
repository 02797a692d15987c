"""The result of a comparison in a few lines: for each protocol what its results say."""

from collections.abc import Sequence

from promptarena.benchmark.report.sections import Section
from promptarena.benchmark.report.verdict import verdict_of


def summary(sections: Sequence[Section]) -> list[str]:
    """Say what came out.

    Args:
        sections: The protocols with all that was made of their results.

    Returns:
        A line for each protocol: the sentences of its verdict, which the report's first screen has, too.
    """
    verdicts = map(verdict_of, sections)
    return [f"{verdict.title}: {' '.join(verdict.sentences)}" for verdict in verdicts]
