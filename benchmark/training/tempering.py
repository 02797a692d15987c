"""One temperature for the logits of a trained learner, fitted on its training images (Guo et al., ICML 2017)."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.data.data_manager import Examples
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.inputs.prefetch import read_ahead
from promptarena.benchmark.inputs.views import View
from promptarena.benchmark.plugins.learner import Images, Learner
from promptarena.benchmark.training.evaluation import BATCH
from promptarena.benchmark.training.outputs import NotFiniteError, check_logits

LEAST, MOST = 0.05, 20.0
"""The smallest and the largest temperature: a learner that has every training image right has no best one."""


def temperature(logits: npt.NDArray[np.floating[Any]], labels: npt.NDArray[np.integer[Any]]) -> float:
    """The temperature T with which softmax(logits / T) gives the labels the largest likelihood.

    Args:
        logits: (N, C), finite.
        labels: (N,) in 0 .. C - 1.

    Returns:
        T, from LEAST to MOST.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    exact = logits.astype(np.float64)
    exact -= exact.max(axis=1, keepdims=True)
    own = exact[np.arange(len(labels)), labels].mean()

    def loss(log_inverse: float) -> float:
        inverse = np.exp(log_inverse)
        return float(logsumexp(inverse * exact, axis=1).mean() - inverse * own)

    # The loss is convex in 1 / T, so it has one minimum in its logarithm, too.
    found = minimize_scalar(loss, bounds=(-np.log(MOST), -np.log(LEAST)), method="bounded", options={"xatol": 1e-9})
    return float(np.exp(-found.x))


def fitted_temperatures(learner: Learner, classes: Classes, shots: Examples, cache: ArrayCache) -> dict[str, float]:
    """Fit the temperature of each of a learner's readings.

    Args:
        learner: The learner.
        classes: The C classes of its training.
        shots: Its N training images, labels (N,) int64 in 0 .. C - 1; they are seen under the test transform.
        cache: The cache of images and frozen features.

    Returns:
        The temperature by the reading's name.

    Raises:
        NotFiniteError: A logit is NaN or infinite.
        Exception: Whatever the learner raises.
    """
    backbone, parts = learner.backbone, dict[str, list[Tensor]]()
    learner.eval()
    steps = [[*range(start, min(start + BATCH, len(shots.labels)))] for start in range(0, len(shots.labels), BATCH)]
    with torch.inference_mode(), backbone.autocast():
        classifier = learner.classifier(learner.prompts(classes))
        for images in read_ahead(View(shots.images, backbone, cache), steps):
            for reading, logits in learner.readings(images, classifier).items():
                check_logits(logits, (len(images), len(classes)))
                parts.setdefault(reading, []).append(logits.float().cpu())
    whole = {reading: torch.cat(each).numpy() for reading, each in parts.items()}
    if not all(np.isfinite(each).all() for each in whole.values()):
        raise NotFiniteError("logits are not finite")
    return {reading: temperature(logits, shots.labels) for reading, logits in whole.items()}


def tempered(learner: Learner, temperatures: Mapping[str, float]) -> Learner:
    """A learner whose logits are divided by a temperature.

    Args:
        learner: The learner; it is shared, not copied.
        temperatures: The temperature by the reading's name.

    Returns:
        The learner as an evaluation uses it.
    """
    return cast(Learner, _Tempered(learner, temperatures))


class _Tempered:
    def __init__(self, learner: Learner, temperatures: Mapping[str, float]) -> None:
        self._learner = learner
        self._temperatures = temperatures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._learner, name)

    def readings(self, images: Images, classifier: Any) -> Mapping[str, Tensor]:
        found = self._learner.readings(images, classifier)
        return {name: logits.float() / self._temperatures[name] for name, logits in found.items()}
