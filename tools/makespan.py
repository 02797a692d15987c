"""How long a suite takes on 1, 8 and 64 GPUs: simulated from the estimated hours of each run; needs no data.

    python -m tools.makespan clip-15 --methods all --gpus 1 8 64

The runs are given out as in a comparison, the longest first. `bound` is what no order can beat: the mean share of a
GPU, or the longest training.
"""

import argparse
from collections.abc import Sequence

from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.runs import PlannedRun, RunSpec
from promptarena.benchmark.planning.enumeration import enumerate_request
from promptarena.benchmark.planning.gpu_hours import gpu_hours
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.running.makespan import simulate
from promptarena.benchmark.running.schedule import Schedule


def planned(spec: RunSpec) -> PlannedRun:
    """A run with keys that say which runs share a training; it has no settings."""
    training = (spec.label, spec.dataset, spec.subset, spec.shots, spec.seed)
    return PlannedRun(spec, digest(spec.protocol, *training), digest(*training), {}, {}, {})


def table(suite: str, methods: Sequence[str], gpus: Sequence[int], minutes: float) -> str:
    """The lengths as a Markdown table.

    Args:
        suite: The suite's name or path.
        methods: Methods by name, or "all"; empty: the suite's.
        gpus: Numbers of GPUs.
        minutes: What each group of runs costs besides.
    """
    requested = enumerate_request(Request(methods=methods), suite)
    hours = gpu_hours(requested.suite, requested.registry, requested.runs)
    runs = {run.key: (run, hours[spec].hours) for spec in requested.runs for run in (planned(spec),)}
    sizes = {key: size for key, (_, size) in runs.items()}
    lines = [
        f"{len(runs)} runs, {sum(sizes.values()):.0f} GPU hours",
        "",
        "| GPUs | hours | bound | hours / bound | speed-up | GPUs in use |",
        "|---|---|---|---|---|---|",
    ]
    for count in gpus:
        found = simulate(Schedule([run for run, _ in runs.values()], sizes, count), count, minutes / 60)
        lines.append(
            f"| {count} | {found.length:.1f} | {found.bound:.1f} | {found.length / found.bound:.3f} | "
            f"{found.work / found.length:.1f} | {100 * found.work / found.length / count:.0f} % |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="?", default="clip-15")
    parser.add_argument("--methods", nargs="*", default=[])
    parser.add_argument("--gpus", nargs="*", type=int, default=[1, 8, 64])
    parser.add_argument("--minutes", type=float, default=1.0, help="to load the backbone, for each group of runs")
    given = parser.parse_args()
    print(table(given.suite, given.methods, given.gpus, given.minutes))
