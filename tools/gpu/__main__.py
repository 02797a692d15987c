"""What a GPU is good for here: golden cases, steps, rates and a comparison on it, as tables.

    bash tools/gpu/check.sh [--out results/speed/gpu]

Random ViT-B/16 weights, ImageNet's class names, random images; no download. See tools/README.md.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import torch

from promptarena.benchmark.backbone.loading import choose_device
from promptarena.benchmark.core.errors import UserError
from tools.gpu.golden import golden_stage
from tools.gpu.stage import Setting, Stage, carried_out
from tools.gpu.steps import COMPILED_STEPS, ENCODING, GRAPHS, STEPS, SYNCS
from tools.gpu.surroundings import COMPARISON, DECODING, ENVIRONMENT
from tools.speed.measure import machine
from tools.speed.world import World

MINUTES = 8.0
"""After these a row that is being measured is cut off, and no further one is begun."""


def stages() -> list[Stage]:
    """All stages, those first that must not be left out when time runs short."""
    return [ENVIRONMENT, golden_stage(), SYNCS, GRAPHS, ENCODING, DECODING, COMPARISON, STEPS, COMPILED_STEPS]


def main() -> int:
    """Carry out the stages; returns the exit code: 1 when a row failed, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = {stage.name: stage for stage in stages()}
    parser.add_argument("--device", help="the device (default: CUDA; without it every stage is skipped)")
    parser.add_argument("--model", default="ViT-B-16-quickgelu", help="open_clip architecture, or its file")
    parser.add_argument("--only", nargs="+", choices=known, default=list(known), metavar="STAGE", help=", ".join(known))
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"of measuring (default: {MINUTES:g})")
    parser.add_argument("--quick", action="store_true", help="few repetitions, small products")
    parser.add_argument("--out", type=Path, help="folder for check.json and check.md")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    until = time.monotonic() + 60 * chosen.minutes
    try:
        device = choose_device(chosen.device or "auto")
        if chosen.device is None and device.type != "cuda":
            device = None
        world = World(Path(chosen.model) if chosen.model.endswith(".json") else chosen.model)
    except UserError as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(device, world, until, chosen.quick, Path(folder))
        outcomes = [carried_out(known[name], setting, lambda line: print(line, flush=True)) for name in chosen.only]
    if chosen.out:
        chosen.out.mkdir(parents=True, exist_ok=True)
        tables = "\n".join(outcome.markdown() for outcome in outcomes)
        text = f"# The check of the GPU path\n\n{machine()}; random weights of {chosen.model}.\n\n{tables}"
        (chosen.out / "check.md").write_text(text, encoding="utf-8")
        content = {"machine": machine(), "model": chosen.model, "stages": [outcome.plain() for outcome in outcomes]}
        (chosen.out / "check.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return int(any(outcome.failed for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
