"""Predictions of drawn logits, computed here in another way than the harness does."""

import numpy as np
from scipy.special import softmax

from promptarena.benchmark.core.predictions import Halves, Predictions
from promptarena.benchmark.core.runs import Subset, Target


def of_logits(
    logits: np.ndarray,
    labels: np.ndarray,
    *,
    base: int | None = None,
    dataset: str = "food",
    subset: Subset = "all",
    reading: str = "",
) -> Predictions:
    """Logits (N, C) and labels (N,) -> what is kept of them, by sorting everything."""
    logits = logits.astype(np.float32)
    rows, width = np.arange(len(labels)), min(5, logits.shape[1])
    order = np.argsort(-logits, axis=1, kind="stable")
    exact = logits.astype(np.float64)
    largest = exact.max(axis=1, keepdims=True)
    halves = None
    if base is not None:
        ranks = [
            1 + [c for c in row if (c < base) == (label < base)].index(label)
            for row, label in zip(order.tolist(), labels.tolist(), strict=True)
        ]
        halves = Halves(
            logits[:, :base].max(axis=1),
            np.logaddexp.reduce(exact[:, :base], axis=1).astype(np.float32),
            np.array(ranks, dtype=np.int32),
        )
    return Predictions(
        target=Target(dataset, subset),
        reading=reading,
        classes=tuple(f"class {number}" for number in range(logits.shape[1])),
        images=np.array(
            [f"{dataset}/images/class_{label}/{row * 7919:07d}.jpg" for row, label in zip(rows, labels, strict=True)]
        ),
        labels=labels.astype(np.int32),
        top=order[:, :width].astype(np.int32),
        logits=np.take_along_axis(logits, order[:, :width], axis=1),
        label_logit=logits[rows, labels],
        rank=(1 + np.argmax(order == labels[:, None], axis=1)).astype(np.int32),
        log_sum_exp=largest[:, 0] + np.log(np.exp(exact - largest).sum(axis=1)).astype(np.float32),
        square_sum=np.square(softmax(exact, axis=1)).sum(axis=1).astype(np.float32),
        halves=halves,
    )


def drawn(
    images: int,
    classes: int,
    *,
    seed: int = 0,
    skill: float = 3.0,
    base: int | None = None,
    dataset: str = "food",
    subset: Subset = "all",
    reading: str = "",
) -> Predictions:
    """Normal logits of which the label's is larger by `skill` on average; labels ascend, as in most test lists."""
    random = np.random.default_rng(seed)
    labels = np.sort(np.arange(images) % classes)
    logits = random.normal(20, 2, (images, classes))
    logits[np.arange(images), labels] += skill
    return of_logits(logits, labels, base=base, dataset=dataset, subset=subset, reading=reading)


def ece_by_loop(sure: np.ndarray, right: np.ndarray, bins: int) -> float:
    """The expected calibration error of probabilities (N,) and of whether each prediction is right (N,), in 0 .. 1."""
    total = 0.0
    for place in range(bins):
        inside = (sure > place / bins) & (sure <= (place + 1) / bins)
        if inside.any():
            total += inside.sum() / len(sure) * abs(right[inside].mean() - sure[inside].mean())
    return total
