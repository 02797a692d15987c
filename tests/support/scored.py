"""Scores to compare and rank, and Holm's correction in plain words."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from score_frames import DATASETS, Row, drawn_frame, frame_of

from promptarena.benchmark.core.protocol_table import Protocol
from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.statistics.scores import Scores, read_scores

SOURCE = ("source", "Source")


def scores_of(rows: Iterable[Row], protocol: Protocol = "few-shot", datasets: int = 11) -> Scores:
    titled = DATASETS[:datasets]
    transfer = protocol in ("cross-dataset", "domain-generalization")
    return read_scores(BoardQuery(frame_of(rows, protocol), protocol, (SOURCE, *titled) if transfer else titled))


def random_scores(
    seed: int, methods: int, datasets: int = 11, seeds: int = 3, protocol: Protocol = "few-shot"
) -> Scores:
    random = np.random.default_rng(seed)
    labels = [f"m{number}" for number in range(methods)]
    return read_scores(
        BoardQuery(
            drawn_frame(random, labels, protocol, datasets, range(1, seeds + 1)),
            protocol,
            DATASETS[:datasets] if protocol != "cross-dataset" else (SOURCE, *DATASETS[:datasets]),
        )
    )


def shifted(points: Sequence[Sequence[float]], seeds: Sequence[int] = (1, 2, 3)) -> Iterator[Row]:
    """Methods a and b, a above b by `points[dataset][seed]`."""
    for (name, _), by_seed in zip(DATASETS, points, strict=False):
        for seed, point in zip(seeds, by_seed, strict=True):
            yield "a", name, seed, {"all": 60 + point}
            yield "b", name, seed, {"all": 60}


def naive_holm(p_values: Sequence[float]) -> list[float]:
    """The corrected p of each: of all hypotheses up to it in order, the largest p times those left."""
    order = sorted(p_values)
    steps = [min(1.0, p * (len(order) - place)) for place, p in enumerate(order)]
    return [max(steps[: order.index(p) + 1]) for p in p_values]
