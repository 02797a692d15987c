"""What the checks against silently wrong figures cost: python -m tools.checks_cost [--rounds 3] [compare's arguments]

A comparison is run with the code as it is and with the checks taken out, in turns, each time into an
empty results folder with an empty cache. Printed are the CPU seconds of each, and their ratio.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from tools.copies import copy_into, environment, replace_once

COMPARISON = "--methods zeroshot coop maple --datasets food flags --protocols base-to-novel --seeds 1"
CHECKS = (
    ("benchmark/backbone/seal.py", "changed = self.changes() if thoroughly else self._written()", 'changed = ""'),
    ("benchmark/backbone/seal.py", "return not self.changes(within=True)", "return True"),
    ("benchmark/backbone/seal.py", "tensor._version, words, _sums(words))", "tensor._version, words, None)"),
    ("benchmark/inputs/array_cache.py", "                _check(path, key)", "                pass"),
    ("benchmark/inputs/array_cache.py", "        self._sha.update(content)", "        pass"),
    ("benchmark/inputs/array_cache.py", "            os.fsync(stream.fileno())", "            pass"),
    ("benchmark/core/files.py", "        os.fsync(stream.fileno())", "        pass"),
    ("benchmark/training/checkpoint.py", "    for name in sorted(tensors):", "    for name in ():"),
    ("benchmark/training/outputs.py", "    if not bool(tensor.isfinite().all()):", "    if False:"),
)
"""The checks that a run makes: file, code, and what replaces it in the copy."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    chosen, words = parser.parse_known_args()
    words = words or COMPARISON.split()
    seconds: dict[str, list[float]] = {"with checks": [], "without": []}
    with tempfile.TemporaryDirectory() as folder:
        places = {name: Path(folder) / name.split()[0] for name in seconds}
        copies = {name: copy_into(place) for name, place in places.items()}
        for path, check, without in CHECKS:
            replace_once(copies["without"] / path, check, without)
        for number in range(chosen.rounds):
            for name in list(seconds)[:: 1 if number % 2 else -1]:
                seconds[name].append(_cpu_seconds(places[name], words))
                print(f"round {number + 1}, {name}: {seconds[name][-1]:.2f} CPU s", flush=True)
    ratios = [checked / bare for checked, bare in zip(seconds["with checks"], seconds["without"], strict=True)]
    print(f"the comparison with checks takes {median(ratios):.3f} times as long (median of {len(ratios)} rounds)")


def _cpu_seconds(place: Path, words: list[str]) -> float:
    """The CPU seconds of a comparison and of its workers."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "promptarena.benchmark.cli", "compare", *words, "--workers", "1"]
        variables = environment(place, PROMPTARENA_CACHE=f"{folder}/cache", OMP_NUM_THREADS="1")
        subprocess.run(command, cwd=folder, env=variables, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
