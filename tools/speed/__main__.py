"""How fast training and evaluation are, compared with a naive path that does what the methods' published code does.

    python -m tools.speed steps|evaluate|text|runs|growth|floor|seeds|all [--quick] [--check] [--out results/speed]

Random ViT-B/16 weights, ImageNet's class names, random images; no download. See tools/README.md.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from promptarena.benchmark.core.errors import UserError
from tools.speed.check import COMMITTED, Table, check, committed_tables, fallen_again
from tools.speed.growth import growth, text
from tools.speed.measure import machine
from tools.speed.report import Report
from tools.speed.runs import process_starts, runs
from tools.speed.runs_table import Plan
from tools.speed.seeds import seeds
from tools.speed.steps import evaluate, floor, steps
from tools.speed.world import METHODS, NEWEST, World

Part = Callable[[World, Sequence[str], Sequence[int], int, Report], None]
PARTS = ("steps", "evaluate", "text", "runs", "growth", "floor", "seeds")


def architecture(name: str) -> str | Path:
    """open_clip's name, or the path of a configuration."""
    return Path(name) if name.endswith(".json") else name


def arguments() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    """The parser, for later complaints, and the command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=(*PARTS, "all"))
    parser.add_argument("--methods", nargs="+", choices=(*METHODS, *NEWEST), metavar="METHOD")
    parser.add_argument("--classes", nargs="+", type=int, default=[20, 100], help="of steps, evaluate, text and floor")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default: 3)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument(
        "--model",
        type=architecture,
        default="ViT-B-16-quickgelu",
        help="open_clip architecture, or its file",
    )
    parser.add_argument("--quick", action="store_true", help="20 classes at most, one round, shorter runs")
    parser.add_argument("--out", type=Path, help="folder for tables in Markdown and CSV")
    parser.add_argument(
        "--check",
        nargs="?",
        type=Path,
        const=COMMITTED,
        metavar="FOLDER",
        help="end with 1 if a ratio is more than 15 %% below that in the tables of FOLDER (default: results/speed)",
    )
    chosen = parser.parse_args()
    if chosen.part != "steps" and set(chosen.methods or ()) & set(NEWEST):
        parser.error(f"of {', '.join(NEWEST)} only steps are measured")
    if chosen.check and chosen.part in ("floor", "seeds"):
        parser.error(f"--check: {chosen.part} is not measured against the naive path")
    if chosen.check and chosen.quick and chosen.part in ("runs", "all"):
        parser.error("--check: shortened runs have other ratios; leave out --quick")
    return parser, chosen


def main() -> None:
    """Measure the chosen part, or all."""
    parser, chosen = arguments()
    # Before anything is measured: --out may be the same folder.
    committed = committed_tables(chosen.check) if chosen.check else {}
    torch.set_num_threads(chosen.threads)
    classes = [min(20, *chosen.classes)] if chosen.quick else chosen.classes
    rounds = 1 if chosen.quick else chosen.rounds
    try:
        world = World(chosen.model)
    except UserError as error:
        parser.error(str(error))
    about = f"{machine()}; {chosen.threads} thread(s), {world.ours.name}, float32, random weights."
    report = Report(chosen.out, about)
    methods = chosen.methods or METHODS
    common = world, methods, classes, rounds, report
    without = [name for name in methods if name != "mmrl"]
    plan = Plan.quick() if chosen.quick else Plan()
    parts = {
        "steps": lambda: steps(world, chosen.methods or (*METHODS, *NEWEST), *common[2:]),
        "evaluate": lambda: evaluate(*common),
        "text": lambda: text(world, max(classes), rounds, report),
        "runs": lambda: runs(world, process_starts(world, chosen.model), without, plan, report),
        "growth": lambda: growth(world, max(classes), rounds, report, quick=chosen.quick),
        "floor": lambda: floor(*common),
        "seeds": lambda: seeds(*common),
    }
    for name in PARTS if chosen.part == "all" else [chosen.part]:
        parts[name]()
    if chosen.check:

        def again(part: Part, method: str, count: int) -> Mapping[str, Table]:
            second = Report(None, about)
            part(world, [method], [count], rounds, second)
            return second.shown

        compared, fallen = check(report.shown, committed)
        if not compared:
            parser.error(f"--check: no row of {chosen.check} has the same work, model and threads")
        fallen = fallen_again(fallen, committed, {"steps": partial(again, steps), "evaluate": partial(again, evaluate)})
        for fall in fallen:
            print(fall)
        print(f"{compared} ratios compared, {len(fallen)} fell by more than 15 %")
        sys.exit(1 if fallen else 0)


if __name__ == "__main__":
    main()
