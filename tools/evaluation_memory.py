"""How much memory scoring many images among many classes takes: random features, no images, no model.

    python -m tools.evaluation_memory [--images 50000] [--classes 1000] [--out results/speed/evaluation_memory.md]

The features are on the disk, as those of a cache. The bound is what is held by design: the logits of a batch and of the
part that is reduced, each with what is computed from them, and what is kept of every image.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from promptarena.benchmark.core.predictions import TOP
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.inputs.work_clock import WorkClock
from promptarena.benchmark.running.peak_memory import PeakMemory
from promptarena.benchmark.training.evaluation import BATCH
from promptarena.benchmark.training.predicting import CHUNK, Collector

WIDTH = 512
COPIES = 12
"""Tensors of the size of a part's logits, in units of 4 bytes a logit, that are held while it is reduced."""

KEPT_BYTES = 4 * (4 * TOP + 16)
"""Bytes that are kept of an image, at most; twice, as they are joined in the end."""


def bound_mib(images: int, classes: int) -> float:
    """The most MiB that an evaluation holds besides the model, the features of all classes and what a batch encodes."""
    part = max(CHUNK, classes)
    return (4 * COPIES * part + 4 * 3 * BATCH * classes + images * KEPT_BYTES) / 2**20


def scored(features: np.ndarray, text: Tensor, labels: Tensor) -> tuple[float, float]:
    """Score features among classes as an evaluation does.

    Args:
        features: (N, D) float32, memory-mapped.
        text: (C, D), L2-normalised.
        labels: (N,) int64.

    Returns:
        Peak memory in MiB beyond that before, and seconds.
    """
    device = torch.device("cpu")
    before = PeakMemory(device).mib()
    memory, started = PeakMemory(device), time.perf_counter()
    collector = Collector(labels, len(text), None)
    predicted = torch.empty(len(features), dtype=torch.int64)
    clock = WorkClock(device)
    with torch.inference_mode(), clock.charged_to("scoring"):
        for start in range(0, len(features), BATCH):
            batch = torch.from_numpy(np.array(features[start : start + BATCH]))
            logits = 100 * F.normalize(batch, dim=-1) @ text.T
            predicted[start : start + BATCH] = logits.argmax(-1)
            collector.add(logits)
        names: Any = tuple(map(str, range(len(text))))
        collector.predictions(Target("drawn", "all"), "", names, np.array([""] * len(labels)))
    return memory.mib() - before, time.perf_counter() - started


def measured(images: int, classes: int, folder: Path) -> tuple[float, float]:
    """`scored` for drawn features in a file of the folder."""
    path = folder / "features.npy"
    drawn = np.lib.format.open_memmap(path, "w+", np.float32, (images, WIDTH))
    random = np.random.default_rng(0)
    for start in range(0, images, 1000):
        drawn[start : start + 1000] = random.standard_normal((min(1000, images - start), WIDTH), dtype=np.float32)
    drawn.flush()
    del drawn
    generator = torch.Generator().manual_seed(0)
    text = F.normalize(torch.randn(classes, WIDTH, generator=generator), dim=-1)
    scored(np.load(path)[: 3 * BATCH], text, torch.arange(3 * BATCH) % classes)  # what torch allocates once
    return scored(np.load(path, mmap_mode="r"), text, torch.arange(images) % classes)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="also write the line to this file")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        mib, seconds = measured(chosen.images, chosen.classes, Path(folder))
    mapped = 4 * WIDTH * chosen.images / 2**20
    bound, every = bound_mib(chosen.images, chosen.classes), 4 * chosen.images * chosen.classes / 2**20
    text = (
        f"# Memory of scoring {chosen.images} images among {chosen.classes} classes\n\n"
        f"Peak beyond the process before: {mib:.0f} MiB, of which up to {mapped:.0f} MiB are pages of the features' "
        f"file, which the system takes back when it needs them. Bound of the rest: {bound:.0f} MiB. All logits would "
        f"be {every:.0f} MiB. {seconds:.1f} s on one CPU thread.\n"
    )
    print(text)
    if chosen.out:
        chosen.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
