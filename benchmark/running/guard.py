"""Keeps the methods of one process apart: each runs from known random states and may change its own tensors only."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.seal import Seal, SharedStateChangedError
from promptarena.benchmark.core.runs import PlannedRun


class Guard:
    """Watches what the methods of a process share.

    Args:
        backbone: The backbone of all methods, as it was loaded.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._seal = Seal(backbone)

    @contextmanager
    def around(self, planned: PlannedRun, checkpoints: Sequence[Path] = ()) -> Iterator[None]:
        """Run a method's code inside.

        Args:
            planned: The run. Its training decides the states of the global random generators, so that a method which
                draws from them does not depend on the runs before it.
            checkpoints: Files that the method's training writes; they are removed if it changes what is shared.

        Raises:
            SharedStateChangedError: The method changed what all methods share, whatever else it raised. Other methods
                must not run in this process any more.
        """
        _seed_generators(int(planned.train_key[:16], 16))
        try:
            try:
                yield
            except Exception as error:
                if isinstance(error, SharedStateChangedError):
                    raise
                self._verify_after(error, planned.spec.method)
                raise
            self._seal.verify(planned.spec.method)
        except SharedStateChangedError:
            for path in checkpoints:
                path.unlink(missing_ok=True)
            raise

    def _verify_after(self, error: Exception, method: str) -> None:
        try:
            self._seal.verify(method)
        except SharedStateChangedError as changed:
            raise changed from error

    def check_before_saving(self, planned: PlannedRun) -> Callable[[], None]:
        """A quick check for the training loop to call before each checkpoint; it raises as `around` does."""
        return partial(self._seal.verify, planned.spec.method, thoroughly=False)


def _seed_generators(seed: int) -> None:
    """Seed the global generators of torch, NumPy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
