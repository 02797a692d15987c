"""What keeping predictions costs an evaluation: one run, so that the machine's noise is in both times.

    python -m tools.predictions_cost [--method coop] [--rounds 5] [--out results/speed/predictions_cost.md]

Each round scores the miniature's datasets with and without predictions, in turns and with an empty cache, so that every
image is decoded and encoded as in the first evaluation of a comparison. With predictions, the time of writing the file
counts too. The share is that of the sums over the rounds of the CPU's time.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from promptarena.benchmark.backbone.loading import load_backbone
from promptarena.benchmark.core.predictions import to_parquet
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.training.evaluation import evaluate


def measured(method: str, rounds: int) -> tuple[float, float, float]:
    """Measure.

    Args:
        method: The method; its learner is not trained.
        rounds: How often.

    Returns:
        CPU seconds without and with predictions, and bytes of the files per image.
    """
    suite, data = load_suite("mini"), Data(None)
    source = suite.backbone
    backbone = load_backbone(source.given_architecture, source.given_weights, device="cpu")
    kind = load_registry().get(method).learner
    spent, size, images = {False: 0.0, True: 0.0}, 0, 0
    for turn in range(rounds + 1):
        for keep in (False, True) if turn % 2 else (True, False):
            for name in suite.datasets:
                card = suite.card(name)
                test, classes = data.test(card), data.classes(card, "all", "test")
                learner = kind(backbone, kind.config_type(), classes, torch.Generator().manual_seed(0))
                test.images.digest  # noqa: B018  computed once and kept, so not in either time
                with tempfile.TemporaryDirectory() as folder:
                    cache, started = ArrayCache(Path(folder)), time.process_time()
                    found = evaluate(learner, Target(name, "all"), classes, test, len(classes), cache, keep=keep)
                    content = to_parquet(found.predictions) if keep else b""
                    seconds = time.process_time() - started
                if turn:  # the first turn allocates what later ones use again
                    spent[keep] += seconds
                    size, images = size + len(content), images + found.images * keep
    return spent[False], spent[True], size / images


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="zeroshot")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="also write the line to this file")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    without, kept, size = measured(chosen.method, chosen.rounds)
    text = (
        f"# Cost of keeping predictions: {chosen.method} on the miniature\n\n"
        f"{without:.2f} s of CPU time without and {kept:.2f} s with predictions, sums of {chosen.rounds} rounds: "
        f"{100 * (kept / without - 1):+.1f} %. {size:.1f} bytes an image on the disk.\n"
    )
    print(text)
    if chosen.out:
        chosen.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
