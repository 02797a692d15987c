"""Images are read by several threads in their order, also those of features that are not cached yet."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from promptarena.benchmark.inputs import views
from promptarena.benchmark.inputs.reading import MOST_THREADS, read_images, reading_threads
from promptarena.benchmark.inputs.transforms import Augmentation
from promptarena.benchmark.inputs.views import View


@pytest.mark.parametrize("threads", [0, 1, 3, 50])
@pytest.mark.parametrize("count", [0, 1, 7])
def test_the_order_is_that_of_the_rows(threads: int, count: int) -> None:
    def read(row: int) -> np.ndarray:
        time.sleep(0.002 * (count - row))
        return np.array([row])

    assert [int(image[0]) for image in read_images(read, range(count), threads)] == list(range(count))


def test_only_a_gpu_has_reading_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert reading_threads(torch.device("cpu")) == 0
    assert reading_threads(torch.device("cuda")) == MOST_THREADS


class Watched(tiny.Drawings):
    """Notes which threads read."""

    def __init__(self) -> None:
        super().__init__([f"image {number}" for number in range(12)])
        self.threads: set[int] = set()

    def image(self, index: int) -> object:
        self.threads.add(threading.get_ident())
        time.sleep(0.01)
        return super().image(index)


@pytest.mark.parametrize("augmentation", [None, Augmentation(1, 1, (0.5, 1.0))], ids=["test", "augmented"])
def test_the_images_of_features_are_read_by_several_threads(
    augmentation: Augmentation | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = View(Watched(), tiny.backbone(), tiny.cache(tmp_path / "one"), augmentation).features(range(12))
    monkeypatch.setattr(views, "reading_threads", lambda device: 4)
    images = Watched()
    found = View(images, tiny.backbone(), tiny.cache(tmp_path / "several"), augmentation).features(range(12))
    assert torch.equal(found, expected)
    assert len(images.threads) > 1
