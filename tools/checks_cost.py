"""What the checks against silently wrong figures cost: python -m tools.checks_cost [compare's arguments]

One comparison is run in a copy of the code whose checks are timed, in an empty results folder with an empty cache and
one worker. Printed is each check's share of the time that the processes computed, and of the time that passed. One run
suffices: whatever else the machine does slows the checks by the same factor as the rest.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.copies import copy_into, environment

COMPARISON = "--methods zeroshot coop maple --datasets food flags --protocols base-to-novel --seeds 1"
CHECKS = {
    "benchmark/backbone/seal.py": ("Seal.__init__", "Seal.intact", "Seal.verify"),
    "benchmark/inputs/array_cache.py": ("_check", "hashlib.sha256", "os.fsync"),
    "benchmark/core/files.py": ("sync",),
    "benchmark/training/checkpoint.py": ("_digest",),
    "benchmark/training/outputs.py": ("check_losses", "check_logits", "check_parameters"),
}
"""The checks that a run makes: in each file, what is timed there."""

CLOCK = """
import json, os, time
from pathlib import Path

spent, depth = {}, 0

def timed(name, function):
    def call(*given, **named):
        global depth
        depth += 1
        computed, passed = time.thread_time(), time.perf_counter()
        try:
            result = function(*given, **named)
        finally:
            depth -= 1
            if not depth:
                before = spent.get(name, (0, 0))
                after = time.thread_time() - computed, time.perf_counter() - passed
                spent[name] = tuple(map(sum, zip(before, after)))
                # A worker is killed when it has nothing more to do.
                Path(os.environ["CHECKS_COST"], f"{os.getpid()}.json").write_text(json.dumps(spent))
        return Hash(name, result) if hasattr(result, "hexdigest") else result
    return call

class Hash:
    def __init__(self, name, sha):
        self.update, self.digest, self.hexdigest = timed(name, sha.update), sha.digest, sha.hexdigest

class Timed:
    def __init__(self, module, **functions):
        self.__dict__.update(vars(module) | functions)
"""
"""A module of the copy. `Timed` stands for a module some of whose functions are timed."""


def main() -> None:
    """Measure and print."""
    words = sys.argv[1:] or COMPARISON.split()
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_into(Path(folder) / "code")
        (copy.parent / "clock_of_checks.py").write_text(CLOCK)
        for path, names in CHECKS.items():
            with (copy / path).open("a") as module:
                module.write("".join(_timing(path, name) for name in names))
        times = Path(folder) / "times"
        times.mkdir()
        computed, passed = _run(Path(folder), words)
        reports = [json.loads(file.read_text()) for file in times.iterdir()]
    print(f"the comparison: {computed:.1f} s computed by its processes, {passed:.1f} s passed")
    shares = {
        name: [
            sum(report.get(name, (0, 0))[place] for report in reports) / whole
            for place, whole in enumerate((computed, passed))
        ]
        for name in {name for report in reports for name in report}
    }
    shares["all checks"] = [sum(parts) for parts in zip(*shares.values(), strict=True)]
    for name in sorted(shares, key=lambda name: shares[name][0]):
        print("{:7.2%} {:7.2%}  {}".format(*shares[name], name))


def _timing(path: str, name: str) -> str:
    """The line that times a function at the end of its module."""
    owner, _, function = name.rpartition(".")
    label = f"{path}: {name}"
    timed = f"__import__('clock_of_checks').timed({label!r}, {name})"
    if owner.islower():  # a module
        return f"{owner} = __import__('clock_of_checks').Timed({owner}, {function}={timed})\n"
    return f"{name} = {timed}\n"


def _run(folder: Path, words: list[str]) -> tuple[float, float]:
    """Run the comparison. Returns the seconds that its processes computed, and those that passed."""
    command = [sys.executable, "-m", "promptarena.benchmark.cli", "compare", *words, "--workers", "1"]
    places = {"PROMPTARENA_CACHE": f"{folder}/cache", "CHECKS_COST": f"{folder}/times"}
    variables = environment(folder / "code", OMP_NUM_THREADS="1", **places)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env=variables, check=True, stdout=subprocess.DEVNULL)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, ended - started


if __name__ == "__main__":
    main()
