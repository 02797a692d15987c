"""Images a second that threads decode and crop, against as many processes: does Python's lock cost anything?

    python -m tools.speed.reading [--workers 1 2] [--images 64] [--rounds 9] [--out results/speed]

JPEG files of 500 x 375 in memory, random crops of 224 x 224 by Pillow, as in training. The sides take turns in one run.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from promptarena.benchmark.inputs.transforms import Augmentation
from tools.speed.measure import interleaved, machine, ratio
from tools.speed.report import Report
from tools.speed.world import TrainingImages

SIZE = 224
FILES = 16
"""Different files; more images are crops of the same ones."""


@cache
def _files() -> TrainingImages:
    return TrainingImages([f"read/{number}" for number in range(FILES)])


def cropped(number: int) -> np.ndarray:
    """An image as in training: decoded, cropped at random and resized. Pixels of SIZE x SIZE x 3."""
    random = Augmentation(1, 1, (0.08, 1.0))
    return np.asarray(random.view(_files().image(number % FILES), str(number), SIZE))


def all_of(pool: Executor, images: int) -> list[np.ndarray]:
    """Images read by a pool, in their order, and given to this process, as a training needs them."""
    return list(pool.map(cropped, range(images)))


def reading(workers: Sequence[int], images: int, rounds: int, report: Report) -> None:
    """Time threads and processes, as many as each of `workers` says."""
    with ExitStack() as stack:
        pools: dict[str, Executor] = {}
        for count in workers:
            pools[f"{count} threads"] = stack.enter_context(ThreadPoolExecutor(count))
            pools[f"{count} processes"] = stack.enter_context(ProcessPoolExecutor(count, get_context("spawn")))
        for pool in pools.values():
            all_of(pool, 2 * FILES)  # imports, files
        timed = interleaved({name: partial(all_of, pool, images) for name, pool in pools.items()}, rounds)
    first = timed[f"{workers[0]} threads"]
    rows = []
    for count in workers:
        threads, processes = timed[f"{count} threads"], timed[f"{count} processes"]
        rows.append(
            [
                str(count),
                *(f"{images / side.seconds:.0f}" for side in (threads, processes)),
                f"{images / processes.seconds / count:.0f}",
                str(ratio(processes.wall, threads.wall)),
                str(ratio(first.wall, threads.wall)),
            ]
        )
    report.show(
        "reading",
        "Decoding and cropping images: threads and processes",
        [
            "workers",
            "images/s, threads",
            "images/s, processes",
            "a process",
            "threads to processes",
            "to fewest threads",
        ],
        rows,
        f"JPEG files of 500 x 375 in memory, random crops of {SIZE} x {SIZE} by Pillow; {images} images a round, "
        f"medians of {rounds} interleaved rounds by the clock. Threads to processes: images/s of threads divided by "
        "those of as many processes, which send their pixels back; above 1 threads are faster. To fewest: the same, "
        "divided by those of the first row's threads. Median and quartiles of paired rounds.",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2], help="threads, and processes (default: 1 2)")
    parser.add_argument("--images", type=int, default=64, help="of a round (default: 64)")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds (default: 9)")
    parser.add_argument("--out", type=Path, help="folder for the table in Markdown and CSV")
    chosen = parser.parse_args()
    reading(chosen.workers, chosen.images, chosen.rounds, Report(chosen.out, f"{machine()}."))


if __name__ == "__main__":
    main()
