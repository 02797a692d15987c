"""What a launcher costs compared with the local pool: whole comparisons on the miniature, one after the other.

    python -m tools.launcher_cost
    python -m tools.launcher_cost --launcher ray --ray-address 127.0.0.1:6379
    python -m tools.launcher_cost --launcher slurm --slurm-partition main

Words that it does not know are given to `promptarena compare`. A round is a comparison with the local pool and one
worker, then with the launcher and one worker, then two. The median over the rounds is printed: seconds per run beyond
the local pool's, the ratio of the times, and how much faster two workers are than one.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

WORKERS = {"local": "--workers", "ray": "--ray-actors", "slurm": "--slurm-jobs"}
"""The option of each launcher that says how many workers there are."""


def seconds(launcher: str, workers: int, words: Sequence[str], cache: Path) -> float:
    """The time of one comparison whose record is empty.

    Args:
        launcher: The launcher's name.
        workers: The number of workers.
        words: Further words of the command.
        cache: The folder of the cache.

    Returns:
        Seconds, with the start of the command and of the workers.
    """
    with tempfile.TemporaryDirectory(dir=cache) as folder:  # not in /tmp: the nodes of a cluster must see it
        command = [sys.executable, "-m", "promptarena.benchmark.cli", "compare", "mini", *words, "--quiet"]
        command += ["--launcher", launcher, WORKERS[launcher], str(workers), "--results", f"{folder}/results"]
        began = time.monotonic()
        subprocess.run(command, check=True, env=os.environ | {"PROMPTARENA_CACHE": str(cache / "cache")})
        return time.monotonic() - began


def table(launcher: str, rounds: Sequence[tuple[float, float, float]], runs: int) -> str:
    """The medians as a Markdown table.

    Args:
        launcher: The launcher's name.
        rounds: Seconds of the local pool with one worker, of the launcher with one, and with two.
        runs: The number of runs of a comparison.
    """
    median = statistics.median
    more = median((one - local) / runs for local, one, _ in rounds)
    ratio = median(one / local for local, one, _ in rounds)
    gain = median(one / two for _, one, two in rounds)
    return "\n".join(
        [
            f"{runs} runs, median of {len(rounds)} rounds, local pool with one worker: "
            f"{median(local for local, _, _ in rounds):.1f} s",
            "",
            "| launcher | more seconds per run | time / local pool | speed-up from one to two workers |",
            "|---|---|---|---|",
            f"| {launcher} | {more:.2f} | {ratio:.2f} | {gain:.2f} |",
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launcher", choices=WORKERS, default="local")
    parser.add_argument("--methods", nargs="+", default=["coop", "maple"])
    parser.add_argument("--datasets", nargs="+", default=["digits", "textures"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(), help="where records are written; the nodes see it")
    given, rest = parser.parse_known_args()
    lists = {"--methods": given.methods, "--datasets": given.datasets, "--seeds": given.seeds}
    what = ["--protocols", "base-to-novel"]
    for name, values in lists.items():
        what += [name, *map(str, values)]
    with tempfile.TemporaryDirectory(dir=given.folder.absolute()) as place:
        cache = Path(place)
        seconds("local", 2, what, cache)  # fills the cache
        measured = [
            (
                seconds("local", 1, what, cache),
                seconds(given.launcher, 1, [*what, *rest], cache),
                seconds(given.launcher, 2, [*what, *rest], cache),
            )
            for _ in range(given.rounds)
        ]
    print(table(given.launcher, measured, len(given.methods) * len(given.datasets) * len(given.seeds)))
