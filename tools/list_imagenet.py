"""How long listing ImageNet takes and how much memory: on a tree of empty files with as many rows as the real one.

    python tools/list_imagenet.py [--train 1281167] [--test 50000] [--folder DIR]

Listing reads no file contents, so empty files cost as much as images; a cold disk or a network share takes longer.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

CLASSES = 1000
CARD = """
name = "tree"
title = "A tree as large as ImageNet's"
reader = "folder"
template = "a photo of a {{}}."
licence = ""
citation = ""
description = ""
[counts]
train = {train}
test = {test}
[options]
folder = "images"
splits = {{ train = "train", test = "val" }}
"""


def plant(folder: Path, files: int, prefix: str) -> None:
    """Create `files` empty files in CLASSES folders, with names as long as ImageNet's."""
    for label in range(CLASSES):
        inside = folder / f"n{label:08d}"
        inside.mkdir(parents=True)
        for number in range(label, files, CLASSES):
            (inside / f"{prefix}{number:08d}.JPEG").touch()


def measure(card_path: Path, queue: "multiprocessing.Queue[dict[str, float]]") -> None:
    """List both splits, draw 16 shots of the training images; seconds of each and the process's peak memory."""
    from promptarena.benchmark.data.cards import load_card
    from promptarena.benchmark.data.few_shot import draw_few_shot
    from promptarena.benchmark.data.splits import load_split

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.perf_counter()
    card = load_card(card_path)
    train, test = load_split(card, "train"), load_split(card, "test")
    listed = time.perf_counter()
    draw_few_shot(train.labels, (), 16, 1)
    drawn = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = float(len(train) + len(test))
    queue.put({"rows": rows, "list": listed - started, "draw": drawn - listed, "before": before, "peak": peak})


def main() -> None:
    """Plant the tree, measure in a fresh process, print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=1_281_167)
    parser.add_argument("--test", type=int, default=50_000)
    parser.add_argument("--folder", type=Path, help="where the tree is planted (default: the temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as root:
        for name, files, prefix in (
            ("train", arguments.train, "n01440764_"),
            ("val", arguments.test, "ILSVRC2012_val_"),
        ):
            plant(Path(root) / "images" / name, files, prefix)
        card = Path(root) / "tree.toml"
        card.write_text(CARD.format(train=arguments.train, test=arguments.test))
        context = multiprocessing.get_context("spawn")
        queue: multiprocessing.Queue[dict[str, float]] = context.Queue()
        process = context.Process(target=measure, args=(card, queue))
        process.start()
        found = queue.get()
        process.join()
    print(
        f"{found['rows']:.0f} rows: listed in {found['list']:.1f} s, 16 shots drawn in {found['draw']:.1f} s, "
        f"peak memory {found['peak']:.0f} MiB ({found['before']:.0f} MiB before)"
    )


if __name__ == "__main__":
    main()
