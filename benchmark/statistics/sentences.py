"""Comparisons and rankings in plain sentences."""

from collections.abc import Sequence

from promptarena.benchmark.leaderboard.formats.cell_text import p_text
from promptarena.benchmark.statistics.paired import PairedComparison
from promptarena.benchmark.statistics.ranks import Pair, Ranking
from promptarena.benchmark.statistics.significance import ALPHA, smallest_wilcoxon

_NAMED = 6
"""How many names a sentence lists; of the others it gives the number."""
_SPELT_OUT = 8
"""Up to so many comparisons each get their own sentences."""
_ONE_TRAINING = "With one seed all targets share one training, so nothing can be said of other seeds."


def against_words(comparisons: Sequence[PairedComparison]) -> list[str]:
    """Say how methods compare with one reference.

    Args:
        comparisons: Comparisons with the same second method, at least one.

    Returns:
        One text per comparison; if there are many, a single line that lists those above, those below and the others.
    """
    if len(comparisons) <= _SPELT_OUT:
        return [words(each) for each in comparisons]
    reference, of = comparisons[0].second, comparisons[0].words
    apart = [each for each in comparisons if each.significant]
    parts = [
        ("above", tuple(each.first for each in apart if each.average > 0)),
        ("below", tuple(each.first for each in apart if each.average < 0)),
        ("not significantly different", tuple(each.first for each in comparisons if not each.significant)),
    ]
    listed = "; ".join(f"{name}: {', '.join(labels)}" for name, labels in parts if labels)
    return [f"{of}, {len(comparisons)} methods against {reference}: {listed}."]


def words(comparison: PairedComparison) -> str:
    """Say what a comparison shows, in one to three sentences."""
    return " ".join((_verdict(comparison), *_limits(comparison)))


def ranking_words(ranking: Ranking) -> str:
    """Say what a ranking shows, in one to three sentences."""
    best = ranking.methods[0]
    count = len(ranking.methods)
    over = sample(len(ranking.datasets), ranking.seeds)
    if count == 1:
        return f"{ranking.words}: {best.label} alone has all scores on {over}; there is nothing to compare it with."
    start = f"{ranking.words}, {count} methods, {over}: {best.label} has the best mean rank ({best.rank:.1f})"
    verdict = f"{start}." if ranking.test is None else f"{start}; {_beside(ranking)} ({_basis(ranking)})."
    left_out = [f"Left out: {'; '.join(ranking.left_out)}."] if ranking.left_out else []
    return " ".join((verdict, *doubts(ranking), *left_out))


def first_two(ranking: Ranking) -> str:
    """Say how far the first method of a ranking is above the second; empty if their difference was not tested."""
    if not ranking.pairs:
        return ""
    pair = ranking.pairs[0]
    side = "above" if pair.difference > 0 else "below"
    lead = f"{pair.first} is {side} {pair.second} by {abs(pair.difference):.2f} points {ranking.words}"
    if pair.difference == 0:
        lead = f"{pair.first} and {pair.second} have the same {ranking.words}"
    facts = f"95 % interval {pair.low:.2f} to {pair.high:.2f}; {sample(len(ranking.datasets), ranking.seeds)}"
    return f"{lead} ({facts}): {tested(pair, ranking)}."


def tested(pair: Pair, ranking: Ranking) -> str:
    """Say what the tests of a pair found and for how many comparisons they were corrected.

    Args:
        pair: Two methods of the ranking.
        ranking: The ranking.

    Returns:
        Such as "significant after Holm over 231 pairs". If the interval excludes 0 but the pair does not differ
        significantly, what it was that did not agree.
    """
    pairs, methods = len(ranking.pairs), len(ranking.methods)
    if pairs == 1:
        corrected = "by Wilcoxon's test over datasets"
    elif ranking.critical_difference is None:
        corrected = f"after Holm over {pairs} pairs"
    else:
        corrected = f"by Nemenyi's test over {methods} methods"
    if pair.significant:
        return f"significant {corrected}"
    if pair.low <= 0 <= pair.high:
        return "not significant"
    if ranking.friedman is not None and ranking.friedman > ALPHA:
        return f"the interval alone excludes 0, but Friedman's test finds no difference among {methods} methods"
    if pair.p <= ALPHA and pairs > 1:
        return f"significant alone, not {corrected}"
    return f"the interval alone excludes 0, but not significant {corrected}"


def sample(datasets: int, seeds: tuple[int, int]) -> str:
    """How many datasets and seeds a statement rests on.

    Args:
        datasets: The number of datasets.
        seeds: The smallest and the largest number of seeds of a dataset.

    >>> sample(11, (3, 3))
    '11 datasets x 3 seeds'
    """
    fewest, most = seeds
    runs = f"{most} seed{'' if most == 1 else 's'}" if fewest == most else f"{fewest} to {most} seeds"
    return f"{datasets} dataset{'' if datasets == 1 else 's'} x {runs}"


def p_words(p: float, name: str = "p") -> str:
    """The printed text of a p-value with its name: `p = 0.21`, `p = 0.0029`, `p < 0.001`."""
    text = p_text(p)
    return f"{name} < {text[1:]}" if text.startswith("<") else f"{name} = {text}"


def _verdict(comparison: PairedComparison) -> str:
    first, second = comparison.first, comparison.second
    on = f" on {comparison.datasets[0].title}" if len(comparison.datasets) == 1 else ""
    points = f"{abs(comparison.average):.2f} points {comparison.words}"
    if comparison.average == 0:
        lead = f"{first} and {second} have the same {comparison.words}{on}"
    else:
        lead = f"{first} is {'above' if comparison.average > 0 else 'below'} {second} by {points}{on}"
    over = sample(len(comparison.datasets), comparison.seeds)
    if comparison.low is None or comparison.high is None or comparison.p is None:
        return f"{lead} ({over})."
    facts = [
        f"95 % interval {comparison.low:.2f} to {comparison.high:.2f}",
        over,
        p_words(comparison.p, f"{comparison.test} p"),
    ]
    if comparison.p_holm is not None and comparison.family > 1:
        facts.append(f"{p_words(comparison.p_holm)} after Holm's correction for {comparison.family} comparisons")
    verdict = "they differ significantly" if comparison.significant else "they do not differ significantly"
    return f"{lead} ({'; '.join(facts)}): {verdict}."


def _limits(comparison: PairedComparison) -> list[str]:
    datasets, (_, seeds) = len(comparison.datasets), comparison.seeds
    limits = []
    if datasets == 1 and seeds == 1:
        limits.append("From one dataset and one seed nothing more can be said.")
    elif datasets == 1:
        limits.append("One dataset does not say whether they differ on others.")
    elif comparison.one_training:
        limits.append(_ONE_TRAINING)
    elif comparison.test == "Wilcoxon" and smallest_wilcoxon(datasets) > ALPHA:
        limits.append(
            f"{datasets} datasets are too few for the test: p cannot be below "
            f"{smallest_wilcoxon(datasets):.3g}{_on_these(comparison)}."
        )
    p = comparison.p if comparison.p_holm is None else comparison.p_holm
    if p is not None and p <= ALPHA and not comparison.significant:
        limits.append("The test says that they differ, but the interval does not agree.")
    if comparison.missing or comparison.unpaired:
        parts = [
            _counted(len(comparison.missing), "dataset", comparison.missing) if comparison.missing else "",
            _counted(comparison.unpaired, "score") if comparison.unpaired else "",
        ]
        limits.append(f"Left out, because not both have it: {' and '.join(filter(None, parts))}.")
    return limits


def _on_these(comparison: PairedComparison) -> str:
    over = comparison.on_these
    if over is None or over.low is None or over.high is None:
        return ""
    return f"; on just these, over {over.n} seeds, the 95 % interval is {over.low:.2f} to {over.high:.2f}"


def _counted(count: int, what: str, names: tuple[str, ...] = ()) -> str:
    text = f"{count} {what}{'' if count == 1 else 's'}"
    return f"{text} ({_listed(names)})" if names else text


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _beside(ranking: Ranking) -> str:
    near = ranking.beside(ranking.methods[0].label)
    if not any(pair.significant for pair in ranking.pairs):
        return "no two differ significantly"
    return (
        f"it does not differ significantly from {_listed(near)}" if near else "it differs significantly from all others"
    )


def _basis(ranking: Ranking) -> str:
    parts = [] if ranking.friedman is None else [p_words(ranking.friedman, "Friedman p")]
    if ranking.friedman is not None and ranking.friedman > ALPHA:
        return parts[0]
    if ranking.critical_difference is not None:
        parts.append(f"Nemenyi, critical difference {ranking.critical_difference:.1f} ranks at level {ALPHA}")
    else:
        smallest = p_words(min(pair.p_holm for pair in ranking.pairs))
        pairs = len(ranking.pairs)
        parts.append(
            f"Wilcoxon {smallest}"
            if pairs == 1
            else f"Wilcoxon with Holm's correction for {pairs} pairs, smallest {smallest}"
        )
    return "; ".join(parts)


def doubts(ranking: Ranking) -> list[str]:
    """Sentences on what a ranking cannot say: for want of datasets or seeds."""
    found = []
    methods, datasets = len(ranking.methods), len(ranking.datasets)
    wide = ranking.critical_difference is not None and ranking.critical_difference > methods - 1
    small = ranking.test is not None and methods == 2 and smallest_wilcoxon(datasets) > ALPHA
    if wide or small:
        found.append(f"{datasets} datasets are too few for any of {methods} methods to differ significantly.")
    if ranking.one_training:
        found.append(_ONE_TRAINING)
    elif datasets == 1:
        found.append("One dataset does not say whether methods differ on others.")
    return found
